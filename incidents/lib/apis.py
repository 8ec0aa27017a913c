"""The APIs that the scripted model speaks: Anthropic's Messages, OpenAI's Responses and chat
completions, Gemini's generateContent; whole or streamed, as each is asked."""

import json

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
    """One API. `turns` is how often the model has called tools in this conversation, `results`
    what came of the calls, `tools` the names on offer; `reply` gives the answer whole, `events` in
    pieces. `number` is another one for each answer."""

    event_names = True
    end = b""

    def __init__(self, request):
        self.request = request
        self.streamed = bool(request.get("stream"))


class Messages(Api):
    """POST /v1/messages"""

    def tools(self):
        return [tool["name"] for tool in self.request.get("tools") or [] if "name" in tool]

    def _blocks(self, role, kind):
        """Of each message that has any, the blocks of this kind."""
        for message in self.request["messages"]:
            if message["role"] == role and isinstance(message["content"], list):
                found = [block for block in message["content"] if block["type"] == kind]
                if found:
                    yield found

    def turns(self):
        return sum(1 for _ in self._blocks("assistant", "tool_use"))

    def results(self):
        found = self._blocks("user", "tool_result")
        return [text_of(block.get("content")) for blocks in found for block in blocks]

    def _content(self, step, number):
        content = [{"type": "text", "text": step.text}] if step.text else []
        for index, one in enumerate(step.calls):
            content.append(
                {
                    "type": "tool_use",
                    "id": f"toolu_{number}_{index}",
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

    def turns(self):
        # Calls and results stand one after another; the ids are those of _output.
        calls = self._items("function_call", "custom_tool_call")
        return len({call["call_id"].split("_")[1] for call in calls})

    def results(self):
        found = self._items("function_call_output", "custom_tool_call_output")
        return [text_of(item.get("output")) for item in found]

    def _output(self, step, number):
        output = []
        free = [t["name"] for t in self.request["tools"] if t.get("type") == "custom"]
        for index, one in enumerate(step.calls):
            space, _, name = one.tool.rpartition("/")
            item = {
                "type": "function_call",
                "id": f"fc_{number}_{index}",
                "call_id": f"call_{number}_{index}",
                "name": name,
            }
            if space:
                item["namespace"] = space
            if name in free:
                # A tool that takes text of its own form, here the only argument.
                item["type"] = "custom_tool_call"
                item["input"] = next(iter(one.arguments.values()))
            else:
                item["arguments"] = json.dumps(one.arguments)
            output.append(item)
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

    def turns(self):
        return sum(1 for m in self.request["messages"] if m.get("tool_calls"))

    def results(self):
        return [text_of(m.get("content")) for m in self.request["messages"] if m["role"] == "tool"]

    def _calls(self, step, number):
        return [
            {
                "index": index,
                "id": f"call_{number}_{index}",
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

    def turns(self):
        contents = self.request.get("contents") or []
        return sum(any("functionCall" in p for p in c.get("parts") or []) for c in contents)

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
