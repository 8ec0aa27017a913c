#!/usr/bin/env python3
"""Runs every benchmark of a build, prints a table and writes build/bench/summary.json.

Each figure stands beside its floor of the same run and, where there is one, the reach that the project aims at. A missed
reach is shown, not failed: these machines are noisy, and a figure is read together with its floor.
"""

import argparse
import json
import pathlib
import subprocess
import sys

# name: (what must hold, in words; the test)
REACHES = {
    "append_c1_p50": ("at most 1.4 x floor", lambda f: f["ratio"] <= 1.4),
    "append_c64_throughput": ("at least 0.7 x floor", lambda f: f["ratio"] >= 0.7),
    "gated_call_added_p50": ("at most floor + 300 us", lambda f: f["value"] <= f["floor"] + 300),
    "gated_call_added_p99": ("at most 3000 us", lambda f: f["value"] <= 3000),
    "gated_call_throughput_c64": ("14000 calls/s", lambda f: f["value"] >= 14000),
    "policy_1000_rules": ("under 20 us", lambda f: f["value"] < 20),
    "wake_10k_snapshot": ("under 5 ms", lambda f: f["value"] < 5),
    "restart_1m": ("under 2 s", lambda f: f["value"] < 2),
    "idle_10k_sessions": ("under 20 MB", lambda f: f["value"] < 20),
    "mcp_http_added_p50": ("under 150 us", lambda f: f["value"] < 150),
    "mcp_stdio_added_p50": ("under 150 us", lambda f: f["value"] < 150),
    "mcp_list_1000_tools": ("under 10 ms", lambda f: f["value"] < 10),
}


def programs(build: pathlib.Path):
    bench = build / "bench"
    daemon = [build / "src/app/gavel", build / "tests/fixtures/gavel_fast_server"]
    return [
        [bench / "gavel_bench_append"],
        [bench / "gavel_bench_engine"],
        [bench / "gavel_bench_gateway", *daemon],
        [bench / "gavel_bench_mcp", *daemon],
    ]


def run(command) -> list:
    print(f"measuring: {command[0].name} ...", file=sys.stderr, flush=True)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=1200)
    if done.returncode != 0:
        sys.exit(f"{command[0].name} failed with {done.returncode}")
    return json.loads(done.stdout)


def show(figures) -> None:
    colour = sys.stdout.isatty()
    width = max(len(f["name"]) for f in figures)
    print(f"{'figure':{width}}  {'value':>12}  {'unit':8}  {'floor':>12}  {'ratio':>7}  reach")
    for f in figures:
        floor = f"{f['floor']:12.1f}  {f['ratio']:7.2f}" if f["floor"] else f"{'':12}  {'':7}"
        reach, reached = REACHES.get(f["name"], ("", lambda _: True))
        mark = "" if not reach else ("reached: " if reached(f) else "MISSED: ")
        if colour and mark:
            mark = f"\033[{32 if reached(f) else 31}m{mark}\033[0m"
        print(f"{f['name']:{width}}  {f['value']:12.1f}  {f['unit']:8}  {floor}  {mark}{reach}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build/release"))
    parser.add_argument("--summary", type=pathlib.Path, default=pathlib.Path("build/bench/summary.json"))
    parser.add_argument("only", nargs="*", help="parts of the programs' names")
    options = parser.parse_args()
    figures = []
    for command in programs(options.build):
        if options.only and not any(part in command[0].name for part in options.only):
            continue
        figures += run(command)
    options.summary.parent.mkdir(parents=True, exist_ok=True)
    options.summary.write_text(json.dumps(figures, indent=1) + "\n")
    show(figures)
    print(f"\nwritten to {options.summary}")


if __name__ == "__main__":
    main()
