#!/usr/bin/env python3
"""Cuts the real daemon off at every write and sync boundary of its disk, in turn, restarts it, and
checks that nothing acknowledged is missing and nothing happened twice. docs/crashes.md."""

import argparse
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "incidents"))
sys.path.insert(0, str(ROOT / "tests/witness"))
sys.path.insert(0, str(HERE))

from lib.gavel import find_binary  # noqa: E402
from peers import MODES as PEERS  # noqa: E402
from peers import PeerPlayer  # noqa: E402
from world import DEADLY, FAULTS, MODES, Cut, Player, Scenario  # noqa: E402

QUICK_CUTS = 78
GROUPS = (DEADLY[:2], DEADLY[2:], FAULTS)
# What a mode is about; elsewhere it is the same as another one. `before`, `power` and `scatter` are
# about everything but the beginning of a write-out, which promises nothing.
ADDS = ("write", "create", "allocate", "mkdir", "link")
KINDS = {
    "after": (*ADDS, "sync", "dirsync", "rename", "unlink", "truncate"),
    "tear": ("write",),
    "shorten": ("write",),
    "enospc": ADDS,
    "eio": (*ADDS, "sync", "dirsync", "truncate", "rename", "unlink"),
    "blip": (*ADDS, "sync", "dirsync", "truncate", "rename", "unlink"),
}


def library_for(binary, given):
    """The faulty disk, built beside the binary or in any preset."""
    places = [given] if given else []
    places += [each / "tests/crash/libgavel_crash_disk.so" for each in binary.parents]
    places += sorted(ROOT.glob("build/*/tests/crash/libgavel_crash_disk.so"))
    for place in places:
        if place and Path(place).exists():
            return Path(place).resolve()
    raise FileNotFoundError("the faulty disk is not built; run ./dev build")


def file_kind(path):
    """db/000016.log is a *.log: one line of the table for all files that are used alike."""
    if path.startswith("/v1/"):
        return re.sub(r"(sessions|intents)/[^/?]+", r"\1/*", path.split("?")[0])[3:27]
    name = path.rsplit("/", 1)[-1]
    name = re.sub(r"\.\d+\.new$", ".new", name)
    name = re.sub(r"^\d+\.(dbtmp|log|sst|blob)$", r"*.\1", name)
    return re.sub(r"(MANIFEST|OPTIONS|LOG\.old)[-.]\d+.*", r"\1", name)


def cuts_of(scenario, trace, seed, modes, everything=False):
    """Each boundary is cut in three ways, one of each group, the group's modes in turn: kills, power
    cuts, faults. `everything`: in every mode that is about its kind."""
    found = []
    for number, (kind, path) in enumerate(trace, 1):
        if scenario == "spare" and not about_the_spare(number, trace):
            continue
        # A run of spare is long: its boundaries get one cut each.
        for group in (MODES,) if scenario == "spare" else GROUPS:
            fitting = [
                mode
                for mode in group
                if mode in modes and kind in KINDS.get(mode, () if kind == "flush" else (kind,))
            ]
            if not everything and fitting:
                fitting = [fitting[(number + seed) % len(fitting)]]
            found += [Cut(scenario, number, mode, seed) for mode in fitting]
    return found


def deaths_of(requests, seed, modes):
    """At each request, the deaths of who has to do with it: who asks, whom it is about."""
    found = []
    for number, (role, _) in enumerate(requests, 1):
        of = {"agent": "agent", "operator": "person"}.get(role, "watcher")
        found += [Cut("peers", number, mode, seed) for mode in (of, "server") if mode in modes]
    return found


def about_the_spare(number, trace):
    """What the other scenarios do not have: the spare log, and the log file that begins with it.
    Its 80 writes of zeros are alike: every eighth is taken."""
    path = trace[number - 1][1]
    spare = [n for n, (_, p) in enumerate(trace, 1) if "gavel.spare" in p]
    if not spare:
        return False
    if path.endswith("gavel.spare.tmp") and spare[4] < number < spare[-4]:
        return spare.index(number) % 17 == 0
    return number >= spare[0] and (number <= spare[4] or number >= spare[-4])


