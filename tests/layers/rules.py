"""The rules that a compiler does not check: which folder may include which, what pure layers may
not touch, which constructs are banned and what replaces them, how long files and lines may be.

Each rule is a function from a Tree to findings. A line may be excused with a comment that gives a
reason: `allow(RULE): why`. Unused or unreasoned excuses are findings themselves."""

import re
from collections import namedtuple
from pathlib import Path

Finding = namedtuple("Finding", "path line rule text")

LINES_MAX = 800
COLUMNS_MAX = 100
PURE_FOLDERS = ("base", "core", "oauth", "policy", "protocol")
CODE_FOLDERS = ("src", "tests", "bench")
SKIPPED_FOLDERS = {"build", "node_modules", "__pycache__", ".git"}

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]')
EXCUSE = re.compile(r"//\s*allow\((\w+)\)(?::\s*(\S.*))?")


def blank(code):
    """The code with comments and literals replaced by spaces, so that offsets and lines stay."""
    token = re.compile(
        r'R"(?P<d>[^()\\ ]{0,16})\((?:.|\n)*?\)(?P=d)"'
        r"|//[^\n]*|/\*(?:.|\n)*?\*/"
        r'|"(?:\\.|[^"\\\n])*"'
        r"|(?<![0-9A-Za-z_])(?:u8|[uUL])?'(?:\\.|[^'\\\n])+'"
    )
    return token.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), code)


class Source:
    def __init__(self, root, path):
        self.path = path.relative_to(root).as_posix()
        self.text = path.read_text(encoding="utf-8")
        self.lines = self.text.split("\n")
        self.code = blank(self.text)
        self.code_lines = self.code.split("\n")
        self.stem = path.stem
        self.is_header = path.suffix == ".hpp"
        parts = self.path.split("/")
        # Below a layer's folder stand programs that its tests run.
        self.is_test = (self.stem.startswith("test_") or self.stem.endswith("_test")
                        or parts[0] == "tests" or (parts[0] == "src" and len(parts) > 3))
        self.folder = parts[1] if parts[0] == "src" and len(parts) > 2 else ""
        self.used_excuses = set()

    def includes(self):
        for number, line in enumerate(self.lines, 1):
            found = INCLUDE.match(line)
            if found:
                yield number, found.group(1) == '"', found.group(2)

    def matches(self, pattern):
        """(line number, match) of `pattern` in the code, comments and literals left out."""
        for number, line in enumerate(self.code_lines, 1):
            for found in re.finditer(pattern, line):
                yield number, found

    def line_of(self, offset):
        return self.code.count("\n", 0, offset) + 1

    def excused(self, number, rule):
        """An excuse stands at the end of the line, or alone on the line before it."""
        for place in (number, number - 1):
            if 1 <= place <= len(self.lines):
                found = EXCUSE.search(self.lines[place - 1])
                if found and found.group(1) == rule and found.group(2):
                    self.used_excuses.add(place)
                    return True
        return False


class Tree:
    def __init__(self, root):
        self.root = Path(root)
        self.sources = {}
        for folder in CODE_FOLDERS:
            for path in sorted((self.root / folder).rglob("*")):
                inside = path.relative_to(self.root).parts
                if path.suffix in (".cpp", ".hpp") and not SKIPPED_FOLDERS & set(inside):
                    source = Source(self.root, path)
                    self.sources[source.path] = source

    def layers(self):
        """tools/layers.txt: folder -> the folders that it may include, in their order."""
        allowed = {}
        for line in self.read("tools/layers.txt").splitlines():
            line = line.split("#")[0].strip()
            if line:
                folder, _, others = line.partition(":")
                allowed[folder.strip()] = others.split()
        return allowed

    def clock_readers(self):
        readers = {}
        for line in self.read("tools/clock_readers.txt").splitlines():
            if line.strip() and not line.startswith("#"):
                place, _, rest = line.partition(":")
                words = rest.split()
                readers[place.strip()] = {word for word in words if word in ("system", "steady")}
        return readers

    def read(self, path):
        file = self.root / path
        return file.read_text(encoding="utf-8") if file.exists() else ""


