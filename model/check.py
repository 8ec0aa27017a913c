#!/usr/bin/env python3
"""Checks the model of the protocol with spin, and that the model can fail.

    model/check.py             everything; exit 1 unless all is as expected
    model/check.py --trails    shows also the shortest way to each broken invariant
    model/check.py --only X    one run of the table, by its switch ("-" for the unchanged models)

Three kinds of runs:
    holds      the model as it is: no invariant may break, and the search must be complete
    no cycle   no run goes round in circles, so that every run comes to rest, where END is asserted
    mutation   a rule is taken out: an invariant has to break, and the one that is named here

Needs spin (apt install spin) and a C compiler. Works in a temporary directory. Exit codes: 0 as
expected, 1 not, 2 a tool is missing.
"""

import argparse
import dataclasses
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
MEMORY_MB = 1500
SECONDS = 240
DEPTH = 20_000


@dataclasses.dataclass(frozen=True)
class Run:
    kind: str
    model: str
    switches: tuple[str, ...] = ()
    breaks: str = ""  # the invariant that has to break
    says: str = ""

    @property
    def name(self):
        return " ".join(self.switches) or "-"


RUNS = [
    Run("holds", "append"),
    Run("holds", "protocol"),
    Run("no cycle", "protocol"),
    Run("holds", "append", ("NO_EPOCH_COMPARED",), says="the tail implies the epoch"),
    Run("mutation", "append", ("NO_TAIL_COMPARED",), "I2"),
    Run("mutation", "append", ("NO_TAIL_COMPARED", "NO_EPOCH_COMPARED"), "I3"),
    Run("mutation", "append", ("NO_GUARD",), "I6"),
    Run("mutation", "protocol", ("COMMIT_BEFORE_SYNC",), "I1"),
    Run("mutation", "protocol", ("ACK_BEFORE_SYNC",), "I5"),
    Run("mutation", "protocol", ("SECOND_DECISION",), "I2"),
    Run("mutation", "protocol", ("IGNORE_EPOCH",), "I3"),
    Run("mutation", "protocol", ("DISPATCH_WITHOUT_RECHECK",), "I6"),
    Run("mutation", "protocol", ("RETRY_AFTER_UNKNOWN",), "I4"),
    Run("mutation", "protocol", ("FORGET_IN_FLIGHT",), "I4"),
    Run("mutation", "protocol", ("KEY_PER_ATTEMPT",), "I4"),
    Run("mutation", "protocol", ("FAIL_ON_CRASH",), "TRUTH"),
    Run("mutation", "protocol", ("PROBE_TOO_EARLY",), "TRUTH"),
    Run("mutation", "protocol", ("NO_RECOVERY",), "END"),
    Run("mutation", "protocol", ("CHECK_BEFORE_QUEUE",), "I6", "halts are looked at before the queue"),
    Run("mutation", "protocol", ("CHECK_BEFORE_QUEUE", "ACKNOWLEDGED_ONLY"), "I3",
        "the same, after the halt or the election was acknowledged"),
    Run("mutation", "protocol", ("STOPPED_RETRY_IS_FAILED",), "TRUTH",
        "a retry that is stopped is recorded as failed"),
    Run("mutation", "protocol", ("UNSENT_RETRY_IS_FAILED",), "TRUTH",
        "a retry that cannot be sent is recorded as failed"),
    Run("mutation", "protocol", ("REFUSED_APPEND_FORGETS",), "END",
        "an outcome whose append is refused is dropped"),
]


@dataclasses.dataclass
class Result:
    verdict: str
    good: bool
    states: int = 0
    depth: int = 0
    seconds: float = 0.0
    trail: str = ""


class CannotRun(Exception):
    pass


def tool(arguments, where):
    done = subprocess.run(arguments, cwd=where, capture_output=True, text=True, timeout=SECONDS)
    return done.returncode, done.stdout + done.stderr


def find_compiler():
    return next((c for c in ("clang-19", "clang", "cc", "gcc") if shutil.which(c)), None)


def preprocessor():
    """spin's own default is gcc, which need not be there."""
    return [f"-P{find_compiler()} -E -x c"]


def build(run, where, compiler):
    """pan, made of the model with its switches."""
    code, said = tool(["spin", *preprocessor(), *definitions(run), "-a", model_file(run)], where)
    if code != 0 or not (where / "pan.c").exists():
        raise CannotRun(f"spin: {said}")
    if run.kind == "holds":
        options = ["-O2", "-DSAFETY"]
    elif run.kind == "no cycle":
        options = ["-O2", "-DNP", "-DNOFAIR"]
    else:
        # Breadth first: the first way that is found is a shortest one.
        options = ["-O0", "-DSAFETY", "-DBFS"]
    code, said = tool([compiler, "-w", *options, f"-DMEMLIM={MEMORY_MB}", "-o", "pan", "pan.c"],
                      where)
    if code != 0:
        raise CannotRun(f"{compiler}: {said}")


