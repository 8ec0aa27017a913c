#!/usr/bin/env python3
"""Runs the fuzz targets and says what came of each. ./dev fuzz builds them and calls this.

With libFuzzer (the default): the targets share the minutes, two at a time; what they find new is
kept in build/fuzz/corpora, findings in build/fuzz/findings. With --mutate: the targets of any other
preset change their corpus at random for so many seconds each, which needs no build of its own."""

import argparse
import json
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "tests/fuzz"
AT_ONCE = 2
INPUT_SECONDS_MAX = 20
INPUT_BYTES_MAX = 8192
MEMORY_MB_MAX = 2048
REPORT_LINES = 40


def target_names():
    listed = (SOURCES / "CMakeLists.txt").read_text()
    return re.findall(r"^gavel_fuzz\((\w+) ", listed, re.MULTILINE)


def shown(path):
    path = Path(path)
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


class Target:
    def __init__(self, name, build):
        self.name = name
        self.program = build / f"tests/fuzz/gavel_fuzz_{name}"
        self.seeds = SOURCES / "corpus" / name
        self.corpus = build / "corpora" / name
        self.findings = build / "findings" / name

    def result(self, ran, output, before, **more):
        findings = sorted(set(self.findings.glob("*")) - before)
        failed = ran.returncode != 0
        return {
            "target": self.name,
            "findings": [{"file": shown(f), "replay": f"{shown(self.program)} {shown(f)}"}
                         for f in findings],
            "failed": failed or bool(findings),
            "output": output.splitlines()[-REPORT_LINES:] if failed or findings else [],
            **more,
        }

    def run(self, command, seconds):
        self.findings.mkdir(parents=True, exist_ok=True)
        before = set(self.findings.glob("*"))
        began = time.monotonic()
        ran = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                             errors="replace", timeout=seconds * 2 + 300, check=False)
        return ran, ran.stdout, before, time.monotonic() - began

    def fuzz(self, seconds):
        self.corpus.mkdir(parents=True, exist_ok=True)
        grown_from = len(list(self.corpus.iterdir()))
        command = [self.program, self.corpus, self.seeds, f"-max_total_time={seconds}",
                   f"-artifact_prefix={self.findings}/", f"-timeout={INPUT_SECONDS_MAX}",
                   f"-rss_limit_mb={MEMORY_MB_MAX}", f"-max_len={INPUT_BYTES_MAX}",
                   "-print_final_stats=1"]
        dictionary = SOURCES / "dictionaries" / f"{self.name}.dict"
        if dictionary.exists():
            command.append(f"-dict={dictionary}")
        ran, output, before, took = self.run(command, seconds)
        executions = re.search(r"number_of_executed_units: (\d+)", output)
        reached = re.findall(r"cov: (\d+) ft: (\d+)", output)
        edges, features = map(int, reached[-1]) if reached else (0, 0)
        count = int(executions[1]) if executions else 0
        return self.result(ran, output, before, executions=count,
                           per_second=round(count / max(took, 0.001)), edges=edges,
                           features=features, corpus_from=grown_from,
                           corpus_to=len(list(self.corpus.iterdir())))

    def mutate(self, seconds, seed):
        command = [self.program, self.seeds, "--mutate", seconds, "--findings", self.findings]
        if seed is not None:
            command += ["--seed", seed]
        ran, output, before, took = self.run(command, seconds)
        count = sum(map(int, re.findall(r"^(\d+) inputs", output, re.MULTILINE)))
        used = re.search(r"^seed (\d+)", output, re.MULTILINE)
        return self.result(ran, output, before, executions=count,
                           per_second=round(count / max(took, 0.001)),
                           seed=int(used[1]) if used else None)


def print_result(result):
    verdict = "FINDING" if result["failed"] else "ok"
    line = (f"{result['target']:10}  {verdict:7}  {result['executions']:10,} executions"
            f"  {result['per_second']:7,}/s")
    if "edges" in result:
        line += (f"  corpus {result['corpus_from']:,} -> {result['corpus_to']:,}"
                 f"  {result['edges']:,} edges, {result['features']:,} features")
    else:
        line += f"  seed {result['seed']}"
    print(line, flush=True)
    for finding in result["findings"]:
        print(f"    {finding['file']}\n    replay: {finding['replay']}")
    for text in result["output"]:
        print(f"    | {text}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="default: all")
    parser.add_argument("--minutes", type=float, default=10, help="for all together (default 10)")
    parser.add_argument("--mutate", type=float, metavar="SECONDS",
                        help="change the corpora at random instead, SECONDS for each target")
    parser.add_argument("--seed", type=int, help="of --mutate, to do the same again")
    parser.add_argument("--json", action="store_true", help="one JSON list on standard output")
    parser.add_argument("--list", action="store_true", help="name the targets and end")
    parser.add_argument("--build", type=Path, help="a built preset (build/fuzz; --mutate: build/dev)")
    options = parser.parse_args()
    names = target_names()
    if options.list:
        print("\n".join(names))
        return 0
    unknown = [name for name in options.targets if name not in names]
    if unknown:
        parser.error(f"no target {unknown[0]}; there are {', '.join(names)}")
    build = (options.build or ROOT / ("build/dev" if options.mutate else "build/fuzz")).resolve()
    targets = [Target(name, build) for name in names if name in (options.targets or names)]
    seconds = max(1, int(options.minutes * 60 * AT_ONCE / len(targets)))

    def run(target):
        if options.mutate:
            return target.mutate(options.mutate, options.seed)
        return target.fuzz(min(seconds, max(1, int(options.minutes * 60))))

    results = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for result in pool.map(run, targets):
            results.append(result)
            if not options.json:
                print_result(result)
    failed = sum(result["failed"] for result in results)
    if options.json:
        print(json.dumps(results, indent=2))
    else:
        print(f"{len(results) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