def check_edges(tree):
    """Includes follow tools/layers.txt, and name a file that exists."""
    allowed = tree.layers()
    for source in tree.sources.values():
        for number, quoted, target in source.includes():
            if not quoted:
                if f"src/{target}" in tree.sources:
                    yield Finding(source.path, number, "edge", f'write "{target}", not <{target}>')
                continue
            if not source.path.startswith("src/"):
                continue
            if f"src/{target}" not in tree.sources:
                yield Finding(source.path, number, "edge",
                              f'"{target}" is no file under src/: paths start there')
                continue
            folder = target.split("/")[0]
            if folder != source.folder and folder not in allowed.get(source.folder, []):
                yield Finding(source.path, number, "edge",
                              f"{source.folder} may not include {folder} (tools/layers.txt)")


def check_cycles(tree):
    """Neither the table, nor folders, nor files include each other in a circle."""
    files, folders = {}, {}
    for source in tree.sources.values():
        targets = [f"src/{target}" for _, quoted, target in source.includes() if quoted]
        files[source.path] = [target for target in targets if target in tree.sources]
        if source.folder:
            edges = folders.setdefault(source.folder, set())
            edges |= {tree.sources[t].folder for t in files[source.path]} - {source.folder}
    for what, graph in (("tools/layers.txt", tree.layers()), ("folders", folders), ("files", files)):
        circle = find_cycle(graph)
        if circle:
            place = circle[0] if what == "files" else "tools/layers.txt"
            yield Finding(place, 1, "cycle", f"{what} in a circle: " + " -> ".join(circle))


def find_cycle(graph):
    done, path = set(), []

    def visit(node):
        if node in path:
            return path[path.index(node):] + [node]
        if node in done:
            return None
        path.append(node)
        for other in sorted(graph.get(node, ())):
            circle = visit(other)
            if circle:
                return circle
        path.pop()
        done.add(node)
        return None

    for node in sorted(graph):
        circle = visit(node)
        if circle:
            return circle
    return None


def check_reached(tree):
    """Every header is included by another unit than its own, every .cpp is built."""
    included = {}
    for source in tree.sources.values():
        for _, quoted, target in source.includes():
            if quoted:
                included.setdefault(target, set()).add(source.stem)
                included.setdefault(target.split("/")[-1], set()).add(source.stem)
    root_list = tree.read("CMakeLists.txt")
    for source in tree.sources.values():
        if source.is_header:
            name = source.path[4:] if source.folder else source.path.split("/")[-1]
            if not included.get(name, set()) - {source.stem, source.stem + "_test"}:
                yield Finding(source.path, 1, "reached",
                              "nothing but its own unit includes this header")
            continue
        here = source.path.rsplit("/", 1)[0]
        if source.folder:
            layer = tree.read(f"src/{source.folder}/CMakeLists.txt")
            named = source.path.removeprefix(f"src/{source.folder}/")
            built = (here == f"src/{source.folder}" or named in layer) and "gavel_layer(" in layer
            built = built and re.search(rf"\b{source.folder}\b", root_list)
        else:
            built = built_outside_src(tree, source)
        if not built:
            yield Finding(source.path, 1, "reached", "no CMakeLists.txt builds this file")


def built_outside_src(tree, source):
    """A CMakeLists.txt here or above names the file or its stem, or globs *.cpp."""
    parts = source.path.split("/")[:-1]
    while parts:
        build = tree.read("/".join(parts) + "/CMakeLists.txt")
        stem = re.escape(re.sub("_(test|fuzz)$", "", source.stem))
        if re.search(rf"\b{stem}\b", build) or "*.cpp" in build or "*_test.cpp" in build:
            return True
        parts.pop()
    return False


