#!/usr/bin/env python3
"""Runs the test suites one after the other, says how each went, shows the output of those that
failed, and ends with "N passed, N failed" over all of them. ./dev test builds and calls this."""

import argparse
import json
import os
import re
import secrets
import shlex
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as xml
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SUITE_SECONDS_MAX = 1500
SHOWN_LINES = 200
FUZZ_SECONDS = 2  # for each target


@dataclass
class Run:
    passed: int
    failed: int
    output: str


class Suites:
    def __init__(self, build):
        self.build = build
        self.binary = build / "src/app/gavel"
        self.results = build / "test-results"
        self.jobs = os.cpu_count() or 2
        # In the order in which they run: the cheapest first.
        self.all = {
            "format": (self.format, "clang-format over src, tests and bench"),
            "layers": (self.layers, "includes, purity, bans and lengths (tests/layers)"),
            "unit": (self.unit, "everything that ctest knows, in parallel"),
            "docs": (self.docs, "links, commands and presets that the documents name (tests/docs)"),
            "simulate": (self.simulate, "the product in a simulated world (tests/simulation)"),
            "model": (self.model, "the model of the protocol, and that it can fail (model/)"),
            "fuzz": (self.fuzz, "every decoder on its corpus, changed at random (tests/fuzz)"),
            "hostile": (self.hostile, "whoever tries what they must not (tests/hostile)"),
            "e2e": (self.end_to_end, "the real binary from outside (tests/e2e)"),
            "peers": (self.peers, "the official SDKs and servers, with Gavel and without (tests/peers)"),
            "crash": (self.crash, "the real binary cut off at writes and syncs (tests/crash)"),
            "soak": (self.soak, "20 s of mixed load while things die (tests/soak)"),
            "package": (self.package, "a Debian package of it, installed into a scratch root and run"),
            "incidents": (self.incidents, "the incidents with real parts (incidents/)"),
        }

    def run(self, command, timeout=SUITE_SECONDS_MAX, environment=None):
        """Exit code and output of a command; one that hangs is killed with its group and fails."""
        child = subprocess.Popen(
            [str(word) for word in command], cwd=ROOT, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            start_new_session=True,
            env={**os.environ, "GAVEL_BINARY": str(self.binary), **(environment or {})})
        try:
            output, _ = child.communicate(timeout=timeout)
            return child.returncode, output
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, 9)
            output, _ = child.communicate()
            return 1, output + f"\nkilled: still running after {timeout} s\n"

    def counted(self, command, **options):
        """A run that ends in "N passed, N failed", or counts as one test where it does not."""
        code, output = self.run(command, **options)
        closing = re.findall(r"^(\d+) passed, (\d+) failed\b", output, re.MULTILINE)
        if closing:
            passed, failed = map(int, closing[-1])
        else:
            ran = re.findall(r"^Ran (\d+) tests? in", output, re.MULTILINE)
            broken = re.findall(r"(?:failures|errors)=(\d+)", output)
            failed = sum(map(int, broken))
            passed = sum(map(int, ran)) - failed if ran else int(code == 0)
        if code != 0 and failed == 0:
            failed = 1
        return Run(passed, failed, output)

    def model(self):
        return self.counted(["python3", "model/check.py"])

    def simulate(self):
        """Seeds that are always the same, which have to reach everything, and some that are new."""
        simulator = self.build / "tests/simulation/gavel-sim"
        commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, text=True,
                                capture_output=True).stdout.strip() or "unknown"
        common = [simulator, "--jobs", self.jobs, "--commit", commit]
        fixed = self.counted([*common, "--seeds", 600])
        fresh = self.counted([*common, "--seeds", 300, "--from", secrets.randbits(48)])
        return Run(fixed.passed + fresh.passed, fixed.failed + fresh.failed,
                   fixed.output + fresh.output)

    def fuzz(self):
        """New seeds each time: a finding prints its own, and keeps the input."""
        return self.counted([sys.executable, "tools/fuzz.py", "--build", self.build,
                             "--mutate", FUZZ_SECONDS])

    def hostile(self):
        return self.counted([sys.executable, "tests/hostile/run.py"])

    def format(self):
        return self.counted(["./dev", "format", "--check"])

    def layers(self):
        return self.counted([sys.executable, "tests/layers/layers.py"])

    def docs(self):
        return self.counted([sys.executable, "tests/docs/docs.py"])

    def unit(self):
        """One GoogleTest program per layer: its own report counts each test of it."""
        shutil.rmtree(self.results, ignore_errors=True)
        self.results.mkdir(parents=True)
        report = self.results / "ctest.xml"
        code, output = self.run(
            ["ctest", "--test-dir", self.build, "--output-on-failure", "-j", self.jobs,
             "-LE", "tree", "--timeout", "600", "--output-junit", report],
            environment={"GTEST_OUTPUT": f"json:{self.results}/", "GTEST_BRIEF": "1"})
        if not report.exists():
            return Run(0, 1, output)
        passed = failed = 0
        for case in xml.parse(report).getroot().iter("testcase"):
            ok = case.get("status") == "run"
            details = self.results / f"gavel_{case.get('name')}_test.json"
            if not details.exists():
                passed, failed = passed + ok, failed + (not ok)
                continue
            counts = json.loads(details.read_text())
            broken = counts["failures"] + counts["errors"]
            failed += max(broken, int(not ok))
            passed += counts["tests"] - broken - counts["disabled"]
        if passed + failed == 0:
            return Run(0, 1, output + "\nctest found no tests\n")
        return Run(passed, max(failed, int(code != 0)), output)

    def end_to_end(self):
        """Each file of tests/e2e by itself, as many at a time as there are processors."""
        files = [path for path in sorted(ROOT.glob("tests/e2e/test_*.py"))
                 if path.stem != "test_e2e"]
        if not files:
            return Run(0, 1, "tests/e2e holds no tests\n")
        with ThreadPoolExecutor(self.jobs) as pool:
            runs = list(pool.map(self.end_to_end_file, files))
        output = "".join(f"--- {file.name}\n{run.output}\n"
                         for file, run in zip(files, runs) if run.failed)
        return Run(sum(r.passed for r in runs), sum(r.failed for r in runs), output)

    def end_to_end_file(self, path):
        run = self.counted([sys.executable, "tests/e2e/test_e2e.py", path.stem])
        # A test that skips itself because something is missing did not pass.
        skipped = sum(map(int, re.findall(r"failed, (\d+) skipped", run.output)))
        return Run(run.passed, run.failed + skipped, run.output)

    def peers(self):
        return self.counted([sys.executable, "tests/peers/run.py"])

    def crash(self):
        return self.counted([sys.executable, "tests/crash/crash.py", "--quick"], timeout=600)

    def soak(self):
        return self.counted([sys.executable, "tests/soak/soak.py", "--quick"], timeout=600)

    def package(self):
        target = self.build / "package"
        built = self.counted(["packaging/build.sh", self.binary, target])
        if built.failed:
            return built
        debs = sorted(target.glob("*.deb"), key=lambda path: path.stat().st_mtime)
        return self.counted(["packaging/check.sh", debs[-1]])

    def incidents(self):
        """Each half of each incident, without Gavel and with it, counts as one test."""
        report = self.build / "test-results" / "incidents.json"
        report.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "incidents/run.py", "run", "--json", "--verbose",
                   "--binary", str(self.binary)]
        code, output = self.run(["sh", "-c", f"{shlex.join(command)} >{shlex.quote(str(report))}"])
        try:
            halves = [half for incident in json.loads(report.read_text())
                      for half in incident.values() if isinstance(half, dict)]
        except ValueError:
            return Run(0, 1, output)
        passed = sum(half["passed"] for half in halves)
        return Run(passed, max(len(halves) - passed, int(code != 0)), output)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("suites", nargs="*", metavar="SUITE", help="default: all")
    parser.add_argument("--build", type=Path, default=ROOT / "build/dev", help="a built preset")
    parser.add_argument("--list", action="store_true", help="name the suites and end")
    options = parser.parse_args()
    suites = Suites(options.build.resolve())
    if options.list:
        for name, (_, what) in suites.all.items():
            print(f"{name:10}  {what}")
        return 0
    unknown = [name for name in options.suites if name not in suites.all]
    if unknown:
        parser.error(f"no suite {unknown[0]}; there are {', '.join(suites.all)}")
    passed = failed = 0
    began = time.monotonic()
    for name, (suite, _) in suites.all.items():
        if options.suites and name not in options.suites:
            continue
        started = time.monotonic()
        run = suite()
        took = time.monotonic() - started
        verdict = "ok" if run.failed == 0 else "FAILED"
        print(f"{name:10}  {verdict:6}  {run.passed:5} passed  {run.failed:3} failed  {took:7.1f} s",
              flush=True)
        if run.failed:
            log = options.build / "test-results" / f"{name}.log"
            log.parent.mkdir(parents=True, exist_ok=True)
            log.write_text(run.output)
            lines = run.output.rstrip().splitlines()
            if len(lines) > SHOWN_LINES:
                print(f"    ... {len(lines) - SHOWN_LINES} lines before these are in {log}")
            print("\n".join("    " + line for line in lines[-SHOWN_LINES:]), flush=True)
        passed += run.passed
        failed += run.failed
    print(f"all suites in {time.monotonic() - began:.0f} s")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