def spread(cuts, wanted):
    """So many of them, from all places, modes taken in turn."""
    if len(cuts) <= wanted:
        return cuts
    by_mode = defaultdict(list)
    for cut in cuts:
        by_mode[cut.mode].append(cut)
    found = []
    share = max(1, wanted // len(by_mode))
    for at, mode in enumerate(by_mode):
        of = by_mode[mode]
        step = len(of) / share
        found += [of[int((i + at / len(by_mode)) * step) % len(of)] for i in range(share)]
    return found


def player_of(name, binary, library, directory, options):
    if name == "peers":
        return PeerPlayer(Scenario("first", binary, directory), options.keep)
    return Player(Scenario(name, binary, directory), library, options.keep)


class Progress:
    def __init__(self, total, quiet):
        self.total, self.done, self.failed = total, 0, 0
        self.shown = sys.stderr.isatty() and not quiet
        self.began = time.monotonic()

    def step(self, outcome):
        self.done += 1
        self.failed += bool(outcome.problems)
        if self.shown:
            took = time.monotonic() - self.began
            left = took / self.done * (self.total - self.done)
            sys.stderr.write(
                f"\r\x1b[K{self.done}/{self.total} cuts, {self.failed} failed, {left:.0f} s left"
            )
            if self.done == self.total:
                sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def play_all(players, cuts, jobs, quiet):
    progress = Progress(len(cuts), quiet)
    outcomes = []
    with ThreadPoolExecutor(jobs) as pool:
        waiting = [pool.submit(players[cut.scenario].play, cut) for cut in cuts]
        try:
            for each in as_completed(waiting):
                outcomes.append(each.result())
                progress.step(outcomes[-1])
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)
            raise
    order = {id(cut): at for at, cut in enumerate(cuts)}
    return sorted(outcomes, key=lambda outcome: order[id(outcome.cut)])


def print_table(outcomes):
    """Kinds of boundaries by files, cuts by mode."""
    modes = [mode for mode in (*MODES, *PEERS) if any(o.cut.mode == mode for o in outcomes)]
    rows = defaultdict(Counter)
    for each in outcomes:
        if each.kind:
            rows[(each.kind, file_kind(each.path))][each.cut.mode] += 1
    print(f"{'boundary':9} {'file':24}" + "".join(f"{mode:>9}" for mode in modes))
    for (kind, path), counts in sorted(rows.items()):
        print(f"{kind:9} {path:24}" + "".join(f"{counts[mode] or '-':>9}" for mode in modes))
    total = Counter(each.cut.mode for each in outcomes)
    print(f"{'all':34}" + "".join(f"{total[mode]:>9}" for mode in modes))


def summary(outcomes, dry):
    missed = [o for o in outcomes if not o.reached]
    return {
        "boundaries": {name: len(trace) for name, trace in dry.items()},
        "cut_points": len({(o.cut.scenario, o.cut.number) for o in outcomes if o.reached}),
        "cuts": len(outcomes),
        "not_reached": len(missed),
        "restarts": sum(o.restarts for o in outcomes),
        "entries_checked": sum(o.entries for o in outcomes),
        "effects_checked": sum(o.effects for o in outcomes),
        "failures": [
            {"command": o.cut.command(), "kind": o.kind, "path": o.path, "problems": o.problems}
            for o in outcomes
            if o.problems
        ],
    }


def print_summary(said):
    counted = ", ".join(f"{count} of {name}" for name, count in said["boundaries"].items())
    print(f"\nboundaries: {counted}")
    print(
        f"cut points: {said['cut_points']}; cuts: {said['cuts']} "
        f"({said['not_reached']} not reached); restarts: {said['restarts']}"
    )
    print(
        f"checked: {said['entries_checked']} acknowledged entries, "
        f"{said['effects_checked']} effects"
    )
    for failure in said["failures"]:
        print(f"\nFAILED at {failure['kind']} {failure['path']}\n  {failure['command']}")
        for problem in failure["problems"]:
            print("  " + problem.replace("\n", "\n  "))