IMPURE_HEADERS = {
    "thread": "threads", "mutex": "threads", "condition_variable": "threads", "future": "threads",
    "filesystem": "files", "fstream": "files", "unistd.h": "the system", "fcntl.h": "files",
}


def check_purity(tree):
    """base, core, oauth, policy and protocol touch no Asio, threads, clocks, files or environment."""
    for source in tree.sources.values():
        if source.folder not in PURE_FOLDERS or source.is_test:
            continue
        for number, _, target in source.includes():
            what = IMPURE_HEADERS.get(target)
            if target.startswith(("boost/asio", "boost/beast")):
                what = "Asio"
            if what and not source.excused(number, "pure"):
                yield Finding(source.path, number, "pure",
                              f"{source.folder} is pure: no {what} ({target})")
        for number, found in source.matches(r"\b(getenv|secure_getenv|environ)\b"):
            if not source.excused(number, "pure"):
                yield Finding(source.path, number, "pure",
                              f"{source.folder} is pure: no environment ({found.group()})")


def check_clocks(tree):
    """Only the files of tools/clock_readers.txt read a clock."""
    readers = tree.clock_readers()
    pattern = r"\b(system|steady|high_resolution|utc|file)_clock::now\b|\b(clock_gettime|gettimeofday)\b"
    for source in tree.sources.values():
        if source.is_test:
            continue
        allowed = set()
        for place, clocks in readers.items():
            if source.path == place or (place.endswith("/") and source.path.startswith(place)):
                allowed |= clocks
        for number, found in source.matches(pattern):
            if found.group(1) not in allowed and not source.excused(number, "clock"):
                yield Finding(source.path, number, "clock",
                              f"{found.group()}: take the time from runtime/clock.hpp or the "
                              "command, or list the file in tools/clock_readers.txt with its reason")


# rule: (pattern, what to use instead, which sources)
BANS = {
    "regex": (r"\bstd::(w?regex|regex_match|regex_search|regex_replace)\b",
              "use RE2: it cannot blow up on hostile input", lambda s: True),
    "rand": (r"(?<![\w:.>])(s?rand|drand48)\s*\(|\bstd::s?rand\b|\brandom_device\b|\bmt19937",
             "use Random of runtime/clock.hpp", lambda s: not s.is_test and s.folder),
    "sleep": (r"\bsleep_(for|until)\b|(?<![\w:.>])(u|nano)?sleep\s*\(",
              "wait for the event itself, with a deadline",
              lambda s: s.folder not in ("", "cli") or s.is_test),
    "detached": (r"\basio::detached\b|\.detach\(\)",
                 "give the task an owner that logs its failure and cancels it", lambda s: True),
    "cout": (r"\bstd::(cout|cerr|clog)\b|(?<![\w:.>])(printf|puts|putchar)\s*\(|\bstd::(printf|puts)\b",
             "only the command line prints; take a LogLine or an ostream",
             lambda s: s.folder and s.folder not in ("cli", "app") and not s.is_test),
    # A private constructor is out of make_unique's reach: its owner then takes the pointer at once.
    "new": (r"(?<!operator )\bnew\s+[A-Za-z_:(]",
            "use make_unique, make_shared or a container", lambda s: not s.is_test),
    "delete": (r"(?<!operator )(?<!= )\bdelete(\[\])?\s+[A-Za-z_*(]", "let an owner do it",
               lambda s: not s.is_test),
    "process": (r"(?<![\w:.>])(?:::|std::)?(system|setenv|putenv)\s*\(",
                "start children with posix_spawn through their owner, pass the environment along",
                lambda s: s.folder),
    "swallow": (r"catch\s*\(\s*\.\.\.\s*\)\s*\{\s*\}", "say what failed", lambda s: True),
}


OWNED = re.compile(r"(unique|shared)_ptr<[\w:]+>( \w+)?\($")


