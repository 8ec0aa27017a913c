#!/usr/bin/env python3
"""The real daemon under mixed load while things die around it; watches what it holds and how fast
it answers, and checks what it promised. docs/soak.md."""

import argparse
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "incidents"))
sys.path.insert(0, str(ROOT / "tests/witness"))
sys.path.insert(0, str(HERE))

import people  # noqa: E402
import soak_test  # noqa: E402
from agents import drive  # noqa: E402
from breaking import Breaking  # noqa: E402
from chaos import Chaos  # noqa: E402
from judge import leaks, stalls  # noqa: E402
from lib.gavel import find_binary  # noqa: E402
from plot import svg  # noqa: E402
from sampler import Sampler  # noqa: E402
from world import SERVERS, World, digest_of  # noqa: E402

REREAD = 60  # finished sessions that are read again at the end; of all others, the length
PATIENCE_S = 60


def play(world, agents, watchers):
    """The soak itself; the samples."""
    world.start()
    world.began = time.monotonic()
    sampler = Sampler(world)

    def begin(target, *arguments):
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        thread.start()
        return thread

    drivers = [begin(drive, world, slot, SERVERS) for slot in range(agents)]
    others = [begin(people.decide, world), begin(world.close_sessions), begin(sampler.run)]
    others += [begin(people.watch, world, number) for number in range(watchers)]
    try:
        Chaos(world).play()
    finally:
        world.over.set()
    for thread in drivers:
        thread.join(PATIENCE_S)
    deadline = time.monotonic() + PATIENCE_S
    while world.sessions and time.monotonic() < deadline and world.daemon.process.running():
        time.sleep(0.1)
    for name in world.sessions:
        world.problem(f"OPEN: {name} was never settled")
    world.ended.set()
    for thread in others:
        thread.join(10)
    return sampler.samples


def check_the_end(world):
    """Everything is at rest: what remains is what was told, whole and verified."""
    daemon = world.daemon
    if not daemon.process.running():
        world.problem(f"END: the daemon is gone: {daemon.process.tail()}")
        return
    if daemon.pending():
        world.problem(f"OPEN: pending at the end: {str(daemon.pending())[:500]}")
    tails, after = {}, ""
    while after is not None:
        page = daemon.api("GET", f"/v1/sessions?limit=500&prefix=agent-&after={after}")
        tails |= {each["session"]: each["tail"] for each in page["sessions"]}
        after = page["next"]
    for name, (tail, _) in world.finished.items():
        if tails.get(name, 0) < tail:
            world.problem(f"LOST: {name} had {tail} entries and has {tails.get(name, 0)}")
    names = sorted(world.finished)
    for name in world.dice("reread").sample(names, min(REREAD, len(names))):
        tail, digest = world.finished[name]
        if digest_of(daemon.entries(name)[:tail]) != digest:
            world.problem(f"CHANGED: {name} is not what it was when it was settled")
    world.ledger.advance()
    for what in world.ledger.late:
        world.problem(what)
    code, out, err = daemon.cli("doctor", "--json")
    if code != 0:
        world.problem(f"gavel doctor: exit {code}: {(err or out)[:500]}")
    world.stop()
    code, out, err = daemon.cli("verify")
    if code != 0:
        world.problem(f"gavel verify: exit {code}: {(out + err)[:500]}")


