"""Once a second: what the daemon holds, and what was answered meanwhile."""

import os
import time
from pathlib import Path

from lib.process import tree_of


def status_of(pid):
    """(resident bytes, threads, file descriptors); zeros where the process is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        said = dict(line.split(":", 1) for line in lines)
        fds = len(os.listdir(f"/proc/{pid}/fd"))
        return int(said["VmRSS"].split()[0]) * 1024, int(said["Threads"]), fds
    except (OSError, KeyError, ValueError):
        return 0, 0, 0


def bytes_of(directory):
    total = 0
    for path in Path(directory).rglob("*"):
        try:
            total += path.stat().st_blocks * 512
        except OSError:
            pass
    return total


class Sampler:
    def __init__(self, world):
        self.world = world
        self.samples = []

    def run(self):
        due = time.monotonic() + 1
        while not self.world.over.is_set():
            time.sleep(max(0, due - time.monotonic()))
            late = time.monotonic() - due
            due = max(due + 1, time.monotonic())
            self.samples.append(self.sample(late))

    def sample(self, late):
        world = self.world
        up = world.up.is_set()
        pid = world.daemon.process.pid
        rss, threads, fds = status_of(pid) if up else (0, 0, 0)
        sample = {
            "at": round(world.now(), 2),
            "late": round(late, 3),
            "life": world.life,
            "rss": rss,
            "threads": threads,
            "fds": fds,
            "children": len(tree_of(pid)) - 1 if up else 0,
            "store": bytes_of(world.daemon.state),
            "harness_rss": status_of(os.getpid())[0],
            **world.figures.take_second(),
        }
        return world.breaking.sample(sample, world.now() / world.seconds)
