"""A store as a binary of some version leaves it, and what every later binary must read in it.

    python3 tests/golden/stores.py BINARY    writes store-N.tar.xz and store-N.json from BINARY

N is the number of the format (docs/formats/log.md). A store is written once for each format, by a
binary that wrote that format, and never again."""

import json
import sys
import tarfile
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "incidents"))
sys.path.insert(0, str(HERE.parent / "e2e"))

from lib.gavel import Gavel, Refused  # noqa: E402

FORMAT = 1
CONFIG = f"""
servers:
  box:
    command: [python3, "{HERE.parent}/e2e/upstream.py"]
    environment: {{UPSTREAM_FILE: "@FILE@"}}
    timeout: 2s
    tools:
      echo: {{effect: read}}
      append: {{effect: write}}
      append_slowly: {{effect: write}}
      append_and_die: {{effect: write}}
budgets:
  - name: lines
    scope: agent
    tools: ["box__append"]
    calls: 100
rules:
  - name: large lines wait
    tools: ["box__append"]
    arguments: {{properties: {{text: {{pattern: "^large"}}}}}}
    verdict: ask
    reason: a person looks at large lines
  - name: lines may be appended
    tools: ["box__append*"]
    verdict: allow
    reason: this is what the store is of
"""


def config(effects):
    return CONFIG.replace("@FILE@", str(effects))


def fill(gavel):
    """Work of every kind: done, read, repeated, refused, held, unknown, taken over, halted."""
    for number in range(12):
        gavel.propose("work", "box__append", {"text": f"line {number}"}, epoch=1, key=f"k{number}")
    gavel.propose("work", "box__append", {"text": "line 3"}, epoch=1, key="k3")
    gavel.propose("work", "box__echo", {"text": "x" * 100_000}, epoch=1)
    gavel.propose("work", "box__append", {"text": "large line"}, epoch=1, key="held", wait_ms=50)
    gavel.propose("work", "box__append_and_die", {"text": "may be"}, epoch=1, key="lost")
    gavel.wait_pending("work")
    gavel.api("POST", "/v1/sessions/work/wake", {"reason": "its program died"})
    try:
        gavel.propose("work", "box__append", {"text": "from the dead"}, epoch=1, key="zombie")
    except Refused:
        pass
    gavel.propose("other", "box__append", {"text": "of another"}, epoch=1, key="k0")
    time.sleep(0.5)  # what is deferred follows within a tenth of a second
    gavel.ask("halt", "agent:other-agent", "--reason", "it misbehaves")


def read(gavel):
    """What a binary says is in the store, of what time does not change: holds expire."""
    return {
        "entries": {log: gavel.entries(log) for log in ["work", "other"]},
        "halts": gavel.api("GET", "/v1/halts"),
    }


def part_of(old, new, path=""):
    """Where what an older binary said is not said any more; later ones may say more."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key, value in old.items():
            if key not in new:
                return f"{path}/{key} is missing"
            if found := part_of(value, new[key], f"{path}/{key}"):
                return found
        return ""
    if isinstance(old, list) and isinstance(new, list) and len(old) <= len(new):
        each = (part_of(a, b, f"{path}/{i}") for i, (a, b) in enumerate(zip(old, new)))
        return next((found for found in each if found), "")
    return "" if old == new else f"{path}: {old!r} became {new!r}"


def record(binary):
    with tempfile.TemporaryDirectory() as directory:
        here = Path(directory)
        gavel = Gavel(binary, here / "gavel", config(here / "effects"))
        gavel.start()
        fill(gavel)
        said = read(gavel)
        gavel.kill()  # the write-ahead log belongs to the format, too
        (HERE / f"store-{FORMAT}.json").write_text(json.dumps(said, indent=1) + "\n")
        with tarfile.open(HERE / f"store-{FORMAT}.tar.xz", "w:xz") as tar:
            tar.add(gavel.state / "store", "store")


if __name__ == "__main__":
    record(sys.argv[1])
