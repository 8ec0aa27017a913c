#!/usr/bin/env python3
"""An MCP server over stdio whose effects are lines of a file: what stands there really happened.
Each line says for which intent, with which key, and whether it acted: `put` acts once per key, as a
tool that is declared idempotent has to."""

import fcntl
import hashlib
import json
import os
import sys
import threading
import time
from collections import Counter

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


class Ledger:
    """The file, of which each line is read once."""

    def __init__(self, path):
        self.file = open(path, "a+b")
        self.read_up_to = 0
        self.lines = 0
        self.keys = set()
        self.acted = Counter()  # by text

    def catch_up(self):
        """Others write too: those who were here before, and are not dead yet."""
        self.file.seek(self.read_up_to)
        for line in self.file:
            self.read_up_to += len(line)
            try:
                known = json.loads(line)
            except ValueError:
                continue  # its writer died while it wrote
            self.lines += 1
            self.keys.add(known["key"])
            self.acted[known["text"]] += known["acted"]

    def act(self, name, arguments, meta):
        key, text = meta.get("com.gavel/idempotencyKey", ""), brief(arguments["text"])
        fcntl.flock(self.file, fcntl.LOCK_EX)
        try:
            self.catch_up()
            if name == "look":
                return self.acted[text]
            line = {
                "tool": name,
                "text": text,
                "key": key,
                "intent": meta.get("com.gavel/intent", ""),
                "token": meta.get("com.gavel/fencingToken", 0),
                "acted": not (name in ONCE_PER_KEY and key in self.keys),
            }
            os.write(self.file.fileno(), (json.dumps(line) + "\n").encode())
        finally:
            fcntl.flock(self.file, fcntl.LOCK_UN)
        return self.lines + 1


def brief(text):
    """A long text by its beginning and its digest, so that the ledger stays small."""
    return text if len(text) <= 200 else f"{text[:60]} {hashlib.sha256(text.encode()).hexdigest()}"


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
        said = LINES.act(params["name"], params["arguments"], params.get("_meta", {}))
        return {"content": [{"type": "text", "text": str(said)}]}
    return {} if method == "ping" else None


def reply(message, result, seconds=0):
    time.sleep(seconds)
    said = {"jsonrpc": "2.0", "id": message["id"]}
    if result is None:
        said["error"] = {"code": -32601, "message": "Method not found"}
    else:
        said["result"] = result
    with SPEAKING:
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()


LINES = Ledger(LEDGER)
SPEAKING = threading.Lock()
for heard in sys.stdin:
    asked = json.loads(heard)
    if "id" not in asked:
        continue
    params = asked.get("params", {})
    done = answer(asked["method"], params)
    wait = params.get("arguments", {}).get("seconds", 0)
    if wait:
        # What is slow has happened already, and keeps nobody else waiting.
        threading.Thread(target=reply, args=(asked, done, wait), daemon=True).start()
    else:
        reply(asked, done)
