#!/usr/bin/env python3
"""An MCP server over stdio that misbehaves on request: it dies, hangs, floods its output, answers
garbage. It speaks the handshake line (2025-11-25 and older), like the servers that people run.

Its effects are lines in the file of UPSTREAM_FILE: what stands there is what really happened."""

import json
import os
import sys
import threading
import time

FILE = os.environ.get("UPSTREAM_FILE", "/dev/null")
PROMPTS = os.environ.get("UPSTREAM_PROMPTS", "").split()
_lock = threading.Lock()


def tool(name, properties=None, required=(), **extra):
    return {
        "name": name,
        "description": f"{name} of the test server",
        "inputSchema": {
            "type": "object",
            "properties": properties or {},
            "required": list(required),
            "additionalProperties": False,
        },
        **extra,
    }


TEXT = {"text": {"type": "string", "maxLength": 100000}}
SECONDS = {"seconds": {"type": "number"}}
TOOLS = [
    tool("echo", TEXT, ["text"], annotations={"readOnlyHint": True}),
    tool("append", TEXT, ["text"], annotations={"readOnlyHint": False, "destructiveHint": False}),
    tool("lines", annotations={"readOnlyHint": True}),
    tool("sleep", SECONDS, ["seconds"], annotations={"readOnlyHint": True}),
    tool(
        "append_slowly",
        {**TEXT, **SECONDS},
        ["text", "seconds"],
        annotations={"readOnlyHint": False, "destructiveHint": False},
    ),
    tool(
        "append_and_die",
        TEXT,
        ["text"],
        annotations={"readOnlyHint": False, "destructiveHint": False},
    ),
    tool("die_once", TEXT, ["text"], annotations={"readOnlyHint": False, "idempotentHint": True}),
    tool("die", annotations={"readOnlyHint": True}),
    tool("flood", {"bytes": {"type": "integer"}}, ["bytes"], annotations={"readOnlyHint": True}),
    tool("garbage", annotations={"readOnlyHint": True}),
    tool("strangers", annotations={"readOnlyHint": True}),
    tool("fail", annotations={"readOnlyHint": True}),
    tool("secret", {"how": {"type": "string"}}, annotations={"readOnlyHint": True}),
    tool("progress", annotations={"readOnlyHint": True}),
    tool("meta", annotations={"readOnlyHint": True}),
    tool("announce", annotations={"readOnlyHint": True}),
    tool(
        "large",
        {"bytes": {"type": "integer"}, "fails": {"type": "boolean"}},
        ["bytes"],
        annotations={"readOnlyHint": True},
    ),
    tool(
        "count",
        {"lie": {"type": "boolean"}},
        annotations={"readOnlyHint": True},
        outputSchema={
            "type": "object",
            "properties": {"n": {"type": "integer"}},
            "required": ["n"],
        },
    ),
]


def listed():
    """The tools as the file of UPSTREAM_TOOLS changes them: {name: members, or null for gone}."""
    try:
        with open(os.environ.get("UPSTREAM_TOOLS", "/dev/null")) as file:
            changes = json.load(file)
    except (OSError, ValueError):
        changes = {}
    found = {each["name"]: each for each in TOOLS}
    for name, members in changes.items():
        gone = members is None
        found[name] = None if gone else {**found.get(name, tool(name)), **members}
    return [each for each in found.values() if each]


def page(kind, items, params):
    """UPSTREAM_PAGES: so many items at once; or "endless", cursors that never end; or "circle",
    the same one again and again."""
    size = os.environ.get("UPSTREAM_PAGES", "")
    if not size:
        return {kind: items}
    start = int(params.get("cursor", 0))
    if size == "circle":
        return {kind: items, "nextCursor": "1"}
    if size == "endless":
        return {kind: items, "nextCursor": str(start + 1)}
    end = start + int(size)
    return {kind: items[start:end], **({"nextCursor": str(end)} if end < len(items) else {})}


def send(message):
    with _lock:
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()


def raw(data):
    with _lock:
        sys.stdout.write(data)
        sys.stdout.flush()


def text(value):
    return {"content": [{"type": "text", "text": value}]}


def append(line):
    with open(FILE, "a") as file:
        file.write(line + "\n")


def lines():
    try:
        with open(FILE) as file:
            return file.read()
    except OSError:
        return ""


