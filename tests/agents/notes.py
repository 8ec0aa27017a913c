#!/usr/bin/env python3
"""The MCP server that the agent programs use here, over stdio: a list of notes, one a line, in the
file of NOTES. What stands there is what really happened; add_and_crash dies after it wrote."""

import json
import os
import sys
import threading
import time
from pathlib import Path

FILE = Path(os.environ.get("NOTES", "notes.txt"))
_lock = threading.Lock()
TEXT = {"text": {"type": "string"}}
SECONDS = {"seconds": {"type": "number"}}


def tool(name, description, properties=None, **hints):
    return {
        "name": name,
        "description": description,
        "inputSchema": {
            "type": "object",
            "properties": properties or {},
            "required": list(properties or {}),
            "additionalProperties": False,
        },
        "annotations": hints,
    }


WRITES = {"readOnlyHint": False, "destructiveHint": False}
TOOLS = [
    tool("list", "Shows all notes.", readOnlyHint=True),
    tool("add", "Adds a note.", TEXT, **WRITES),
    tool("add_slowly", "Adds a note and takes its time.", {**TEXT, **SECONDS}, **WRITES),
    tool("add_and_crash", "Adds a note and breaks down.", TEXT, **WRITES),
    tool("erase", "Removes all notes.", readOnlyHint=False, destructiveHint=True),
    tool("export", "Sends all notes to somebody.", readOnlyHint=False, destructiveHint=True),
]


def send(message):
    with _lock:
        print(json.dumps(message), flush=True)


def add(text):
    with FILE.open("a") as file:
        file.write(text + "\n")


def call(name, arguments):
    if name == "list":
        return FILE.read_text() if FILE.exists() else "there are no notes"
    if name == "erase":
        FILE.write_text("")
        return "all notes are removed"
    if name not in ("add", "add_slowly", "add_and_crash"):
        raise LookupError(name)
    add(arguments["text"])
    if name == "add_and_crash":
        os._exit(3)
    time.sleep(arguments.get("seconds", 0))
    return "the note is added"


def answer(message):
    method, params = message["method"], message.get("params", {})
    reply = {"jsonrpc": "2.0", "id": message["id"]}
    if method == "initialize":
        version = min(params["protocolVersion"], "2025-11-25")
        reply["result"] = {
            "protocolVersion": version,
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "notes", "version": "1.0"},
        }
    elif method == "tools/list":
        reply["result"] = {"tools": TOOLS}
    elif method == "ping":
        reply["result"] = {}
    elif method == "tools/call":
        text = call(params["name"], params.get("arguments", {}))
        reply["result"] = {"content": [{"type": "text", "text": text}]}
    else:
        reply["error"] = {"code": -32601, "message": "Method not found"}
    send(reply)


def main():
    for line in sys.stdin:
        message = json.loads(line)
        if "id" in message and "method" in message:
            threading.Thread(target=answer, args=(message,), daemon=True).start()


main()
