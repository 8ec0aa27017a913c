"""A scripted model on loopback that speaks the real OpenAI chat-completions API, streaming
included, so that an unmodified agent program runs a known course.

A script is a list of steps. The model picks its step by how many turns of its own it finds in the
conversation, so it keeps no state: an agent that starts over gets the first step again, as from a
real model.

    [call("execute", sql="DELETE FROM orders"), lambda turn: say(turn.last), say("Done.")]
"""

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Call:
    """One tool call. `tool` is the end of the name that the agent program offers: "pg_execute"
    finds "pg_execute" as well as "gavel_pg__execute"."""

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


def _text_of(content):
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content or [])


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self._json(200, {"object": "list", "data": [{"id": "engineer", "object": "model"}]})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        request = json.loads(body)
        try:
            step = self.server.model.next_step(request)
        except Exception as error:
            self.server.model.errors.append(error)
            self._json(400, {"error": {"message": str(error), "type": "invalid_request_error"}})
            return
        try:
            if step.gate:
                step.gate.pass_through()
            self._stream(step, request)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def _json(self, status, value):
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, step, request):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        for choice in self._choices(step):
            self._chunk({"choices": [{"index": 0, **choice}]})
        self._chunk(
            {
                "choices": [],
                "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
            }
        )
        self.wfile.write(b"data: [DONE]\n\n")

    def _choices(self, step):
        yield {"delta": {"role": "assistant", "content": step.text or None}, "finish_reason": None}
        for index, one in enumerate(step.calls):
            number = self.server.model.next_call_number()
            head = {"index": index, "id": f"call_{number}", "type": "function"}
            yield {
                "delta": {
                    "tool_calls": [{**head, "function": {"name": one.tool, "arguments": ""}}]
                },
                "finish_reason": None,
            }
            text = json.dumps(one.arguments)
            half = len(text) // 2
            for part in (text[:half], text[half:]):
                yield {
                    "delta": {"tool_calls": [{"index": index, "function": {"arguments": part}}]},
                    "finish_reason": None,
                }
        yield {"delta": {}, "finish_reason": "tool_calls" if step.calls else "stop"}

    def _chunk(self, extra):
        value = {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "engineer",
            **extra,
        }
        self.wfile.write(f"data: {json.dumps(value)}\n\n".encode())
        self.wfile.flush()


class ScriptedModel:
    """Serves one script. `requests` holds every request body that carried tools; `transcript` the
    results that the model was shown."""

    def __init__(self, script):
        self.script = script
        self.requests = []
        self.transcript = []
        self.errors = []
        self._calls = 0
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.model = self
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def next_call_number(self):
        with self._lock:
            self._calls += 1
            return self._calls

    def next_step(self, request):
        tools = [tool["function"]["name"] for tool in request.get("tools") or []]
        if not tools:
            # Agent programs also ask for titles and summaries.
            return say("Maintenance")
        messages = request["messages"]
        turn = Turn([_text_of(m.get("content")) for m in messages if m["role"] == "tool"], tools)
        number = sum(1 for m in messages if m["role"] == "assistant" and m.get("tool_calls"))
        with self._lock:
            self.requests.append(request)
            self.transcript = turn.results
        step = self.script[min(number, len(self.script) - 1)]
        if callable(step):
            step = step(turn)
        return Step(
            [Call(self._offered(one.tool, tools), one.arguments) for one in step.calls],
            step.text,
            step.gate,
        )

    @staticmethod
    def _offered(tool, tools):
        for name in tools:
            plain = name.replace("__", "_")
            if plain == tool or plain.endswith("_" + tool):
                return name
        raise LookupError(f"the agent program offers no tool {tool}, but: {', '.join(tools)}")

    def saw(self, text):
        """Whether `text` was in anything that the model was ever sent."""
        return any(text in json.dumps(request) for request in self.requests)

    def close(self):
        self._server.shutdown()
        self._server.server_close()
