"""One scripted model on loopback that speaks the four APIs of the agent programs: Anthropic's
Messages, OpenAI's Responses and chat completions, Gemini's generateContent; streamed as each asks.

A script is a list of steps as in incidents/lib/model.py. The step is chosen by how many tool
calls the conversation holds, so the model keeps no state."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from lib.model import Call, Step, Turn, _text_of, say  # noqa: F401

USAGE = 100, 20  # tokens in and out of every answer


def text_of(value):
    """The text in a tool's result, however the API wraps it."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(text_of(part) for part in value)
    if isinstance(value, dict):
        for key in ("text", "output", "error", "content"):
            if key in value:
                return text_of(value[key])
    return "" if value is None else json.dumps(value)


class Api:
    """One API. `calls` is how many tool calls the conversation holds, `results` what came of
    them, `tools` the names on offer; `reply` gives the answer whole, `events` in pieces."""

    event_names = True
    end = b""

    def __init__(self, request):
        self.request = request
        self.streamed = bool(request.get("stream"))

    def turn(self):
        return Turn(self.results(), self.tools())


class Messages(Api):
    """POST /v1/messages"""

    def tools(self):
        return [tool["name"] for tool in self.request.get("tools") or [] if "name" in tool]

    def _blocks(self, role, kind):
        for message in self.request["messages"]:
            if message["role"] == role and isinstance(message["content"], list):
                yield from (block for block in message["content"] if block["type"] == kind)

    def calls(self):
        return sum(1 for _ in self._blocks("assistant", "tool_use"))

    def results(self):
        return [text_of(block.get("content")) for block in self._blocks("user", "tool_result")]

    def _content(self, step, number):
        content = [{"type": "text", "text": step.text}] if step.text else []
        for index, one in enumerate(step.calls):
            content.append(
                {
                    "type": "tool_use",
                    "id": f"toolu_{number + index}",
                    "name": one.tool,
                    "input": one.arguments,
                }
            )
        return content

    def reply(self, step, number):
        return {
            "id": f"msg_{number}",
            "type": "message",
            "role": "assistant",
            "model": self.request.get("model", "engineer"),
            "content": self._content(step, number),
            "stop_reason": "tool_use" if step.calls else "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": USAGE[0], "output_tokens": USAGE[1]},
        }

    def events(self, step, number):
        whole = self.reply(step, number)
        yield {"type": "message_start", "message": {**whole, "content": [], "stop_reason": None}}
        for index, block in enumerate(whole["content"]):
            if block["type"] == "text":
                empty = {"type": "text", "text": ""}
                delta = {"type": "text_delta", "text": block["text"]}
            else:
                empty = {**block, "input": {}}
                delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
            yield {"type": "content_block_start", "index": index, "content_block": empty}
            yield {"type": "content_block_delta", "index": index, "delta": delta}
            yield {"type": "content_block_stop", "index": index}
        yield {
            "type": "message_delta",
            "delta": {"stop_reason": whole["stop_reason"], "stop_sequence": None},
            "usage": {"output_tokens": USAGE[1]},
        }
        yield {"type": "message_stop"}


class Responses(Api):
    """POST /v1/responses. Tools of MCP servers come in namespaces; here they are "SPACE/NAME"."""

    def tools(self):
        found = []
        for tool in self.request.get("tools") or []:
            if tool.get("type") == "namespace":
                found += [f"{tool['name']}/{inner['name']}" for inner in tool["tools"]]
            else:
                found.append(tool.get("name") or tool.get("type"))
        return found

    def _items(self, *kinds):
        items = self.request.get("input")
        return [i for i in items if isinstance(i, dict) and i.get("type") in kinds]

    def calls(self):
        return len(self._items("function_call", "custom_tool_call"))

    def results(self):
        found = self._items("function_call_output", "custom_tool_call_output")
        return [text_of(item.get("output")) for item in found]

    def _output(self, step, number):
        output = []
        for index, one in enumerate(step.calls):
            space, _, name = one.tool.rpartition("/")
            output.append(
                {
                    "type": "function_call",
                    "id": f"fc_{number + index}",
                    "call_id": f"call_{number + index}",
                    "name": name,
                    "arguments": json.dumps(one.arguments),
                    **({"namespace": space} if space else {}),
                }
            )
        if step.text:
            part = {"type": "output_text", "text": step.text, "annotations": []}
            output.append(
                {
                    "type": "message",
                    "id": f"msg_{number}",
                    "role": "assistant",
                    "status": "completed",
                    "content": [part],
                }
            )
        return output

    def reply(self, step, number):
        return {
            "id": f"resp_{number}",
            "object": "response",
            "status": "completed",
            "model": self.request.get("model", "engineer"),
            "output": self._output(step, number),
            "usage": {
                "input_tokens": USAGE[0],
                "input_tokens_details": {"cached_tokens": 0},
                "output_tokens": USAGE[1],
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": sum(USAGE),
            },
        }

    def events(self, step, number):
        whole = self.reply(step, number)
        opened = {**whole, "status": "in_progress", "output": []}
        yield {"type": "response.created", "response": opened}
        for index, item in enumerate(whole["output"]):
            yield {"type": "response.output_item.added", "output_index": index, "item": item}
            yield {"type": "response.output_item.done", "output_index": index, "item": item}
        yield {"type": "response.completed", "response": whole}


