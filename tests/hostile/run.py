#!/usr/bin/env python3
"""The hostile suite against the real daemon: every test_*.py of this folder, two at a time.

    tests/hostile/run.py [test_json ...]

GAVEL_BINARY names the binary; otherwise the newest build is taken. The last line says how many
tests passed and failed."""

import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
AT_ONCE = 2
SECONDS_MAX = 300


def run(name):
    try:
        done = subprocess.run([sys.executable, "-m", "unittest", name], cwd=HERE, text=True,
                              capture_output=True, timeout=SECONDS_MAX, check=False)
    except subprocess.TimeoutExpired as expired:
        return 0, 1, f"{name}: still running after {expired.timeout} s"
    ran = re.search(r"^Ran (\d+) tests? in", done.stderr, re.MULTILINE)
    broken = sum(map(int, re.findall(r"(?:failures|errors|skipped)=(\d+)", done.stderr)))
    if done.returncode != 0:
        broken = max(broken, 1)
    passed = max(int(ran[1]) - broken, 0) if ran else 0
    return passed, broken, done.stdout + done.stderr if broken else ""


def main():
    names = [name.removesuffix(".py") for name in sys.argv[1:]]
    names = names or sorted(path.stem for path in HERE.glob("test_*.py"))
    began = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        results = list(pool.map(run, names))
    for name, (_, failed, output) in zip(names, results):
        if failed:
            print(f"--- {name}\n{output}")
    passed = sum(result[0] for result in results)
    failed = sum(result[1] for result in results)
    print(f"hostile: {time.monotonic() - began:.0f} s")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
