"""The budgets: what a life of the daemon may grow by, and how long it may answer nothing."""

from statistics import median

LIFE_MIN_S = 12  # shorter lives are not judged
MIB = 1 << 20
# A memtable takes 64 MiB before it is written out, into a log that was preallocated: the store does
# not show that it grows.
RSS_FREE = (64 + 32) * MIB
RSS_PER_STORED_BYTE = 2  # what lies in the store may be in memory, too
FDS_FREE = 32
THREADS_FREE = 8
CALM_S = 10
LATE_S = 0.5  # a sampler that was this late says nothing of its second


def lives(samples):
    """The samples of each life of the daemon, in order."""
    found = {}
    for sample in samples:
        if sample["rss"]:
            found.setdefault(sample["life"], []).append(sample)
    return found


def growth(life):
    """What one life grew by after its first quarter: medians of the beginning and of the end."""
    warm = life[len(life) // 4 :]
    part = max(3, len(warm) // 5)
    first, last = warm[:part], warm[-part:]
    return {
        name: median(s[name] for s in last) - median(s[name] for s in first)
        for name in ("rss", "fds", "threads", "store")
    }


def leaks(samples):
    """(problems, the largest growths of all lives that were long enough)."""
    problems, most = [], {"rss": 0, "fds": 0, "threads": 0, "judged_lives": 0}
    for number, life in lives(samples).items():
        if len(life) < LIFE_MIN_S:
            continue
        most["judged_lives"] += 1
        grown = growth(life)
        allowed = {
            "rss": RSS_FREE + RSS_PER_STORED_BYTE * max(0, grown["store"]),
            "fds": FDS_FREE,
            "threads": THREADS_FREE,
        }
        for name, limit in allowed.items():
            most[name] = max(most[name], grown[name])
            if grown[name] > limit:
                problems.append(
                    f"GROWTH: {name} of life {number} grew by {grown[name]:.0f} in {len(life)} s; "
                    f"{limit:.0f} are allowed"
                )
    return problems, most


def stalls(samples, marks):
    """(problems, seconds judged): no second without an answer, 10 s after the last disturbance."""
    problems, judged = [], 0
    for sample in samples:
        at = sample["at"]
        disturbed = any(
            mark["disturbs"] and mark["from"] <= at and at - CALM_S - 1 <= mark["to"]
            for mark in marks
        )
        if disturbed or sample["late"] > LATE_S or at < CALM_S:
            continue
        judged += 1
        if sample["answered"] == 0:
            problems.append(f"STALL: nothing was answered in the second before {at:.0f} s")
    return problems, judged
