"""Counts and latencies of a run of any length in memory of a fixed size."""

import math
import threading
from collections import Counter

STEP = 1.05  # from one bucket to the next: a percentile is right to 5 %


def percentile(sorted_values, share):
    if not sorted_values:
        return None
    return sorted_values[min(len(sorted_values) - 1, int(share * len(sorted_values)))]


class Histogram:
    def __init__(self):
        self.buckets = Counter()

    def add(self, milliseconds):
        self.buckets[round(math.log(max(milliseconds, 0.01), STEP))] += 1

    def percentile(self, share):
        wanted = share * sum(self.buckets.values())
        for bucket in sorted(self.buckets):
            wanted -= self.buckets[bucket]
            if wanted <= 0:
                return round(STEP**bucket, 2)
        return None


class Figures:
    """What agents and people count, and the sampler takes away each second."""

    def __init__(self):
        self.counts = Counter()
        self.latency = {"read": Histogram(), "write": Histogram()}
        self._second = {"read": [], "write": []}
        self._answered = 0
        self._lock = threading.Lock()

    def count(self, what, number=1):
        with self._lock:
            self.counts[what] += number

    def answered(self, kind=None, seconds=0.0):
        """A call was answered; `kind` where it was honest and done, so that its latency counts."""
        with self._lock:
            self._answered += 1
            self.counts["answered calls"] += 1
            if kind:
                self._second[kind].append(seconds * 1000)
                self.latency[kind].add(seconds * 1000)

    def take_second(self):
        with self._lock:
            taken, self._second = self._second, {"read": [], "write": []}
            answered, self._answered = self._answered, 0
        said = {"answered": answered}
        for kind, values in taken.items():
            values.sort()
            for name, share in (("p50", 0.5), ("p99", 0.99)):
                value = percentile(values, share)
                said[f"{kind}_{name}"] = None if value is None else round(value, 2)
        return said