def run(binary, seconds, seed, agents, watchers, breaking=None, keep=False):
    """The report of one soak."""
    directory = Path(tempfile.mkdtemp(prefix="gavel-soak-"))
    world = World(binary, directory, seed, seconds, breaking)
    samples = []
    try:
        samples = play(world, agents, watchers)
        check_the_end(world)
    except Exception as error:  # noqa: BLE001: whatever it is, it is a finding
        world.problem(f"SOAK: {type(error).__name__}: {error}")
    finally:
        world.ended.set()
        if world.daemon.process and world.daemon.process.running():
            world.daemon.process.kill()
    grown, most = leaks(samples)
    still, judged = stalls(samples, world.marks)
    problems = [*world.problems, *grown, *still]
    if keep or (problems and not breaking):
        sys.stderr.write(f"what is left lies in {directory}\n")
    else:
        shutil.rmtree(directory, ignore_errors=True)
    figures = world.figures
    rates = sorted(sample["answered"] for sample in samples) or [0]
    return {
        "seed": seed,
        "seconds": seconds,
        "agents": agents,
        "break": breaking,
        "problems": problems,
        "lives": world.life,
        "sessions_settled": len(world.finished),
        "entries_checked": world.entries,
        "effects": world.ledger.effects,
        "answered_per_s": {
            "median": rates[len(rates) // 2],
            "most": rates[-1],
            "mean": round(figures.counts["answered calls"] / seconds, 1),
        },
        "latency_ms": {
            kind: {"p50": histogram.percentile(0.5), "p99": histogram.percentile(0.99)}
            for kind, histogram in figures.latency.items()
        },
        "growth_after_warm_up": most,
        "seconds_judged_for_stalls": judged,
        "rss_most": max((sample["rss"] for sample in samples), default=0),
        "harness_rss_most": max((sample["harness_rss"] for sample in samples), default=0),
        "store_bytes": samples[-1]["store"] if samples else 0,
        "counts": dict(sorted(figures.counts.items())),
        "marks": world.marks,
        "samples": samples,
    }


def print_report(said):
    mib = 1 << 20
    rates, latency, grown = said["answered_per_s"], said["latency_ms"], said["growth_after_warm_up"]
    rows = [
        ("answered calls/s", f"{rates['mean']} on average, {rates['most']} at most"),
        *((f"{kind}s, p50 / p99", f"{latency[kind]['p50']} / {latency[kind]['p99']} ms")
          for kind in latency),
        ("lives of the daemon", f"{said['lives']}, {grown['judged_lives']} long enough to judge"),
        ("memory at most", f"{said['rss_most'] / mib:.0f} MiB"),
        ("growth in a life", f"{grown['rss'] / mib:.0f} MiB, {grown['fds']:.0f} descriptors, "
                             f"{grown['threads']:.0f} threads"),
        ("store", f"{said['store_bytes'] / mib:.1f} MiB"),
        ("settled and checked", f"{said['sessions_settled']} sessions, "
                                f"{said['entries_checked']} entries, {said['effects']} effects"),
        ("judged for stalls", f"{said['seconds_judged_for_stalls']} s"),
        *said["counts"].items(),
    ]
    for name, value in rows:
        print(f"  {name:48} {value}")
    for problem in said["problems"]:
        print("FAILED " + str(problem).replace("\n", "\n  "))


def quick(binary, seed):
    """The suite: the judges by themselves, 20 seconds, and breaks that must be reported."""
    tests = unittest.defaultTestLoader.loadTestsFromModule(soak_test)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=0).run(tests)
    failed = len(result.failures) + len(result.errors)
    passed = result.testsRun - failed
    said = run(binary, 20, seed, agents=6, watchers=2)
    print_report(said)
    outcomes = [not said["problems"]]
    for kind, expected in (("drop", "UNTRUE"), ("double", "TWICE"), ("lose", "LOST")):
        command = [sys.executable, __file__, "--seconds", "4", "--break", kind, "--json"]
        command += ["--seed", str(seed), "--agents", "4", "--binary", str(binary), "--report", ""]
        done = subprocess.run(command, capture_output=True, text=True, timeout=200)
        found = done.returncode == 1 and expected in done.stdout
        print(f"{'reported' if found else 'FAILED: not reported'}: {Breaking.KINDS[kind]}")
        outcomes.append(found)
    passed, failed = passed + sum(outcomes), failed + outcomes.count(False)
    print(f"seed {seed}\n{passed} passed, {failed} failed")
    return 1 if failed else 0


def parse(arguments):
    parser = argparse.ArgumentParser(prog="./dev soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seconds", type=float, help="instead of --minutes")
    parser.add_argument("--seed", type=int, help="default: a new one")
    parser.add_argument("--agents", type=int, default=8)
    parser.add_argument("--watchers", type=int, default=3)
    parser.add_argument("--break", dest="breaking", choices=Breaking.KINDS,
                        help="falsify what the harness sees: it must be reported")
    parser.add_argument("--quick", action="store_true", help="20 s and breaks (a suite)")
    parser.add_argument("--binary", type=Path)
    parser.add_argument("--report", default=str(ROOT / "build/soak"), help="folder of the report")
    parser.add_argument("--keep", action="store_true", help="keep the directory of the run")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(arguments)


def main(arguments=None):
    options = parse(arguments)
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    binary = find_binary(ROOT, options.binary)
    seed = options.seed if options.seed is not None else secrets.randbits(31)
    if options.quick:
        return quick(binary, seed)
    seconds = options.seconds or options.minutes * 60
    said = run(binary, seconds, seed, options.agents, options.watchers, options.breaking,
               options.keep)
    if options.report:
        folder = Path(options.report)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.json").write_text(json.dumps(said, indent=1) + "\n")
        title = f"gavel soak, {seconds:.0f} s, {options.agents} agents, seed {seed}"
        (folder / "report.svg").write_text(svg(said["samples"], said["marks"], seconds, title))
    if options.json:
        brief = {k: v for k, v in said.items() if k not in ("samples", "marks")}
        print(json.dumps(brief, indent=2))
    else:
        print_report(said)
        if options.report:
            print(f"report.json and report.svg are in {os.path.relpath(options.report)}")
        again = f"--seconds {seconds:g} --agents {options.agents} --seed {seed}"
        print(f"{len(said['problems'])} problems; again: ./dev soak {again}")
    return 1 if said["problems"] else 0


if __name__ == "__main__":
    sys.exit(main())