def call(number, params):
    name, arguments = params["name"], params.get("arguments", {})
    meta = params.get("_meta", {})
    if name == "echo":
        return text(arguments["text"])
    if name == "append":
        append(arguments["text"])
        return text("appended")
    if name == "lines":
        return text(lines())
    if name == "sleep":
        time.sleep(arguments["seconds"])
        return text("awake")
    if name == "append_slowly":
        append(arguments["text"])
        time.sleep(arguments["seconds"])
        return text("appended")
    if name == "append_and_die":
        append(arguments["text"])
        os._exit(3)
    if name == "die_once":
        if arguments["text"] not in lines():
            append(arguments["text"])
            os._exit(3)
        return text("it was there already")
    if name == "die":
        print("about to die, as asked", file=sys.stderr, flush=True)
        os._exit(3)
    if name == "flood":
        left = arguments["bytes"]
        while left > 0:
            raw("x" * min(left, 1 << 20))
            left -= 1 << 20
        raw("\n")
        return text("flooded")
    if name == "garbage":
        raw('{"jsonrpc":"2.0","id":%d,"result":{"content":[}\n' % number)
        raw("\x00\xff not json at all\n")
        return None
    if name == "strangers":
        # Answers to questions that nobody asked; the real one comes last.
        send({"jsonrpc": "2.0", "id": 987654, "result": text("for somebody else")})
        send({"jsonrpc": "2.0", "id": "x", "error": {"code": 1, "message": "?"}})
        send([])
        return text("the real one")
    if name == "fail":
        return {**text("it did not work"), "isError": True}
    if name == "secret":
        token = os.environ.get("API_TOKEN", "")
        if arguments.get("how") == "rpc":
            raise PermissionError(f"the token {token} was refused")
        said = text(f"my token is {token}")
        return {**said, "isError": True} if arguments.get("how") == "error" else said
    if name == "progress":
        for step in (1, 2, 3):
            if "progressToken" in meta:
                send(
                    {
                        "jsonrpc": "2.0",
                        "method": "notifications/progress",
                        "params": {
                            "progressToken": meta["progressToken"],
                            "progress": step,
                            "total": 3,
                        },
                    }
                )
        return text("done")
    if name == "meta":
        return text(json.dumps(meta))
    if name == "announce":
        send({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})
        return text("announced")
    if name == "large":
        found = text("x" * arguments["bytes"])
        return {**found, "isError": True} if arguments.get("fails") else found
    if name == "count":
        value = {"n": "many"} if arguments.get("lie") else {"n": 3}
        return {**text(json.dumps(value)), "structuredContent": value}
    raise LookupError(name)


def answer(message):
    number, method, params = message["id"], message["method"], message.get("params", {})
    if method == "initialize":
        result = {
            "protocolVersion": params["protocolVersion"],
            "capabilities": {"tools": {}, "resources": {}, "prompts": {}},
            "serverInfo": {"name": "misbehaving", "version": "1.0"},
        }
        if result["protocolVersion"] >= "2026":
            result["protocolVersion"] = "2025-11-25"
    elif method == "tools/list":
        result = page("tools", listed(), params)
    elif method == "resources/list":
        names = ["greeting", *os.environ.get("UPSTREAM_RESOURCES", "").split()]
        resources = [{"uri": f"test://{name}", "name": name} for name in names]
        result = page("resources", resources, params)
    elif method == "resources/templates/list":
        templates = [{"uriTemplate": f"test://{name}/{{x}}", "name": name} for name in "abc"]
        result = page("resourceTemplates", templates, params)
    elif method == "resources/read":
        append(f"read {params['uri']}")
        result = {"contents": [{"uri": params["uri"], "mimeType": "text/plain", "text": "hello"}]}
    elif method == "prompts/list":
        prompts = [{"name": "greet", "arguments": [{"name": "who", "required": True}]}]
        result = page("prompts", prompts + [{"name": name} for name in PROMPTS], params)
    elif method == "prompts/get":
        who = params.get("arguments", {}).get("who")
        result = {
            "messages": [{"role": "user", "content": {"type": "text", "text": f"greet {who}"}}]
        }
    elif method == "ping":
        result = {}
    elif method == "tools/call":
        try:
            result = call(number, params)
        except LookupError as error:
            send(
                {
                    "jsonrpc": "2.0",
                    "id": number,
                    "error": {"code": -32602, "message": f"Unknown tool: {error}"},
                }
            )
            return
        except PermissionError as error:
            send({"jsonrpc": "2.0", "id": number, "error": {"code": -32000, "message": str(error)}})
            return
        if result is None:
            return
    else:
        send(
            {
                "jsonrpc": "2.0",
                "id": number,
                "error": {"code": -32601, "message": "Method not found"},
            }
        )
        return
    send({"jsonrpc": "2.0", "id": number, "result": result})


def main():
    for line in sys.stdin:
        message = json.loads(line)
        if message.get("method") == "notifications/cancelled":
            print("nobody waits any more", file=sys.stderr, flush=True)
        if "id" not in message or "method" not in message:
            continue
        threading.Thread(target=answer, args=(message,), daemon=True).start()


main()
