#!/usr/bin/env python3
"""End to end: the real binary, driven from outside. Runs every test_*.py of this folder.

    tests/e2e/test_e2e.py [-v] [test_recovery ...]

GAVEL_BINARY names the binary; otherwise the newest build is taken. The last line says how many
tests passed and failed."""

import sys
import time
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))


def main():
    names = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    loader = unittest.defaultTestLoader
    if names:
        suite = loader.loadTestsFromNames([name.removesuffix(".py") for name in names])
    else:
        modules = sorted(p.stem for p in HERE.glob("test_*.py") if p.stem != "test_e2e")
        suite = loader.loadTestsFromNames(modules)
    verbosity = 2 if "-v" in sys.argv else 1
    started = time.monotonic()
    result = unittest.TextTestRunner(verbosity=verbosity).run(suite)
    failed = len(result.failures) + len(result.errors)
    passed = result.testsRun - failed - len(result.skipped)
    print(f"end to end: {time.monotonic() - started:.0f} s")
    print(f"{passed} passed, {failed} failed, {len(result.skipped)} skipped")
    return 1 if failed or passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
