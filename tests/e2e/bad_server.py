#!/usr/bin/env python3
"""An MCP server over stdio that breaks the protocol on request: each tool is one way to do so.

  bad_server.py legacy|modern|FILE

FILE holds the era that it speaks from its next start on. Its effects are lines in UPSTREAM_FILE."""

import json
import os
import sys
from pathlib import Path

MODERN = "2026-07-28"
META = "io.modelcontextprotocol/"
ERA = sys.argv[1] if sys.argv[1] in ("legacy", "modern") else Path(sys.argv[1]).read_text()
FILE = os.environ.get("UPSTREAM_FILE", "/dev/null")
RESULTS = {
    "result_list": [],
    "result_null": None,
    "unheard_of": {"resultType": "surprise", "content": []},
    "asks_nothing": {"resultType": "input_required"},
    "asks_undeclared": {
        "resultType": "input_required",
        "inputRequests": {"it": {"method": "roots/list", "params": {}}},
    },
    "asks_odd": {
        "resultType": "input_required",
        "inputRequests": {"it": {"method": "tools/call", "params": {"name": "echo"}}},
    },
}
TOOLS = ["echo", "write_twice", "half", "half_and_end", "twice", "early", "as_text", "both",
         "neither", "no_version", "null_id", "notes", "questions", "change_era", *RESULTS]


def raw(text):
    sys.stdout.write(text)
    sys.stdout.flush()


def send(message):
    raw(json.dumps({"jsonrpc": "2.0", **message}) + "\n")


def text(value):
    return {"resultType": "complete", "content": [{"type": "text", "text": value}]}


def call(number, name, arguments):
    right = {"id": number, "result": text("right")}
    wrong = text("wrong")
    if name == "echo":
        send({"id": number, "result": text(arguments["text"])})
    elif name == "write_twice":
        with open(FILE, "a") as file:
            file.write("written\n")
        send({"id": number, "result": text("first")})
        send({"id": number, "error": {"code": -32000, "message": "second"}})
    elif name in ("half", "half_and_end"):
        raw(json.dumps({"jsonrpc": "2.0", **right})[:-20])
        if name == "half_and_end":
            os._exit(0)
    elif name == "twice":
        send(right)
        send({"id": number, "result": wrong})
    elif name == "early":
        # To the questions that come next, before they are asked.
        for ahead in range(1, 50):
            send({"id": number + ahead, "result": wrong})
        send(right)
    elif name == "as_text":
        send({"id": str(number), "result": wrong})
        send(right)
    elif name == "both":
        send({"id": number, "result": wrong, "error": {"code": 1, "message": "x"}})
    elif name == "neither":
        send({"id": number})
    elif name == "no_version":
        raw(json.dumps({"id": number, "result": wrong}) + "\n")
    elif name == "null_id":
        send({"id": None, "error": {"code": -32700, "message": "cannot read you"}})
    elif name == "notes":
        for each in range(100_000):
            params = {"level": "info", "data": "x" * 100, "progressToken": each, "progress": each}
            send({"method": "notifications/message", "params": params})
            send({"method": "notifications/progress", "params": params})
        send(right)
    elif name == "questions":
        # In the modern era no server asks by a request at all.
        for each in range(300):
            send({"id": f"q{each}", "method": "elicitation/create", "params": {"message": "?"}})
            send({"id": f"u{each}", "method": "no/such", "params": {}})
        send(right)
    elif name == "change_era":
        Path(sys.argv[1]).write_text(arguments["text"])
        os._exit(0)
    else:
        send({"id": number, "result": RESULTS[name]})


def answer(message):
    number, method, params = message["id"], message["method"], message.get("params", {})
    modern = META + "protocolVersion" in params.get("_meta", {})
    if modern != (ERA == "modern"):
        send({"id": number, "error": {"code": -32601, "message": "Method not found"}})
    elif method == "server/discover":
        send({"id": number, "result": {"supportedVersions": [MODERN], "capabilities": {"tools": {}},
                                       "ttlMs": 0, "cacheScope": "private"}})
    elif method == "initialize":
        send({"id": number, "result": {"protocolVersion": "2025-11-25",
                                       "capabilities": {"tools": {}},
                                       "serverInfo": {"name": "bad", "version": "1"}}})
    elif method == "tools/list":
        schema = {"type": "object", "properties": {"text": {"type": "string"}}}
        tools = [{"name": name, "inputSchema": schema} for name in TOOLS]
        # What no client could call.
        tools += [{"name": ""}, {"name": 7}, "text", None, {"description": "nameless"},
                  {"name": "x" * 5000, "inputSchema": schema}, {"name": "two words"},
                  {"name": "odd", "inputSchema": "no schema"}]
        send({"id": number, "result": {"tools": tools, "ttlMs": 600_000}})
    elif method == "tools/call":
        call(number, params["name"], params.get("arguments", {}))
    else:
        send({"id": number, "error": {"code": -32601, "message": "Method not found"}})


def main():
    for line in sys.stdin:
        message = json.loads(line)
        if "method" in message and "id" in message:
            answer(message)


main()
