#!/usr/bin/env python3
"""An MCP server over stdio that asks its client for input while it works, and announces what changes.

  two_eras.py legacy|modern

Its effects are lines in the file of UPSTREAM_FILE."""

import json
import os
import sys
import threading
from queue import Queue

MODERN = "2026-07-28"
META = "io.modelcontextprotocol/"
ERA = sys.argv[1]
FILE = os.environ.get("UPSTREAM_FILE", "/dev/null")
QUESTIONS = {
    "form": (
        "elicitation/create",
        {
            "mode": "form",
            "message": "sure?",
            "requestedSchema": {"type": "object", "properties": {"ok": {"type": "boolean"}}},
        },
    ),
    "url": (
        "elicitation/create",
        {"mode": "url", "message": "log in there", "url": "https://example.com/login"},
    ),
    "sampling": (
        "sampling/createMessage",
        {
            "messages": [{"role": "user", "content": {"type": "text", "text": "2 + 2?"}}],
            "maxTokens": 8,
        },
    ),
    "roots": ("roots/list", {}),
}
CAPABILITIES = {
    "tools": {"listChanged": True},
    "resources": {"subscribe": True, "listChanged": True},
}
_lock = threading.Lock()
waiting = {}  # questions of a legacy server, by id
listens = {}  # of a modern one, by id: what it asked for
subscribed = set()
locked = True


def send(**message):
    with _lock:
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        sys.stdout.flush()


def text(value):
    return {"content": [{"type": "text", "text": value}]}


def act(line):
    with open(FILE, "a") as file:
        file.write(line + "\n")


def can_be_asked(meta, kind):
    declared = meta.get(META + "clientCapabilities", {})
    if kind in ("form", "url"):
        return kind in declared.get("elicitation", {})
    return kind in declared


def ask(number, kind, params):
    """The answer, or a result that asks for it."""
    method, question = QUESTIONS[kind]
    if ERA == "modern":
        if not can_be_asked(params["_meta"], kind):
            return text("nobody can be asked")
        if params.get("requestState") != f"state of {kind}":
            return {
                "resultType": "input_required",
                "inputRequests": {"it": {"method": method, "params": question}},
                "requestState": f"state of {kind}",
            }
        act(f"asked {kind}")
        return text(json.dumps({"result": params["inputResponses"]["it"]}))
    if kind == "url":
        question = {**question, "elicitationId": f"login-{number}"}
    waiting[f"q{number}"] = Queue()
    send(id=f"q{number}", method=method, params=question)
    answer = waiting[f"q{number}"].get()
    if kind == "url":
        params = {"elicitationId": f"login-{number}"}
        send(method="notifications/elicitation/complete", params=params)
    act(f"asked {kind}")
    return text(json.dumps({k: answer[k] for k in ("result", "error") if k in answer}))


def change(what):
    method = "notifications/tools/list_changed"
    params = {}
    if what != "tools":
        method, params = "notifications/resources/updated", {"uri": what}
    if ERA == "legacy":
        if what == "tools" or what in subscribed:
            send(method=method, params=params)
    for number, wanted in list(listens.items()):
        if wanted.get("toolsListChanged") if what == "tools" else (
            what in wanted.get("resourceSubscriptions", [])
        ):
            send(method=method, params={**params, "_meta": {META + "subscriptionId": number}})
    return text("changed")


def call(number, params):
    global locked
    name, arguments = params["name"], params.get("arguments", {})
    if name == "ask":
        return ask(number, arguments["kind"], params)
    if name == "change":
        return change(arguments["what"])
    if name == "listening":
        heard = [*listens.values()] if ERA == "modern" else sorted(subscribed)
        return text(json.dumps(heard))
    if name == "locked" and locked:
        locked = False
        return None
    act("opened")
    return text(json.dumps(sorted(params)))


def tool(name, *properties):
    return {
        "name": name,
        "inputSchema": {
            "type": "object",
            "properties": {each: {"type": "string"} for each in properties},
            "required": list(properties),
        },
    }


def answer(message):
    number, method, params = message["id"], message["method"], message.get("params", {})
    more = {"ttlMs": 0, "cacheScope": "private"} if ERA == "modern" else {}
    modern = META + "protocolVersion" in params.get("_meta", {})
    if modern != (ERA == "modern") or (method == "initialize" and ERA == "modern"):
        result = None
    elif method == "server/discover":
        result = {"supportedVersions": [MODERN], "capabilities": CAPABILITIES, **more}
    elif method == "initialize":
        version = "2025-11-25"
        server = {"name": "asking", "version": "1"}
        result = {"protocolVersion": version, "capabilities": CAPABILITIES, "serverInfo": server}
    elif method == "tools/list":
        tools = [tool("ask", "kind"), tool("change", "what"), tool("listening"), tool("locked")]
        result = {"tools": tools, **more}
    elif method == "resources/list":
        names = ("a", "b")
        result = {"resources": [{"uri": f"test://{n}", "name": n} for n in names], **more}
    elif method in ("resources/subscribe", "resources/unsubscribe") and ERA == "legacy":
        (subscribed.add if method.endswith("/subscribe") else subscribed.discard)(params["uri"])
        result = {}
    elif method == "subscriptions/listen" and ERA == "modern":
        listens[number] = params["notifications"]
        meta = {META + "subscriptionId": number}
        acknowledged = {"notifications": params["notifications"], "_meta": meta}
        send(method="notifications/subscriptions/acknowledged", params=acknowledged)
        return
    elif method == "tools/call":
        result = call(number, params)
        if result is None:
            url = {"mode": "url", "elicitationId": "e1", "url": "https://example.com", "message": "m"}
            error = {"code": -32042, "message": "open it", "data": {"elicitations": [url]}}
            send(id=number, error=error)
            return
    else:
        result = None
    if result is None:
        send(id=number, error={"code": -32601, "message": "Method not found"})
        return
    if ERA == "modern":
        result = {"resultType": "complete", **result}
    send(id=number, result=result)


for line in sys.stdin:
    received = json.loads(line)
    if "method" not in received:
        waiting[received["id"]].put(received)
    elif "id" in received:
        threading.Thread(target=answer, args=(received,), daemon=True).start()
    elif received["method"] == "notifications/cancelled":
        listens.pop(received["params"]["requestId"], None)
