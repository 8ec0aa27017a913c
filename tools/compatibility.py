#!/usr/bin/env python3
"""Writes docs/compatibility.md from what the last runs left in build/: a section whose results are
not there stays as it was. ./dev conformance, e2e-agents, incidents and bench call this."""

import json
import re
import sys
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/compatibility.md"
NOT_RUN = "Not run."
HEAD = """# Compatibility

What was seen to work, and what not. This page is written by `tools/compatibility.py` from the
results of the commands that each section names; a cell is empty where that was not run.
"""


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def read(path):
    """The array in a file of results; nothing where there is none."""
    try:
        return json.loads((ROOT / path).read_text())
    except (OSError, ValueError):
        return []


def date_of(rows):
    return max(row["date"] for row in rows)


def pivot(rows, row_key, column_key, cell):
    """A table of cells by the texts that row_key and column_key make of a result."""
    columns = list(dict.fromkeys(map(column_key, rows)))
    found = {}
    for row in rows:
        found.setdefault(row_key(row), {})[column_key(row)] = cell(row)
    body = [[name, *(cells.get(column, "") for column in columns)]
            for name, cells in found.items()]
    return columns, body


def referee():
    rows = [row for row in read("build/conformance/results.json") if row["required"]]
    if not rows:
        return None
    legs = {"server": "Gavel as server, before", "client": "Gavel as client", "direct": ""}
    parts = [f"`./dev conformance`, {date_of(rows)}: the required scenarios of MCP's official "
             "referee. As a server, Gavel stands before a fixture of each era."]
    reasons = {}

    def cell(row):
        if row["passed"]:
            return "pass"
        if not row["exception"]:
            return "**fails**"
        return f"excepted ({reasons.setdefault(row['exception'], len(reasons) + 1)})"

    for revision in sorted({row["revision"] for row in rows}):
        of_it = [row for row in rows if row["revision"] == revision and row["leg"] != "direct"]

        def column(row):
            fixture = "" if row["fixture"] == "-" else f" {row['fixture']}"
            return legs[row["leg"]] + fixture

        columns, body = pivot(of_it, lambda row: row["scenario"], column, cell)
        passed = sum(row["passed"] for row in of_it)
        parts += [f"### {revision}\n\n{passed} of {len(of_it)} pass.",
                  table(["scenario", *columns], body)]
    if reasons:
        parts.append("\n".join(f"{number}. {reason}" for reason, number in reasons.items()))
    return "\n\n".join(parts)


def peers():
    rows = [row for row in read("build/peers/results.json") if row["transport"] != "direct"]
    if not rows:
        return None
    columns, body = pivot(rows, lambda row: row["server"],
                          lambda row: f"{row['sdk']}, {row['era']}, {row['transport']}",
                          lambda row: "equal" if row["equal"] else "**differs**")
    return (f"`./dev test peers`, {date_of(rows)}: every tool of the official servers, called by "
            "the official SDKs directly and through Gavel; HTTP is its endpoint, stdio is "
            "`gavel mcp -- command`.\n\n"
            + table(["server", *columns], body))


def agents():
    rows = read("build/agents/results/verdicts.json")
    if not rows:
        return None

    def column(row):
        page = f"clients/{row['program']}.md"
        version = re.search(r"Tried with the real (.+?) from npm",
                            (ROOT / "docs" / page).read_text())
        return f"[{version[1]}]({page})"

    columns, body = pivot(rows, lambda row: row["case"], column,
                          lambda row: {"ok": "ok", "page differs": "works, shown otherwise"}.get(
                              row["verdict"], "**fails**"))
    return (f"`./dev e2e-agents`, {date_of(rows)}: the real programs with scripted models; what "
            "each case shows stands on the program's page.\n\n"
            + table(["case", *columns], body))


def incidents():
    rows = read("build/incidents/results.json")
    if not rows:
        return None

    def half(row, which):
        return "as it must" if row.get(which, {}).get("passed") else "**not as it must**"

    body = [[row["name"], half(row, "without"), half(row, "with")]
            for row in sorted(rows, key=lambda row: row["incident"])]
    return (f"`./dev incidents`, {date_of(rows)}: each incident happens without Gavel and is "
            "stopped with it ([incidents](../incidents/README.md)).\n\n"
            + table(["incident", "happens without", "stopped with"], body))


def figures():
    path = ROOT / "build/bench/summary.json"
    rows = read(path)
    if not rows:
        return None
    date = datetime.fromtimestamp(path.stat().st_mtime, timezone.utc).date()
    body = [[f"`{row['name']}`", f"{row['value']:.1f} {row['unit']}",
             f"{row['floor']:.1f}" if row["floor"] else ""] for row in rows]
    return (f"`./dev bench`, {date}, the release build. The floor is what the machine did without "
            "Gavel in the same run ([bench](../bench/README.md), which says what each is).\n\n"
            + table(["figure", "value", "floor"], body))


SECTIONS = {"MCP's referee": referee, "SDKs and servers": peers, "Agent programs": agents,
            "Incidents": incidents, "Figures": figures}


def sections_of(text):
    found = re.split(r"^## (.+)$", text, flags=re.MULTILINE)[1:]
    return dict(zip(found[::2], map(str.strip, found[1::2])))


def main():
    before = sections_of(PAGE.read_text()) if PAGE.exists() else {}
    parts = [HEAD.rstrip()]
    for name, make in SECTIONS.items():
        parts.append(f"## {name}\n\n{make() or before.get(name, NOT_RUN)}")
    PAGE.write_text("\n\n".join(parts) + "\n")
    print(f"written to {PAGE.relative_to(ROOT)}", file=sys.stderr)


if __name__ == "__main__":
    main()
