#!/usr/bin/env python3
"""Checks the documents against tests/docs/checks.py, after proving that every check can fail.
GAVEL_BINARY, or the dev build, says which commands there are. Ends with "N passed, N failed"."""

import os
import sys
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import checks  # noqa: E402
import checks_test  # noqa: E402


def main():
    root = HERE.parent.parent
    suite = unittest.defaultTestLoader.loadTestsFromModule(checks_test)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=0).run(suite)
    failed = len(result.failures) + len(result.errors)
    passed = result.testsRun - failed
    binary = Path(os.environ.get("GAVEL_BINARY") or root / "build/dev/src/app/gavel")
    commands = checks.commands_of(binary) if binary.exists() else None
    check_policy = checks.policy_check_of(binary) if binary.exists() else None
    tree = checks.Tree(root, commands, check_policy)
    for check in checks.CHECKS:
        findings = list(check(tree))
        for finding in findings:
            print(f"{finding.path}:{finding.line}: {finding.text}")
        passed, failed = (passed, failed + 1) if findings else (passed + 1, failed)
    print(f"{len(tree.documents)} documents checked")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not tree.documents else 0


if __name__ == "__main__":
    sys.exit(main())
