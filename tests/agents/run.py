#!/usr/bin/env python3
"""Plays every scenario and the incidents of agents with every agent program and prints a table of
them. What each program showed is compared with its page in docs/clients, or written there
(--record)."""

import argparse
import json
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "incidents"))

import pages  # noqa: E402
from lib.gavel import find_binary  # noqa: E402
from lib.programs import PROGRAMS  # noqa: E402
from lib.results import update_results  # noqa: E402
from scenarios import SCENARIOS, concerns, play  # noqa: E402


# Incidents whose agent is a program, each without Gavel and with it.
INCIDENTS = {f"incident-{number}": number for number in (1, 2, 9, 16)}


def play_incident(name, program, binary):
    """AssertionError with what was not so."""
    done = subprocess.run(
        [
            sys.executable,
            ROOT / "incidents/run.py",
            "run",
            str(INCIDENTS[name]),
            "--json",
            *("--agent", program.name),
            *("--binary", binary),
        ],
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise AssertionError(f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}".strip())


def table(verdicts, programs, names):
    width = max(map(len, names))
    lines = [" " * width + "".join(f"  {program.name:>12}" for program in programs)]
    for name in names:
        cells = (verdicts.get((program.name, name), "-") for program in programs)
        lines.append(f"{name:{width}}" + "".join(f"  {cell:>12}" for cell in cells))
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", help="default: all")
    every = [*SCENARIOS, *INCIDENTS]
    parser.add_argument("--scenario", action="append", choices=every, help="default: all")
    parser.add_argument("--record", action="store_true", help="write docs/clients")
    parser.add_argument("--binary", help="the gavel to test")
    parser.add_argument("--results", type=Path, default=ROOT / "build/agents/results")
    options = parser.parse_args()
    unknown = set(options.programs) - set(PROGRAMS)
    if unknown:
        parser.error(f"no program {unknown.pop()}; there are {', '.join(PROGRAMS)}")
    programs = [PROGRAMS[name] for name in options.programs or PROGRAMS]
    names = options.scenario or every
    binary = find_binary(ROOT, options.binary)
    # Programs are interrupted, also where a shell that runs this in the background ignores it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    verdicts = {}
    for program in programs:
        results = {}
        for name in (each for each in names if concerns(each, program)):
            started = time.monotonic()
            try:
                if not program.is_installed():
                    raise FileNotFoundError("it is not installed: run tests/agents/install.sh")
                verdict, detail = "ok", ""
                if name in INCIDENTS:
                    play_incident(name, program, binary)
                else:
                    results[name] = play(name, program, binary)
                    if not options.record:
                        detail = pages.difference(program, name, results[name])
                        verdict = "page differs" if detail else "ok"
            except Exception as error:
                if getattr(error, "recorded", None):
                    results[name] = {**error.recorded, "failed": error.what}
                verdict, detail = "FAILED", str(error) or traceback.format_exc()
                if not isinstance(error, AssertionError):
                    detail += "\n" + traceback.format_exc()
            verdicts[program.name, name] = verdict
            took = time.monotonic() - started
            print(f"{program.name:12} {name:11} {verdict:12} {took:6.1f} s", flush=True)
            if detail:
                print("    " + detail.replace("\n", "\n    "), flush=True)
            if options.record and name in results:
                pages.record(program, {name: results[name]})
        options.results.mkdir(parents=True, exist_ok=True)
        (options.results / f"{program.name}.json").write_text(json.dumps(results, indent=2))
        rows = [{"program": program.name, "case": name, "verdict": verdicts[program.name, name]}
                for name in names if (program.name, name) in verdicts]
        update_results(options.results / "verdicts.json", rows, ["program", "case"])
    print()
    print(table(verdicts, programs, names))
    failed = sum(verdict != "ok" for verdict in verdicts.values())
    print(f"{len(verdicts) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
