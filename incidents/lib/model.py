"""A scripted model on loopback that speaks the real APIs of the agent programs (apis.py), streaming
included, so that an unmodified program runs a known course.

A script is a list of steps. The model picks its step by how many turns of its own it finds in the
conversation, so it keeps no state: an agent that starts over gets the first step again, as from a
real model.

    [call("execute", sql="DELETE FROM orders"), lambda turn: say(turn.last), say("Done.")]
"""

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .apis import api_for


@dataclass
class Call:
    """One tool call. `tool` is the name that the agent program offers, or its end: "pg_execute"
    finds "pg_execute" as well as "mcp__gavel__pg__execute"."""

    tool: str
    arguments: dict


@dataclass
class Step:
    calls: list = field(default_factory=list)
    text: str = ""
    gate: "Gate | None" = None


class Gate:
    """Holds the model before a step, as if it were thinking, until the scenario opens it."""

    def __init__(self):
        self.reached = threading.Event()
        self._open = threading.Event()

    def wait_reached(self, timeout=60):
        if not self.reached.wait(timeout):
            raise TimeoutError(f"the agent did not come to this step within {timeout} s")

    def open(self):
        self._open.set()

    def pass_through(self):
        self.reached.set()
        self._open.wait(120)


@dataclass
class Turn:
    """What the model sees: the results of its tool calls so far, oldest first."""

    results: list
    tools: list

    @property
    def last(self):
        return self.results[-1] if self.results else ""


def call(tool, **arguments):
    return Step([Call(tool, arguments)])


def together(*steps):
    """Several calls in one turn."""
    return Step([each for step in steps for each in step.calls])


def say(text):
    return Step(text=text)


def behind(gate, step):
    return Step(step.calls, step.text, gate)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self._json(200, {})

    def do_GET(self):
        self._json(200, {"object": "list", "data": [], "models": []})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        model = self.server.model
        try:
            api = api_for(self.path, json.loads(body))
        except ValueError:
            api = None
        if api is None:
            tokens = "count" in self.path.lower()
            self._json(200, {"input_tokens": 100, "totalTokens": 100} if tokens else {})
            return
        try:
            step = model.next_step(api)
        except Exception as error:
            model.errors.append(error)
            self._json(400, {"error": {"message": str(error), "type": "invalid_request_error"}})
            return
        try:
            if step.gate:
                step.gate.pass_through()
            number = model.next_number()
            if api.streamed:
                self._stream(api, api.events(step, number))
            else:
                self._json(200, api.reply(step, number))
        except (BrokenPipeError, ConnectionResetError):
            pass

    def _json(self, status, value):
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _stream(self, api, events):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        for event in events:
            name = f"event: {event['type']}\n" if api.event_names else ""
            self.wfile.write(f"{name}data: {json.dumps(event)}\n\n".encode())
            self.wfile.flush()
        self.wfile.write(api.end)


class Model:
    """Serves one script. `requests` holds the text of each request that offered tools, `offered`
    these tools, `results` what the model was shown last of its calls, `errors` what it could not
    answer."""

    def __init__(self, script):
        self.script = script
        self.requests = []
        self.offered = []
        self.results = []
        self.errors = []
        self._number = 0
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.model = self
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def next_number(self):
        with self._lock:
            self._number += 1
            return self._number

    def next_step(self, api):
        turn = Turn(api.results(), api.tools())
        if not turn.tools:
            # Programs also ask for titles and summaries.
            return say("Maintenance")
        with self._lock:
            self.requests.append(json.dumps(api.request))
            self.offered.append(turn.tools)
            if len(turn.results) >= len(self.results):
                self.results = turn.results
        step = self.script[min(api.turns(), len(self.script) - 1)]
        if callable(step):
            step = step(turn)
        calls = [Call(offered(one.tool, turn.tools), one.arguments) for one in step.calls]
        return Step(calls, step.text, step.gate)

    def saw(self, text):
        """Whether `text` was in anything that the model was ever sent."""
        return any(text in request for request in self.requests)

    def close(self):
        self._server.shutdown()
        self._server.server_close()


def offered(tool, tools):
    """The program's own name of a tool: itself, or one that ends in it."""
    if tool in tools:
        return tool
    wanted = "_" + tool.replace("__", "_")
    for name in tools:
        if ("_" + name.replace("/", "_").replace("__", "_")).endswith(wanted):
            return name
    raise LookupError(f"the program offers no tool {tool}, but: {', '.join(tools)}")
