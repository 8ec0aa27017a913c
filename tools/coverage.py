#!/usr/bin/env python3
"""Line coverage of src/ by the unit and end-to-end suites: a table per folder, the files with the
most uncovered lines, and a failure where a floor is missed. Test files do not count.
./dev coverage builds the coverage preset and calls this."""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Per cent of lines.
FLOORS = {"src/core": 95.0, "src/log": 95.0, "all": 85.0}
WORST_FILES = 15


def programs(build):
    """The product and every test program: together they hold all the code that there is."""
    tests = [path for path in sorted(build.rglob("gavel_*_test")) if os.access(path, os.X_OK)]
    return [build / "src/app/gavel", *tests]


def run_suites(build, suites, profiles):
    shutil.rmtree(profiles, ignore_errors=True)
    profiles.mkdir(parents=True)
    # %c: counters are mapped files, so that a process that is killed still counts.
    environment = {**os.environ, "LLVM_PROFILE_FILE": f"{profiles}/%p%c.profraw"}
    command = [sys.executable, ROOT / "tools/test.py", "--build", build, *suites]
    return subprocess.run(command, env=environment, check=False).returncode


def measure(build, profiles):
    """[(file, lines, covered lines)] of src/, tests left out."""
    raw = [str(path) for path in profiles.glob("*.profraw") if path.stat().st_size]
    listing = profiles / "files.txt"
    listing.write_text("\n".join(raw))
    merged = profiles / "merged.profdata"
    subprocess.run(["llvm-profdata-19", "merge", "-sparse", "--failure-mode=all",
                    f"--input-files={listing}", "-o", merged], check=True)
    first, *others = programs(build)
    command = ["llvm-cov-19", "export", "-summary-only", f"-instr-profile={merged}", first]
    for program in others:
        command += ["-object", program]
    exported = subprocess.run(command, check=True, capture_output=True).stdout
    files = []
    for file in json.loads(exported)["data"][0]["files"]:
        path = Path(file["filename"])
        if not path.is_relative_to(ROOT / "src") or path.stem.endswith("_test"):
            continue
        lines = file["summary"]["lines"]
        files.append((path.relative_to(ROOT).as_posix(), lines["count"], lines["covered"]))
    return files


def percent(lines, covered):
    return 100.0 * covered / lines if lines else 100.0


def report(files):
    """Prints the tables; the names of the folders below their floors."""
    folders = defaultdict(lambda: [0, 0])
    for path, lines, covered in files:
        for name in ("/".join(path.split("/")[:2]), "all"):
            folders[name][0] += lines
            folders[name][1] += covered
    print(f"\n{'folder':14} {'lines':>7} {'covered':>8} {'%':>7}  floor")
    below = []
    for name in sorted(folders, key=lambda n: (n == "all", n)):
        lines, covered = folders[name]
        share = percent(lines, covered)
        floor = FLOORS.get(name)
        if floor is not None and share < floor:
            below.append(f"{name} is at {share:.1f} %, below {floor:.0f} %")
        print(f"{name:14} {lines:7} {covered:8} {share:7.1f}  {'' if floor is None else floor}")
    print(f"\n{'most uncovered lines in':44} {'missed':>7} {'%':>7}")
    for path, lines, covered in sorted(files, key=lambda f: f[2] - f[1])[:WORST_FILES]:
        if lines > covered:
            print(f"{path:44} {lines - covered:7} {percent(lines, covered):7.1f}")
    return below


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--build", type=Path, default=ROOT / "build/coverage")
    parser.add_argument("suites", nargs="*", default=["unit", "e2e"], metavar="SUITE",
                        help="suites of tools/test.py; default: unit e2e")
    options = parser.parse_args()
    build = options.build.resolve()
    profiles = build / "profiles"
    failed = run_suites(build, options.suites, profiles)
    below = report(measure(build, profiles))
    print()
    for line in below:
        print(line)
    print("coverage: " + ("floors missed" if below else "every floor is kept"))
    return 1 if below or failed else 0


if __name__ == "__main__":
    sys.exit(main())