class Chat(Api):
    """POST /v1/chat/completions"""

    event_names = False
    end = b"data: [DONE]\n\n"

    def tools(self):
        return [tool["function"]["name"] for tool in self.request.get("tools") or []]

    def calls(self):
        return sum(len(m.get("tool_calls") or []) for m in self.request["messages"])

    def results(self):
        found = [m for m in self.request["messages"] if m["role"] == "tool"]
        return [_text_of(m.get("content")) for m in found]

    def _calls(self, step, number):
        return [
            {
                "index": index,
                "id": f"call_{number + index}",
                "type": "function",
                "function": {"name": one.tool, "arguments": json.dumps(one.arguments)},
            }
            for index, one in enumerate(step.calls)
        ]

    def _value(self, kind, choices):
        used = {"prompt_tokens": USAGE[0], "completion_tokens": USAGE[1], "total_tokens": 120}
        value = {"id": "chatcmpl-1", "object": kind, "created": 1, "model": "engineer"}
        return {**value, "choices": choices, "usage": used}

    def reply(self, step, number):
        message = {"role": "assistant", "content": step.text or None}
        if step.calls:
            message["tool_calls"] = self._calls(step, number)
        reason = "tool_calls" if step.calls else "stop"
        choice = {"index": 0, "message": message, "finish_reason": reason}
        return self._value("chat.completion", [choice])

    def events(self, step, number):
        kind = "chat.completion.chunk"
        delta = {"role": "assistant", "content": step.text or None}
        if step.calls:
            delta["tool_calls"] = self._calls(step, number)
        choice = {"index": 0, "delta": delta, "finish_reason": None}
        reason = "tool_calls" if step.calls else "stop"
        for each in (choice, {"index": 0, "delta": {}, "finish_reason": reason}):
            yield {k: v for k, v in self._value(kind, [each]).items() if k != "usage"}
        yield self._value(kind, [])


class Generate(Api):
    """POST /v1beta/models/NAME:generateContent and :streamGenerateContent"""

    event_names = False

    def tools(self):
        return [
            each["name"]
            for tool in self.request.get("tools") or []
            for each in tool.get("functionDeclarations") or []
        ]

    def _parts(self, key):
        for content in self.request.get("contents") or []:
            yield from (part[key] for part in content.get("parts") or [] if key in part)

    def calls(self):
        return sum(1 for _ in self._parts("functionCall"))

    def results(self):
        return [text_of(part.get("response")) for part in self._parts("functionResponse")]

    def reply(self, step, _):
        parts = [{"text": step.text}] if step.text else []
        parts += [{"functionCall": {"name": c.tool, "args": c.arguments}} for c in step.calls]
        content = {"role": "model", "parts": parts}
        return {
            "candidates": [{"content": content, "finishReason": "STOP", "index": 0}],
            "usageMetadata": {
                "promptTokenCount": USAGE[0],
                "candidatesTokenCount": USAGE[1],
                "totalTokenCount": sum(USAGE),
            },
        }

    def events(self, step, number):
        yield self.reply(step, number)


def api_for(path, request):
    path = path.partition("?")[0]
    if path.endswith("/messages"):
        return Messages(request)
    if path.endswith("/responses"):
        return Responses(request)
    if path.endswith("/chat/completions"):
        return Chat(request)
    if path.endswith((":generateContent", ":streamGenerateContent")):
        api = Generate(request)
        api.streamed = path.endswith(":streamGenerateContent")
        return api
    return None


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
    """Serves one script. `offered` holds the tools of each request that had any, `results` what
    the model was shown last of its calls, `errors` what it could not answer."""

    def __init__(self, script):
        self.script = script
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
        turn = api.turn()
        if not turn.tools:
            # Programs also ask for titles and summaries.
            return say("Maintenance")
        with self._lock:
            self.offered.append(turn.tools)
            if len(turn.results) >= len(self.results):
                self.results = turn.results
        step = self.script[min(api.calls(), len(self.script) - 1)]
        if callable(step):
            step = step(turn)
        calls = [Call(offered(one.tool, turn.tools), one.arguments) for one in step.calls]
        return Step(calls, step.text, step.gate)

    def close(self):
        self._server.shutdown()
        self._server.server_close()


def offered(tool, tools):
    """The program's own name of a tool: itself, or one that ends in it."""
    if tool in tools:
        return tool
    for name in tools:
        if name.endswith((f"_{tool}", f"/{tool}")):
            return name
    raise LookupError(f"the program offers no tool {tool}, but: {', '.join(tools)}")