def definitions(run):
    return [f"-D{switch}" for switch in run.switches]


def model_file(run):
    return str(HERE / f"{run.model}.pml")


def number(pattern, text):
    found = re.search(pattern, text)
    return int(found.group(1)) if found else 0


def search(run, where):
    arguments = ["./pan", "-n", f"-m{DEPTH}"]
    if run.kind == "no cycle":
        arguments.append("-l")
    begun = time.monotonic()
    code, said = tool(arguments, where)
    seconds = time.monotonic() - begun
    result = Result("", False, number(r"(\d+) states, stored", said),
                    number(r"depth reached (\d+)", said), seconds)
    limits = ["max search depth too small", "out of memory", "memory exhausted", "MEMLIM",
              "Search not completed", "truncated", "hash array"]
    met = [limit for limit in limits if limit in said.replace(f"-DMEMLIM={MEMORY_MB}", "")]
    errors = re.search(r"errors: (\d+)", said)
    if errors is None or code != 0:
        raise CannotRun(f"pan ended with {code}: {said}")
    if errors.group(1) != "0":
        broken, result.trail = replay(run, where)
        result.good = bool(run.breaks) and broken.startswith(run.breaks)
        result.verdict = f"breaks {broken}"
        if run.breaks and not result.good:
            result.verdict += f" (expected {run.breaks})"
    elif met:
        result.verdict = f"incomplete: {met[0]}"
    else:
        result.good = not run.breaks
        result.verdict = f"not caught (expected {run.breaks})" if run.breaks else run.kind
    return result


def replay(run, where):
    """The invariant that broke, from the comment beside its assertion, and the way there."""
    _, said = tool(["spin", *preprocessor(), *definitions(run), "-t", "-k",
                    f"{run.model}.pml.trail", model_file(run)], where)
    source = pathlib.Path(model_file(run)).read_text().splitlines()
    names = {number(r"(\d+)$", value): name.lower() for name, value in
             re.findall(r"#define E_(\w+) (\d+)", "\n".join(source))}
    tools = {0: "plain", 1: "idempotent", 2: "probed"}
    steps = []
    for line in said.splitlines():
        step = line.strip()
        if not re.match(r"(agent|person|disk|loop|server|fate|process) ?\d*: ", step):
            continue
        step = re.sub(r"entry (\d+)", lambda m: names.get(int(m.group(1)), "?"), step)
        steps.append(re.sub(r"tool of kind (\d)", lambda m: tools[int(m.group(1))] + " tool", step))
    at = re.search(r"pml:(\d+), Error: assertion violated", said)
    if at is None:
        broken = "a cycle" if "CYCLE" in said else "no assertion: the model is stuck"
    else:
        comment = re.search(r"/\* (.*) \*/", source[int(at.group(1)) - 1])
        broken = comment.group(1) if comment else f"line {at.group(1)}"
    return broken, "\n".join(f"    {n:3}  {step}" for n, step in enumerate(steps, 1))


def show(run, result, trails):
    mark = "ok  " if result.good else "FAIL"
    print(f"{mark}  {run.kind:9} {run.model:9} {run.name:36} {result.states:>9} {result.depth:>6}"
          f" {result.seconds:>6.1f}  {result.verdict}", flush=True)
    if run.says:
        print(f"{'':27}({run.says})", flush=True)
    if result.trail and (trails or not result.good):
        print(result.trail, flush=True)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--trails", action="store_true", help="show the way to each broken one")
    arguments.add_argument("--only", help='one switch of the table, or "-"')
    asked = arguments.parse_args()
    compiler = find_compiler()
    if compiler is None or shutil.which("spin") is None:
        print("needs spin and a C compiler: apt install spin clang", file=sys.stderr)
        return 2
    runs = [run for run in RUNS if asked.only is None or asked.only in (run.name, *run.switches)]
    if not runs:
        print(f"no run is called {asked.only}", file=sys.stderr)
        return 2
    os.nice(10)
    print(f"      {'kind':9} {'model':9} {'switches':36} {'states':>9} {'depth':>6} {'s':>6}"
          "  verdict")
    begun = time.monotonic()
    bad = 0
    for run in runs:
        with tempfile.TemporaryDirectory(prefix="gavel-model-") as directory:
            where = pathlib.Path(directory)
            try:
                build(run, where, compiler)
                result = search(run, where)
            except (CannotRun, subprocess.TimeoutExpired) as why:
                result = Result(str(why), False)
        show(run, result, asked.trails)
        bad += not result.good
    print(f"{len(runs)} runs in {time.monotonic() - begun:.0f} s")
    print(f"{len(runs) - bad} passed, {bad} failed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
