"""What the documents say, held against the tree and the program: links, commands, presets,
packages, folders. Each check is a function from a Tree to findings (path, line, text)."""

import re
import subprocess
import tempfile
from collections import namedtuple
from pathlib import Path

Finding = namedtuple("Finding", "path line text")

SKIPPED_FOLDERS = {"build", "node_modules", "__pycache__", ".git"}
README_LINES_MAX = 60
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
# Where code is: fenced blocks, blocks indented by four, and `inline`.
FENCE = re.compile(r"^\s*(```|~~~)")


class Document:
    def __init__(self, root, path):
        self.path = path.relative_to(root).as_posix()
        self.file = path
        self.lines = path.read_text(encoding="utf-8").split("\n")

    def prose(self):
        """(number, line) outside fenced blocks, inline code blanked."""
        inside = False
        for number, line in enumerate(self.lines, 1):
            if FENCE.match(line):
                inside = not inside
            elif not inside:
                yield number, re.sub(r"`[^`]*`", "``", line)

    def code(self):
        """(number, text) of every line of a code block and every `inline` piece."""
        inside = False
        for number, line in enumerate(self.lines, 1):
            if FENCE.match(line):
                inside = not inside
            elif inside or line.startswith("    "):
                yield number, line
            else:
                for piece in re.findall(r"`([^`]+)`", line):
                    yield number, piece

    def blocks(self):
        """(number of the first line, language, text) of every fenced block."""
        start = None
        for number, line in enumerate(self.lines, 1):
            if not FENCE.match(line):
                continue
            if start is None:
                start, language = number, line.strip()[3:].strip()
            else:
                yield start + 1, language, "\n".join(self.lines[start:number - 1]) + "\n"
                start = None

    def anchors(self):
        found = set()
        for _, line in self.prose():
            heading = re.match(r"#+\s+(.*)", line)
            if heading:
                text = re.sub(r"[^\w\- ]", "", heading.group(1).strip().lower())
                found.add(text.replace(" ", "-"))
        return found


class Tree:
    def __init__(self, root, commands=None, check_policy=None):
        """`commands`: the words that may follow "gavel"; `check_policy`: of a policy's text, what
        is wrong with it, or nothing. Both are None where there is no program to ask."""
        self.root = Path(root)
        self.commands = commands
        self.check_policy = check_policy
        self.documents = [
            Document(self.root, path) for path in sorted(self.root.rglob("*.md"))
            if not SKIPPED_FOLDERS & set(path.relative_to(self.root).parts)
        ]

    def read(self, path):
        file = self.root / path
        return file.read_text(encoding="utf-8") if file.exists() else ""

    def dev_commands(self):
        """The words that the case at the end of ./dev accepts."""
        cases = self.read("dev").rsplit("\ncase ", 1)[-1]
        labels = re.findall(r"^  ([a-z][a-z0-9 |-]*)\)", cases, re.MULTILINE)
        return {word for label in labels for word in label.replace("|", " ").split()
                if not word.startswith("-")}

    def presets(self):
        return re.findall(r'"name": "(\w+)",\s*"inherits"', self.read("CMakePresets.json"))


def commands_of(binary):
    """The subcommands that `gavel --help` lists, one at the start of an indented line each."""
    text = subprocess.run([binary, "--help"], capture_output=True, text=True, check=True,
                          timeout=30).stdout
    return set(re.findall(r"^  ([a-z][a-z-]*)\b", text, re.MULTILINE))


def policy_check_of(binary):
    """What `gavel policy check` says of a text, or an empty string where it is in order."""
    def check(text):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(text)
            file.flush()
            done = subprocess.run([binary, "policy", "check", file.name], capture_output=True,
                                  text=True, timeout=30)
        return "" if done.returncode == 0 else (done.stdout + done.stderr).strip()
    return check


def check_policies(tree):
    """Every policy that a document shows, and those of examples and package, pass the check."""
    if tree.check_policy is None:
        yield Finding("build", 1, "no gavel to check policies with: ./dev build, or GAVEL_BINARY")
        return
    policies = [(path.relative_to(tree.root).as_posix(), 1, path.read_text(encoding="utf-8"))
                for folder in ("examples", "packaging")
                for path in sorted((tree.root / folder).glob("*.yaml"))]
    for document in tree.documents:
        for number, language, text in document.blocks():
            if language == "yaml" and re.search(r"^(servers|rules|defaults|budgets):", text,
                                                re.MULTILINE):
                policies.append((document.path, number, text))
    for path, number, text in policies:
        problem = tree.check_policy(text)
        if problem:
            yield Finding(path, number, problem)


