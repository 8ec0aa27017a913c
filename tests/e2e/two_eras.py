#!/usr/bin/env python3
"""An MCP server over stdio that asks its client for input while it works, announces what changes,
and works on some calls as tasks.

  two_eras.py legacy|modern

Its effects are lines in the file of UPSTREAM_FILE. Tasks stand in files beside it, which the next
process of the server finds; they end once there is a file FILE.go, whose text says how."""

import json
import os
import sys
import threading
import time
from pathlib import Path
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
if ERA == "legacy":
    CAPABILITIES["tasks"] = {"cancel": {}, "requests": {"tools": {"call": {}}}}
else:
    CAPABILITIES["extensions"] = {META + "tasks": {}}
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


class NoTask(Exception):
    pass


class Task:
    """One that is known by a file."""

    def __init__(self, number):
        self.number = number
        self.path = Path(f"{FILE}.{number}")

    @classmethod
    def start(cls, arguments):
        task = cls(f"{ERA}-{os.urandom(4).hex()}")
        task.write({"status": "working", **arguments})
        act(f"started {arguments['text']}")
        return task

    def write(self, state):
        self.path.with_suffix(".new").write_text(json.dumps(state))
        self.path.with_suffix(".new").rename(self.path)

    def state(self):
        try:
            state = json.loads(self.path.read_text())
        except OSError:
            raise NoTask(self.number) from None
        if state["status"] == "working" and state.get("how") == "ask" and "said" not in state:
            return {**state, "status": "input_required"}
        if state["status"] == "working" and Path(f"{FILE}.go").exists():
            return {**state, "status": Path(f"{FILE}.go").read_text()}
        return state

    def view(self):
        state = self.state()
        status = "completed" if state["status"] == "unhappy" else state["status"]
        times = {"ttlMs": None, "pollIntervalMs": 100}
        if ERA == "legacy":
            times = {"ttl": None, "pollInterval": 100}
        return {
            "taskId": self.number,
            "status": status,
            "createdAt": "2026-01-01T00:00:00Z",
            "lastUpdatedAt": "2026-01-01T00:00:00Z",
            **times,
        }

    def result(self):
        """A result, or None and an error."""
        state = self.state()
        if state["status"] == "failed":
            return None
        if state["status"] == "unhappy":
            return {**text("it did not work"), "isError": True}
        return text(f"did {state['text']}" + (f": {state['said']}" if "said" in state else ""))


BROKEN = {"code": -32000, "message": "it broke"}


def create_task(params):
    """As a result of tools/call, where the client wants tasks."""
    if ERA == "legacy":
        if "task" not in params:
            return None
        return {"task": Task.start(params["arguments"]).view()}
    declared = params["_meta"][META + "clientCapabilities"]
    if META + "tasks" not in declared.get("extensions", {}):
        return None
    return {**Task.start(params["arguments"]).view(), "resultType": "task"}


def ask_for(task, number):
    method, question = QUESTIONS["form"]
    waiting[f"t{number}"] = Queue()
    meta = {META + "related-task": {"taskId": task.number}}
    send(id=f"t{number}", method=method, params={**question, "_meta": meta})
    answer = waiting[f"t{number}"].get()
    said = answer.get("result", {}).get("action", "nothing")
    task.write({**json.loads(task.path.read_text()), "said": said})


def of_task(number, method, params):
    """Sends the answer to a request about a task."""
    task = Task(params["taskId"])
    try:
        if method == "tasks/cancel":
            state = {**json.loads(task.path.read_text()), "status": "cancelled"}
            task.write(state)
            act("cancelled")
        elif method == "tasks/update":
            answer = params["inputResponses"]["it"]["action"]
            task.write({**json.loads(task.path.read_text()), "said": answer})
            return send(id=number, result={"resultType": "complete"})
        elif method == "tasks/result":
            if task.view()["status"] == "input_required":
                ask_for(task, number)
            while task.view()["status"] in ("working", "input_required"):
                time.sleep(0.05)
            result = task.result()
            said = {"error": BROKEN} if result is None else {"result": result}
            return send(id=number, **said)
        view = task.view()
        if ERA == "modern":
            view["resultType"] = "complete"
            if view["status"] == "completed":
                view["result"] = task.result()
            elif view["status"] == "failed":
                view["error"] = BROKEN
            elif view["status"] == "input_required":
                method, question = QUESTIONS["form"]
                view["inputRequests"] = {"it": {"method": method, "params": question}}
        return send(id=number, result=view)
    except NoTask:
        return send(id=number, error={"code": -32602, "message": "no such task"})


def call(number, params):
    global locked
    name, arguments = params["name"], params.get("arguments", {})
    if name in ("ask", "question"):
        return ask(number, arguments["kind"], params)
    if name == "change":
        return change(arguments["what"])
    if name == "listening":
        heard = [*listens.values()] if ERA == "modern" else sorted(subscribed)
        return text(json.dumps(heard))
    if name in ("long", "look"):
        return create_task(params)
    if name == "slow":
        act("started slowly")
        while not Path(f"{FILE}.go").exists():
            time.sleep(0.05)
        return text("done slowly")
    if name == "locked" and locked:
        locked = False
        return None
    act("opened")
    return text(json.dumps(sorted(params)))


def tool(name, *properties, **more):
    return {
        "name": name,
        **more,
        "inputSchema": {
            "type": "object",
            "properties": {each: {"type": "string"} for each in properties},
            "required": list(properties[:1]),
        },
    }


REQUIRED = {"execution": {"taskSupport": "required"}} if ERA == "legacy" else {}
TOOLS = [
    tool("ask", "kind"),
    tool("question", "kind"),
    tool("change", "what"),
    tool("listening"),
    tool("locked"),
    tool("slow"),
    tool("long", "text", "how", **REQUIRED),
    tool("look", "text", "how", **REQUIRED),
]


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
        result = {"tools": TOOLS, **more}
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
    elif method.startswith("tasks/"):
        of_task(number, method, params)
        return
    elif method == "tools/call":
        result = call(number, params)
        if result is None and params["name"] != "locked":
            send(id=number, error={"code": -32601, "message": "this tool works as a task alone"})
            return
        if result is None:
            url = {"mode": "url", "elicitationId": "e1", "message": "m"}
            url["url"] = "https://example.com"
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
