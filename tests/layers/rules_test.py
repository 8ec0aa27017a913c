"""Each rule on a tree that breaks it and on one that keeps it."""

import tempfile
import unittest
from pathlib import Path

import rules

TABLE = "base:\ncore: base\nruntime: base core\n"
HEADER = "#pragma once\n// A concept\n// in lines.\n"
BUILD = {
    "tools/layers.txt": TABLE,
    "CMakeLists.txt": "foreach(layer base core runtime)\n",
    "src/base/CMakeLists.txt": "gavel_layer(base)\n",
    "src/core/CMakeLists.txt": "gavel_layer(core DEPS base)\n",
    "src/runtime/CMakeLists.txt": "gavel_layer(runtime DEPS core)\n",
}


def findings(rule, files):
    """What `rule` finds in a tree of these files, as (path, line, rule)."""
    with tempfile.TemporaryDirectory() as root:
        for path, text in {**BUILD, **files}.items():
            file = Path(root) / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        return [(f.path, f.line, f.rule) for f in rule(rules.Tree(root))]


class Edges(unittest.TestCase):
    def test_an_allowed_include_passes(self):
        self.assertEqual([], findings(rules.check_edges, {
            "src/base/a.hpp": HEADER, "src/core/b.cpp": '#include "base/a.hpp"\n'}))

    def test_an_include_against_the_table_is_found(self):
        self.assertEqual([("src/base/a.cpp", 2, "edge")], findings(rules.check_edges, {
            "src/core/b.hpp": HEADER, "src/base/a.cpp": '\n#include "core/b.hpp"\n'}))

    def test_a_test_keeps_the_edges_too(self):
        self.assertEqual([("src/base/a_test.cpp", 1, "edge")], findings(rules.check_edges, {
            "src/core/b.hpp": HEADER, "src/base/a_test.cpp": '#include "core/b.hpp"\n'}))

    def test_an_include_of_no_file_is_found(self):
        self.assertEqual([("src/core/b.cpp", 1, "edge")], findings(rules.check_edges, {
            "src/base/a.hpp": HEADER, "src/core/b.cpp": '#include "a.hpp"\n'}))


class Cycles(unittest.TestCase):
    def test_headers_in_a_circle_are_found(self):
        found = findings(rules.check_cycles, {
            "src/base/a.hpp": '#include "base/b.hpp"\n', "src/base/b.hpp": '#include "base/a.hpp"\n'})
        self.assertEqual(["cycle"], [rule for _, _, rule in found])

    def test_folders_in_a_circle_are_found(self):
        found = findings(rules.check_cycles, {
            "src/base/a.hpp": "", "src/base/a.cpp": '#include "core/b.hpp"\n',
            "src/core/b.hpp": "", "src/core/b.cpp": '#include "base/a.hpp"\n'})
        self.assertEqual([("tools/layers.txt", 1, "cycle")], found)

    def test_a_table_with_a_circle_is_found(self):
        found = findings(rules.check_cycles, {"tools/layers.txt": "base: core\ncore: base\n"})
        self.assertEqual([("tools/layers.txt", 1, "cycle")], found)

    def test_a_tree_passes(self):
        self.assertEqual([], findings(rules.check_cycles, {
            "src/base/a.hpp": HEADER, "src/core/b.hpp": '#include "base/a.hpp"\n'}))


class Reached(unittest.TestCase):
    def test_a_header_that_only_its_own_unit_includes_is_found(self):
        self.assertEqual([("src/core/b.hpp", 1, "reached")], findings(rules.check_reached, {
            "src/core/b.hpp": HEADER, "src/core/b.cpp": '#include "core/b.hpp"\n',
            "src/core/b_test.cpp": '#include "core/b.hpp"\n'}))

    def test_a_header_that_another_unit_includes_passes(self):
        self.assertEqual([], findings(rules.check_reached, {
            "src/core/b.hpp": HEADER, "src/core/c.cpp": '#include "core/b.hpp"\n'}))

    def test_a_source_below_a_layer_is_built_by_nobody(self):
        self.assertEqual([("src/core/deep/b.cpp", 1, "reached")], findings(
            rules.check_reached, {"src/core/deep/b.cpp": ""}))

    def test_a_program_below_a_layer_is_built_where_its_list_names_it(self):
        self.assertEqual([], findings(rules.check_reached, {
            "src/core/deep/b.cpp": "",
            "src/core/CMakeLists.txt": "gavel_layer(core)\nadd_executable(b deep/b.cpp)\n"}))

    def test_a_source_of_a_folder_outside_the_build_is_found(self):
        self.assertEqual([("src/other/b.cpp", 1, "reached")], findings(
            rules.check_reached, {"src/other/b.cpp": ""}))

    def test_a_test_program_that_no_list_names_is_found(self):
        self.assertEqual([("tests/crash/b.cpp", 1, "reached")], findings(
            rules.check_reached, {"tests/crash/b.cpp": "",
                                  "tests/crash/CMakeLists.txt": "add_executable(c c.cpp)\n"}))


class Purity(unittest.TestCase):
    def test_impure_includes_and_the_environment_are_found(self):
        self.assertEqual([("src/core/b.cpp", n, "pure") for n in (1, 2, 3, 4)], findings(
            rules.check_purity, {"src/core/b.cpp": "#include <thread>\n#include <fstream>\n"
                                 "#include <boost/asio/post.hpp>\nauto x = getenv(\"A\");\n"}))

    def test_the_runtime_may(self):
        self.assertEqual([], findings(rules.check_purity, {
            "src/runtime/b.cpp": "#include <boost/asio/post.hpp>\n"}))

    def test_a_word_in_a_comment_is_no_use(self):
        self.assertEqual([], findings(rules.check_purity, {
            "src/core/b.cpp": "// no getenv here\nauto x = \"getenv\";\n"}))


