"""docs/clients: a page for each program, its cases as they were recorded. A page is text around
sections that begin with "### " and the scenario's name, which are written and compared here."""

import difflib
import re
from pathlib import Path

from scenarios import SCENARIOS

FOLDER = Path(__file__).resolve().parent.parent.parent / "docs/clients"
BEGIN = "<!-- cases: recorded by ./dev e2e-agents --record -->"


def page_of(program):
    return FOLDER / f"{program.name}.md"


def block(text):
    return "\n".join(f"    {line}".rstrip() for line in text.splitlines())


def section(program, name, recorded):
    what = SCENARIOS[name].__doc__.strip()
    parts = [f"### {name}", what]
    if "failed" in recorded:
        parts.append(f"**This fails** ({recorded['failed']}):")
    for number, text in enumerate(recorded["model"], 1):
        which = f" ({number})" if len(recorded["model"]) > 1 else ""
        parts.append(f"The model reads{which}:\n\n{block(text) or '    (nothing)'}")
    parts.append(f"The terminal:\n\n{block(recorded['terminal']) or '    (nothing)'}")
    if recorded["log"]:
        parts.append(f"Gavel's log:\n\n{block(chr(10).join(recorded['log']))}")
        parts.append("The notes: " + (", ".join(f"`{n}`" for n in recorded["notes"]) or "none"))
    return "\n\n".join(parts) + "\n"


def head(program):
    lines = "\n".join(f"    {line}" for line in program.set_up)
    notes = "\n".join(program.notes)
    return f"""# {program.title}

With `gavel up` running:

{lines}

{notes}

## Cases

Tried with the real {program.title} {program.version()} from npm, its model a script, `notes` an MCP
server that keeps lines in a file. [hooks.md](../hooks.md) and [mcp.md](../mcp.md) say why it is so.
`STATE`, `PROJECT` and `N s` stand for what is another each time.

{BEGIN}
"""


def sections_of(page):
    """Name of the case to its text, in the order of the page."""
    if not page.exists():
        return {}
    text = page.read_text().partition(BEGIN)[2]
    found = re.split(r"^(?=### )", text, flags=re.MULTILINE)[1:]
    return {part.split("\n", 1)[0][4:]: part.rstrip() + "\n" for part in found}


def record(program, results):
    known = sections_of(page_of(program))
    known.update({name: section(program, name, found) for name, found in results.items()})
    FOLDER.mkdir(parents=True, exist_ok=True)
    ordered = [known[name] for name in SCENARIOS if name in known]
    page_of(program).write_text(head(program) + "\n" + "\n".join(ordered))


def difference(program, name, recorded):
    """What differs from the page; nothing where it is the same."""
    before = sections_of(page_of(program)).get(name, "")
    after = section(program, name, recorded)
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), "page", "run", n=1)
    return "\n".join(lines)
