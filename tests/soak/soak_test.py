"""The judges, the plan and the plot by themselves: each can fail, and what is well passes."""

import random
import unittest
import xml.etree.ElementTree as xml

from chaos import plan
from figures import Histogram
from judge import MIB, leaks, stalls
from plot import svg


def sample(at, **more):
    said = {"at": at, "late": 0, "life": 1, "rss": 100 * MIB, "fds": 30, "threads": 9,
            "children": 2, "store": 0, "harness_rss": MIB, "answered": 50, "read_p50": 1.0,
            "read_p99": 2.0, "write_p50": None, "write_p99": None}
    return {**said, **more}


class Judges(unittest.TestCase):
    def test_a_level_life_is_no_leak(self):
        problems, most = leaks([sample(at) for at in range(60)])
        self.assertEqual((problems, most["judged_lives"]), ([], 1))

    def test_growth_of_each_kind_is_reported(self):
        for name, step in (("rss", 2 * MIB), ("fds", 1), ("threads", 1)):
            grown = [sample(at, **{name: 30 + at * step}) for at in range(1, 90)]
            self.assertIn(f"GROWTH: {name}", leaks(grown)[0][0])

    def test_a_new_life_begins_anew(self):
        lives = [sample(at, life=at // 20, fds=30 + at % 20) for at in range(80)]
        self.assertEqual(leaks(lives)[0], [])

    def test_a_second_without_answers_is_a_stall(self):
        quiet = [sample(at, answered=0 if at == 30 else 5) for at in range(50)]
        problems, judged = stalls(quiet, [])
        self.assertEqual((len(problems), judged), (1, 40))

    def test_whoever_killed_something_may_wait(self):
        quiet = [sample(at, answered=0 if at == 30 else 5) for at in range(50)]
        mark = {"disturbs": True, "from": 22, "to": 22.5}
        self.assertEqual(stalls(quiet, [mark])[0], [])
        self.assertEqual(len(stalls(quiet, [{**mark, "disturbs": False}])[0]), 1)


class Parts(unittest.TestCase):
    def test_a_plan_is_its_seeds(self):
        self.assertEqual(plan(600, random.Random(1)), plan(600, random.Random(1)))
        self.assertNotEqual(plan(600, random.Random(1)), plan(600, random.Random(2)))
        self.assertGreaterEqual(len(plan(20, random.Random(3))), 5)

    def test_percentiles(self):
        histogram = Histogram()
        for value in range(1, 1001):
            histogram.add(value)
        self.assertAlmostEqual(histogram.percentile(0.5), 500, delta=30)
        self.assertAlmostEqual(histogram.percentile(0.99), 990, delta=50)

    def test_the_plot_is_xml(self):
        marks = [{"kind": "halt", "what": "<everything>", "from": 3.0, "to": 4.0}]
        xml.fromstring(svg([sample(at) for at in range(20)], marks, 20, "a < b"))