def check_links(tree):
    """Relative links name a file that exists, and a heading in it."""
    documents = {document.file.resolve(): document for document in tree.documents}
    for document in tree.documents:
        for number, line in document.prose():
            for found in LINK.finditer(line):
                target = found.group(1) or found.group(2)
                if re.match(r"[a-z]+:", target):
                    continue
                path, _, anchor = target.partition("#")
                file = (document.file.parent / path).resolve() if path else document.file.resolve()
                if not file.exists():
                    yield Finding(document.path, number, f"no file {target}")
                elif anchor and file in documents and anchor not in documents[file].anchors():
                    yield Finding(document.path, number, f"no heading {target}")


def check_dev_commands(tree):
    """Every `./dev X` exists, and HACKING.md names every one that exists."""
    known = tree.dev_commands()
    named = set()
    for document in tree.documents:
        for number, code in document.code():
            for word in re.findall(r"\./dev ([a-z][a-z0-9-]*)", code):
                if word not in known:
                    yield Finding(document.path, number, f"no command ./dev {word}")
                elif document.path == "HACKING.md":
                    named.add(word)
    for word in sorted(known - named - {"help"}):
        yield Finding("HACKING.md", 1, f"does not say what ./dev {word} does")


def check_gavel_commands(tree):
    """Every `gavel X` is a command of the program."""
    if tree.commands is None:
        yield Finding("build", 1, "no gavel to ask for its commands: ./dev build, or set GAVEL_BINARY")
        return
    for document in tree.documents:
        for number, code in document.code():
            for word in re.findall(r"(?:^|[\s(`])gavel ([a-z][a-z-]*)\b", code):
                if word not in tree.commands:
                    yield Finding(document.path, number, f"no command gavel {word}")


def check_presets(tree):
    """HACKING.md names every preset of CMakePresets.json."""
    text = tree.read("HACKING.md")
    for preset in tree.presets():
        if f"`{preset}`" not in text:
            yield Finding("HACKING.md", 1, f"does not name the preset `{preset}`")


def check_dependencies(tree):
    """docs/dependencies.md gives a reason for every package that is installed."""
    text = tree.read("docs/dependencies.md")
    wanted = [line.strip() for line in tree.read("tools/packages.txt").splitlines()
              if line.strip() and not line.startswith("#")]
    wanted += re.findall(r'^    "([^"]+)": "\d', tree.read("tests/peers/package.json"), re.MULTILINE)
    for package in wanted:
        if f"`{package}`" not in text:
            yield Finding("docs/dependencies.md", 1, f"gives no reason for `{package}`")


def check_folders(tree):
    """Every folder of the sources says on at most a screen what lives in it."""
    for folder in sorted((tree.root / "src").iterdir()):
        if not folder.is_dir():
            continue
        path = f"src/{folder.name}/README.md"
        lines = tree.read(path).count("\n")
        if lines == 0:
            yield Finding(path, 1, "is missing: what lives here, what must not, where to start")
        elif lines > README_LINES_MAX:
            yield Finding(path, README_LINES_MAX, f"{lines} lines; a screen is {README_LINES_MAX}")


def check_decisions(tree):
    """docs/adr holds NNNN-title.md without gaps, and ARCHITECTURE.md links each."""
    text = tree.read("ARCHITECTURE.md")
    records = sorted(path.name for path in (tree.root / "docs/adr").glob("[0-9]*.md"))
    for expected, name in enumerate(records, 1):
        if not name.startswith(f"{expected:04}-"):
            yield Finding(f"docs/adr/{name}", 1, f"number {expected:04} is expected here")
        if f"docs/adr/{name}" not in text:
            yield Finding("ARCHITECTURE.md", 1, f"does not link docs/adr/{name}")


CHECKS = [check_links, check_dev_commands, check_gavel_commands, check_presets, check_dependencies,
          check_folders, check_decisions, check_policies]