def proves_itself(player, trace):
    """With a disk that lies about its syncs, a power cut must be found to lose what was told."""
    syncs = [
        number
        for number, (kind, path) in enumerate(trace, 1)
        if kind == "sync" and path.endswith(".log")
    ]
    cut = Cut(player.scenario.name, syncs[len(syncs) * 3 // 4], "power", 1, lies=True)
    outcome = player.play(cut)
    return any("LOST" in problem for problem in outcome.problems), outcome


def parse(arguments):
    parser = argparse.ArgumentParser(prog="./dev crash", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="some cuts of each kind (a suite)")
    parser.add_argument("--scenario", choices=(*Scenario.NAMES, "peers"), action="append")
    parser.add_argument("--mode", choices=(*MODES, *PEERS), action="append")
    parser.add_argument("--all", action="store_true", help="every mode at every boundary")
    parser.add_argument("--cut", type=int, help="this boundary alone")
    parser.add_argument("--cuts", type=int, help="so many, from all places (default: every one)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lie", action="store_true", help="the disk lies about syncs: must fail")
    parser.add_argument("--jobs", type=int, default=min(4, 2 * (os.cpu_count() or 2)))
    parser.add_argument("--binary", type=Path)
    parser.add_argument("--library", type=Path, help="the faulty disk")
    parser.add_argument("--keep", action="store_true", help="keep the directories of all cuts")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(arguments)


def main(arguments=None):
    options = parse(arguments)
    # What runs is ended in order, not left behind.
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    binary = find_binary(ROOT, options.binary)
    library = library_for(binary, options.library)
    usual = ("first", "second", "peers") if options.quick else (*Scenario.NAMES, "peers")
    names = options.scenario or usual
    modes = options.mode or (*MODES, *PEERS)
    directory = Path(tempfile.mkdtemp(prefix="gavel-crash-"))
    began = time.monotonic()
    players = {name: player_of(name, binary, library, directory, options) for name in names}
    outcomes, dry, proven = [], {}, None
    if options.cut is not None:
        cuts = [
            Cut(name, options.cut, mode, options.seed, options.lie)
            for name in names
            for mode in (options.mode or (PEERS if name == "peers" else DEADLY))
        ]
    else:
        cuts = []
        for name, player in players.items():
            outcome, dry[name] = player.boundaries()
            if outcome.problems:
                print(f"a run of {name} without a fault fails: {outcome.problems}")
                return 1
            of = deaths_of(dry[name], options.seed, modes) if name == "peers" else None
            cuts += of or cuts_of(name, dry[name], options.seed, modes, options.all)
        wanted = options.cuts or (QUICK_CUTS if options.quick else len(cuts))
        cuts = spread(cuts, wanted)
        if not options.lie and names[0] != "peers":
            proven, proof = proves_itself(players[names[0]], dry[names[0]])
        for cut in cuts:
            cut.lies = options.lie
    outcomes = play_all(players, cuts, options.jobs, options.json)
    said = summary(outcomes, dry)
    said["seconds"] = round(time.monotonic() - began, 1)
    said["lying_disk_found"] = proven
    failed = len(said["failures"]) + (proven is False)
    if options.json:
        print(json.dumps(said, indent=2))
    else:
        print_table(outcomes)
        print_summary(said)
        if proven is False:
            print(f"FAILED: a disk that lies about syncs went unnoticed: {proof.cut.command()}")
        elif proven:
            print("a disk that lies about its syncs was found to lose what was acknowledged")
        passed = len(outcomes) - len(said["failures"]) + bool(proven)
        print(f"{passed} passed, {failed} failed")
    if not failed and not options.keep:
        shutil.rmtree(directory, ignore_errors=True)
    elif not options.json:
        print(f"what is left lies in {directory}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