def check_bans(tree):
    """Constructs with a better replacement."""
    for source in tree.sources.values():
        for rule, (pattern, instead, applies) in BANS.items():
            if not applies(source):
                continue
            for number, found in source.matches(pattern):
                owned = rule == "new" and OWNED.search(found.string[:found.start()])
                if not owned and not source.excused(number, rule):
                    yield Finding(source.path, number, rule, f"{found.group().strip()}: {instead}")


LAMBDA = re.compile(r"(?<![\w\])])\[(?!\[)([^\[\]]*)\]\s*(?=[({]|->|mutable)")


def check_lambdas(tree):
    """A lambda that captures is never itself a coroutine: its captures die before it ends."""
    for source in tree.sources.values():
        for found in LAMBDA.finditer(source.code):
            if found.group(1).strip() and is_coroutine(source.code, found.end()):
                number = source.line_of(found.start())
                if not source.excused(number, "lambda"):
                    yield Finding(source.path, number, "lambda",
                                  "a capturing lambda is a coroutine: make it a named function "
                                  "with parameters by value")


def is_coroutine(code, start):
    """Whether the lambda whose captures end at `start` awaits, yields or co_returns itself."""
    head_end = code.find("{", skip_parentheses(code, start))
    if head_end < 0:
        return False
    body = code[head_end + 1:matching(code, head_end, "{", "}")]
    return re.search(r"\bco_(await|return|yield)\b", without_lambdas(body)) is not None


def without_lambdas(body):
    """The body with the bodies of lambdas inside it left out."""
    kept, at = "", 0
    while True:
        found = LAMBDA.search(body, at)
        if not found:
            return kept + body[at:]
        opening = body.find("{", skip_parentheses(body, found.end()))
        if opening < 0:
            return kept + body[at:]
        kept += body[at:found.start()]
        at = matching(body, opening, "{", "}") + 1


def skip_parentheses(code, start):
    at = start
    while at < len(code) and code[at].isspace():
        at += 1
    return matching(code, at, "(", ")") + 1 if code[at:at + 1] == "(" else at


def matching(code, start, opening, closing):
    depth = 0
    for at in range(start, len(code)):
        if code[at] == opening:
            depth += 1
        elif code[at] == closing:
            depth -= 1
            if depth == 0:
                return at
    return len(code)


def check_shape(tree):
    """File and line lengths, header openings, TODOs that say what kind they are."""
    for source in tree.sources.values():
        length = len(source.lines) - (source.lines[-1] == "")
        if length > LINES_MAX:
            yield Finding(source.path, LINES_MAX + 1, "length", f"{length} lines; {LINES_MAX} at most")
        for number, line in enumerate(source.lines, 1):
            # What stands in a raw string cannot be broken.
            if len(line) > COLUMNS_MAX and 'R"' not in line and not source.excused(number, "width"):
                yield Finding(source.path, number, "width",
                              f"{len(line)} columns; {COLUMNS_MAX} at most")
            if re.search(r"\b(TODO|FIXME|XXX|HACK)\b(?!\((limit|speed|later)\): \S)", line):
                yield Finding(source.path, number, "todo",
                              "write TODO(limit|speed|later): what, or do it now")
        if source.is_header:
            if source.lines[0] != "#pragma once":
                yield Finding(source.path, 1, "header", "the first line is #pragma once")
            elif source.folder and not source.lines[1].startswith("// "):
                yield Finding(source.path, 2, "header", "opens with its concept, as a comment")


def check_excuses(tree):
    """An excuse has a reason and excuses something. Runs last."""
    for source in tree.sources.values():
        for number, line in enumerate(source.lines, 1):
            found = EXCUSE.search(line)
            if found and number not in source.used_excuses:
                why = "excuses nothing" if found.group(2) else "gives no reason"
                yield Finding(source.path, number, "excuse", f"allow({found.group(1)}) {why}")


RULES = [check_edges, check_cycles, check_reached, check_purity, check_clocks, check_bans,
         check_lambdas, check_shape, check_excuses]