class Clocks(unittest.TestCase):
    READERS = {"tools/clock_readers.txt": "src/runtime/c.cpp: steady  deadlines\n"}

    def test_a_clock_outside_the_list_is_found(self):
        self.assertEqual([("src/runtime/b.cpp", 1, "clock")], findings(rules.check_clocks, {
            **self.READERS, "src/runtime/b.cpp": "auto t = std::chrono::steady_clock::now();\n"}))

    def test_a_listed_file_may_read_only_its_clock(self):
        self.assertEqual([("src/runtime/c.cpp", 2, "clock")], findings(rules.check_clocks, {
            **self.READERS, "src/runtime/c.cpp": "auto t = std::chrono::steady_clock::now();\n"
            "auto u = std::chrono::system_clock::now();\n"}))


class Bans(unittest.TestCase):
    def broken(self, line, path="src/core/b.cpp"):
        return [rule for _, _, rule in findings(rules.check_bans, {path: line + "\n"})]

    def test_each_ban_is_found(self):
        for rule, line in {
            "regex": "std::regex r;",
            "rand": "int x = rand();",
            "sleep": "std::this_thread::sleep_for(1s);",
            "detached": "co_spawn(io, f(), asio::detached);",
            "cout": 'std::cout << "x";',
            "new": "auto* p = new Thing();",
            "delete": "delete p;",
            "process": 'system("ls");',
            "swallow": "} catch (...) {}",
        }.items():
            with self.subTest(rule):
                self.assertEqual([rule], self.broken(line))

    def test_what_only_looks_alike_passes(self):
        for line in ("Thing(const Thing&) = delete;", "// a new day", "random.next();",
                     "std::chrono::system_clock::time_point t;", "this->random();",
                     'say("delete everything");', "filesystem(path);",
                     "return std::unique_ptr<Thing>(new Thing(x));"):
            with self.subTest(line):
                self.assertEqual([], self.broken(line))

    def test_an_excuse_with_a_reason_excuses_its_line(self):
        self.assertEqual([], self.broken("auto* p = new T();  // allow(new): a C library frees it"))
        self.assertEqual(["new"], self.broken("auto* p = new T();  // allow(new)"))
        self.assertEqual(["new"], self.broken("auto* p = new T();  // allow(rand): wrong rule"))

    def test_an_excuse_that_excuses_nothing_is_found(self):
        self.assertEqual([("src/core/b.cpp", 1, "excuse")], findings(
            rules.check_excuses, {"src/core/b.cpp": "int x;  // allow(new): no reason to\n"}))


class Lambdas(unittest.TestCase):
    def broken(self, code):
        return len(findings(rules.check_lambdas, {"src/runtime/b.cpp": code}))

    def test_a_capturing_coroutine_is_found(self):
        self.assertEqual(1, self.broken("auto f = [this]() -> asio::awaitable<void> { co_await go(); };"))
        self.assertEqual(1, self.broken("auto f = [&x](int (*g)(int)) -> awaitable<int> {\nco_return 1;}"))
        self.assertEqual(1, self.broken("auto f = [x] {\n  co_await x;\n};"))

    def test_a_lambda_without_captures_may_be_one(self):
        self.assertEqual(0, self.broken("auto f = []() -> asio::awaitable<void> { co_return; };"))

    def test_a_capturing_lambda_that_is_none_may_hold_one(self):
        self.assertEqual(0, self.broken("auto f = [x] { return [](int y) -> awaitable<int> "
                                        "{ co_return y; }(x); };"))

    def test_one_that_hands_a_coroutine_on_is_none(self):
        self.assertEqual(0, self.broken("auto f = [this]() -> awaitable<void> { return go(); };"))

    def test_subscripts_and_attributes_are_no_lambdas(self):
        self.assertEqual(0, self.broken("co_await table[i](x);\n[[nodiscard]] awaitable<int> f();"))


class Shape(unittest.TestCase):
    def broken(self, path, text):
        return [rule for _, _, rule in findings(rules.check_shape, {path: text})]

    def test_long_files_and_lines_are_found(self):
        self.assertEqual(["length"], self.broken("src/core/b.cpp", "int x;\n" * 801))
        self.assertEqual([], self.broken("src/core/b.cpp", "int x;\n" * 800))
        self.assertEqual(["width"], self.broken("src/core/b.cpp", "x" * 101 + "\n"))
        self.assertEqual([], self.broken("src/core/b.cpp", "// " + "ä" * 97 + "\n"))

    def test_a_todo_says_its_kind(self):
        self.assertEqual(["todo"], self.broken("src/core/b.cpp", "// TODO: later\n"))
        self.assertEqual([], self.broken("src/core/b.cpp", "// TODO(limit): one per process\n"))

    def test_a_header_opens_with_its_concept(self):
        self.assertEqual(["header"], self.broken("src/core/b.hpp", "#pragma once\n#include <map>\n"))
        self.assertEqual(["header"], self.broken("src/core/b.hpp", "// x\n#pragma once\n"))
        self.assertEqual([], self.broken("src/core/b.hpp", HEADER))


if __name__ == "__main__":
    unittest.main()
