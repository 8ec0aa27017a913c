"""Each check on documents that break it and on some that keep it."""

import tempfile
import unittest
from pathlib import Path

import checks

DEV = """demo() { :; }
case ${1:-help} in
  help | -h | --help) help ;;
  demo | test)
    "command_$1"
    ;;
  install-deps) install_deps ;;
esac
"""
HACKING = "`./dev demo`, `./dev test`, `./dev install-deps`\n"


def findings(check, files, commands=("up", "halt"), check_policy=None):
    with tempfile.TemporaryDirectory() as root:
        for path, text in {"dev": DEV, "src/base/README.md": "x\n", **files}.items():
            file = Path(root) / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        return [(f.path, f.line) for f in check(checks.Tree(root, commands, check_policy))]


class Links(unittest.TestCase):
    def test_a_link_to_nothing_is_found(self):
        self.assertEqual([("a.md", 2)], findings(checks.check_links, {"a.md": "\n[x](b.md)\n"}))
        self.assertEqual([("a.md", 1)], findings(checks.check_links, {"a.md": "![x](b.svg)\n"}))

    def test_a_link_to_a_missing_heading_is_found(self):
        self.assertEqual([("a.md", 1)], findings(checks.check_links, {
            "a.md": "[x](b.md#one-more)\n", "b.md": "# One\n"}))

    def test_good_links_and_links_in_code_pass(self):
        self.assertEqual([], findings(checks.check_links, {
            "a.md": "[x](d/b.md#one-more) [y](https://example.org/z) `[n](o.md)`\n",
            "d/b.md": "# One more\n[back](../a.md)\n"}))


class Commands(unittest.TestCase):
    def test_an_unknown_dev_command_is_found(self):
        self.assertEqual([("a.md", 1)], findings(checks.check_dev_commands, {
            "a.md": "run `./dev tset`\n", "HACKING.md": HACKING}))

    def test_a_dev_command_that_hacking_leaves_out_is_found(self):
        self.assertEqual([("HACKING.md", 1)], findings(checks.check_dev_commands, {
            "HACKING.md": "`./dev demo` and `./dev test`\n"}))

    def test_an_unknown_gavel_command_is_found(self):
        self.assertEqual([("a.md", 3)], findings(checks.check_gavel_commands, {
            "a.md": "```\ngavel up\ngavel fly\n```\ngavel is a name in prose\n"}))

    def test_without_a_program_nothing_is_taken_on_trust(self):
        self.assertEqual(1, len(findings(checks.check_gavel_commands, {}, commands=None)))


class Policies(unittest.TestCase):
    FILES = {"a.md": "```yaml\nrules: [good]\n```\n```yaml\nrules: [bad]\n```\n```\nrules: [bad]\n```\n",
             "examples/b.yaml": "rules: [bad]\n"}

    def test_shown_policies_and_examples_are_checked(self):
        found = findings(checks.check_policies, self.FILES,
                         check_policy=lambda text: "wrong" if "bad" in text else "")
        self.assertEqual([("examples/b.yaml", 1), ("a.md", 5)], found)

    def test_without_a_program_nothing_is_taken_on_trust(self):
        self.assertEqual(1, len(findings(checks.check_policies, {})))


class Lists(unittest.TestCase):
    def test_a_preset_that_hacking_leaves_out_is_found(self):
        preset = '{"name": "dev",\n "inherits": "base"}'
        self.assertEqual([("HACKING.md", 1)], findings(checks.check_presets, {
            "CMakePresets.json": preset, "HACKING.md": "nothing\n"}))
        self.assertEqual([], findings(checks.check_presets, {
            "CMakePresets.json": preset, "HACKING.md": "`dev`\n"}))

    def test_a_package_without_a_reason_is_found(self):
        self.assertEqual([("docs/dependencies.md", 1)] * 2, findings(checks.check_dependencies, {
            "tools/packages.txt": "# all\ncmake\nninja\n",
            "tests/peers/package.json": '{\n  "dependencies": {\n    "@a/b": "1.2.3"\n',
            "docs/dependencies.md": "`cmake`: builds\n"}))

    def test_a_folder_without_a_readme_is_found(self):
        self.assertEqual([("src/core/README.md", 1)], findings(checks.check_folders, {
            "src/core/a.cpp": ""}))

    def test_a_decision_that_the_architecture_leaves_out_is_found(self):
        self.assertEqual([("ARCHITECTURE.md", 1)], findings(checks.check_decisions, {
            "docs/adr/0001-x.md": "", "ARCHITECTURE.md": ""}))

    def test_a_gap_between_decisions_is_found(self):
        self.assertEqual([("docs/adr/0002-x.md", 1)], findings(checks.check_decisions, {
            "docs/adr/0002-x.md": "", "ARCHITECTURE.md": "docs/adr/0002-x.md"}))


if __name__ == "__main__":
    unittest.main()
