#!/usr/bin/env python3
"""Checks the tree against tests/layers/rules.py, after proving on small trees that every rule can
fail. Prints each finding as path:line and ends with "N passed, N failed"."""

import sys
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import rules  # noqa: E402
import rules_test  # noqa: E402


def main():
    suite = unittest.defaultTestLoader.loadTestsFromModule(rules_test)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=0).run(suite)
    failed = len(result.failures) + len(result.errors)
    passed = result.testsRun - failed
    tree = rules.Tree(HERE.parent.parent)
    for rule in rules.RULES:
        findings = list(rule(tree))
        for finding in findings:
            print(f"{finding.path}:{finding.line}: [{finding.rule}] {finding.text}")
        passed, failed = (passed, failed + 1) if findings else (passed + 1, failed)
    print(f"{len(tree.sources)} files checked")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or len(tree.sources) == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
