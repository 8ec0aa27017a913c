#!/usr/bin/env python3
"""Runs incidents: each once without Gavel, where the damage happens, and once with it, where it
does not. The witness is the database or the file system itself.

    incidents/run.py list
    incidents/run.py run [NAME ...] [--agent PROGRAM] [--json] [--binary PATH] [--verbose]
                         [--narrated]

NAME is a number (1), a folder (01-nine-seconds) or a part of its name (zombie). The exit code is 0
where every half showed what it must, 1 where one did not, 2 where something is missing."""

import argparse
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(HERE))

from lib import peers  # noqa: E402
from lib.gavel import find_binary  # noqa: E402
from lib.narrate import Narrator  # noqa: E402
from lib.postgres import Postgres, programs  # noqa: E402
from lib.programs import PROGRAMS  # noqa: E402
from lib.results import update_results  # noqa: E402
from lib.world import World  # noqa: E402

# One half of one incident must end within this; the longest takes some twenty seconds.
HALF_LIMIT_S = 240


class TooLong(Exception):
    pass


def catalogue():
    """All incidents: {number: module}, by their folders."""
    found = {}
    for folder in sorted(HERE.glob("[0-9][0-9]-*")):
        spec = importlib.util.spec_from_file_location(
            f"incident_{folder.name[:2]}", folder / "scenario.py"
        )
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.FOLDER = folder
        found[int(folder.name[:2])] = module
    return found


def chosen(incidents, names):
    if not names:
        return list(incidents.items())
    picked = []
    for name in names:
        matches = [
            (number, module)
            for number, module in incidents.items()
            if (name.isdigit() and int(name) == number)
            or (not name.isdigit() and name in module.FOLDER.name)
        ]
        if not matches:
            raise LookupError(f"no incident is called {name}; incidents/run.py list shows them all")
        picked += matches
    return picked


class Runner:
    def __init__(self, base, binary, say, agent):
        self._base = base
        self._binary = binary
        self._agent = agent
        self._say = say
        self._postgres = None

    def postgres(self):
        """One server for the whole run, started when the first scenario needs it; each half gets
        databases of its own."""
        if self._postgres is None:
            self._postgres = Postgres(self._base / "postgres")
            self._postgres.start()
        return self._postgres

    def close(self):
        if self._postgres:
            self._postgres.stop()

    def incident(self, number, module, only=None):
        self._say.title(number, module.NAME, module.SUMMARY)
        started = time.monotonic()
        result = {"incident": number, "name": module.FOLDER.name}
        for half, play, guarded in (
            ("without", module.without, False),
            ("with", module.guarded, True),
        ):
            if only in (None, half):
                self._say.half(guarded)
                result[half] = self._half(play)
        result["passed"] = all(
            result[half]["passed"] for half in ("without", "with") if half in result
        )
        result["seconds"] = round(time.monotonic() - started, 2)
        self._say.ended(result["passed"], result["seconds"])
        return result

    def _half(self, play):
        world = World(ROOT, self._base, self.postgres, self._binary, self._say, self._agent)
        started = time.monotonic()
        error = None
        signal.alarm(HALF_LIMIT_S)
        try:
            with world:
                play(world)
        except Exception as caught:
            error = f"{type(caught).__name__}: {caught}"
            self._say.failed(str(caught))
            self._say.detail(traceback.format_exc())
        finally:
            signal.alarm(0)
        half = {
            "passed": error is None,
            "seconds": round(time.monotonic() - started, 2),
            "facts": world.facts,
            "checks": world.checks,
        }
        if error:
            half["error"] = error
        return half


def list_incidents(as_json):
    incidents = catalogue()
    if as_json:
        print(
            json.dumps(
                [
                    {
                        "incident": number,
                        "name": module.FOLDER.name,
                        "title": module.NAME,
                        "summary": module.SUMMARY,
                    }
                    for number, module in incidents.items()
                ],
                indent=2,
            )
        )
        return 0
    for number, module in incidents.items():
        print(f"{number:3}  {module.FOLDER.name:38}  {module.SUMMARY}")
    return 0


def prepare(binary, needs_binary, agent):
    """What every run needs, or a FileNotFoundError that says what to do."""
    programs()
    if agent != "opencode" and not PROGRAMS[agent].is_installed():
        raise FileNotFoundError(f"{PROGRAMS[agent].title} is missing; in a checkout of Gavel, run "
                                "tests/agents/install.sh")
    subprocess.run(
        ["sh", str(ROOT / "tests/peers/install.sh"), str(peers.directory(ROOT))],
        check=True,
        stdout=sys.stderr,
    )
    return find_binary(ROOT, binary) if needs_binary else None


def on_alarm(*_):
    raise TooLong(f"not done within {HALF_LIMIT_S} s")


def on_terminate(*_):
    raise KeyboardInterrupt


def run_incidents(options):
    try:
        picked = chosen(catalogue(), options.names)
        binary = prepare(options.binary, options.half != "without", options.agent)
    except (LookupError, OSError, subprocess.CalledProcessError) as error:
        print(f"incidents: {error}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGALRM, on_alarm)
    signal.signal(signal.SIGTERM, on_terminate)
    stream = sys.stdout if not options.json else (sys.stderr if options.verbose else None)
    say = Narrator(stream, options.narrated, options.verbose)
    base = Path(tempfile.mkdtemp(prefix="gavel-incidents-"))
    os.chmod(base, 0o755)
    runner = Runner(base, binary, say, options.agent)
    results = []
    try:
        for number, module in picked:
            results.append(runner.incident(number, module, options.half))
    except KeyboardInterrupt:
        print("incidents: interrupted", file=sys.stderr)
        return 130
    finally:
        runner.close()
        if options.keep:
            print(f"incidents: kept {base}", file=sys.stderr)
        else:
            shutil.rmtree(base, ignore_errors=True)
    if options.results:
        update_results(options.results, results, ["name"])
    if options.json:
        print(json.dumps(results, indent=2))
    else:
        say.summary(results)
    return 0 if all(result["passed"] for result in results) else 1


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("list", help="show all incidents")
    listing.add_argument("--json", action="store_true")
    running = commands.add_parser("run", help="run some or all")
    running.add_argument("names", nargs="*", metavar="NAME")
    running.add_argument("--json", action="store_true", help="print the results as a JSON array")
    running.add_argument("--results", help="a file that they are put into, by name")
    running.add_argument("--binary", help="the gavel to run; otherwise GAVEL_BINARY or the build")
    running.add_argument("--narrated", action="store_true", help="tell the story as well")
    running.add_argument(
        "--verbose", action="store_true", help="show the programs' output on failure"
    )
    running.add_argument("--half", choices=["without", "with"], help="only this half")
    running.add_argument(
        "--agent", choices=list(PROGRAMS), default="opencode", help="that of 1, 2 and 16"
    )
    running.add_argument("--keep", action="store_true", help="keep the temporary directory")
    options = parser.parse_args()
    if options.command == "list":
        return list_incidents(options.json)
    return run_incidents(options)


if __name__ == "__main__":
    sys.exit(main())
