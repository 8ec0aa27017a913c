#!/usr/bin/env python3
"""An MCP server over stdio whose effects are lines of a file: what stands there really happened.
Each line says for which intent, with which key, and whether it acted: `put` acts once per key, as a
tool that is declared idempotent has to."""

import fcntl
import json
import os
import sys
import time

LEDGER = os.environ["LEDGER"]
TEXT = {"text": {"type": "string"}}
SLOW = {**TEXT, "seconds": {"type": "number"}}
TOOLS = {
    "look": TEXT,
    "write": TEXT,
    "put": TEXT,
    "ask": TEXT,
    "drop": TEXT,
    "probed": TEXT,
    "slow": SLOW,
    "slow_put": SLOW,
}
ONCE_PER_KEY = ("put", "slow_put")


def listed(name, properties):
    return {
        "name": name,
        "description": f"{name} a line",
        "inputSchema": {"type": "object", "properties": properties, "required": ["text"]},
        "annotations": {"readOnlyHint": name == "look", "idempotentHint": name in ONCE_PER_KEY},
    }


def act(name, arguments, meta):
    key = meta.get("com.gavel/idempotencyKey", "")
    with open(LEDGER, "a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        known = [json.loads(line) for line in file]
        if name == "look":
            return sum(each["acted"] and each["text"] == arguments["text"] for each in known)
        acted = not (name in ONCE_PER_KEY and any(each["key"] == key for each in known))
        line = {
            "tool": name,
            "text": arguments["text"],
            "key": key,
            "intent": meta.get("com.gavel/intent", ""),
            "token": meta.get("com.gavel/fencingToken", 0),
            "acted": acted,
        }
        os.write(file.fileno(), (json.dumps(line) + "\n").encode())
    time.sleep(arguments.get("seconds", 0))
    return len(known) + 1


def answer(method, params):
    if method == "initialize":
        return {
            "protocolVersion": min(params["protocolVersion"], "2025-11-25"),
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "ledger", "version": "1.0"},
        }
    if method == "tools/list":
        return {"tools": [listed(name, properties) for name, properties in TOOLS.items()]}
    if method == "tools/call":
        said = act(params["name"], params["arguments"], params.get("_meta", {}))
        return {"content": [{"type": "text", "text": str(said)}]}
    return {} if method == "ping" else None


for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    result = answer(message["method"], message.get("params", {}))
    reply = {"jsonrpc": "2.0", "id": message["id"]}
    if result is None:
        reply["error"] = {"code": -32601, "message": "Method not found"}
    else:
        reply["result"] = result
    sys.stdout.write(json.dumps(reply) + "\n")
    sys.stdout.flush()
