"""What agents and people do while the daemon is killed. It can be done again and again: each call
has its key, so a second run is what an agent does that was started anew, and what happened already
must not happen again."""

import http.client
import json
import threading
import time

from lib.gavel import Refused
from lib.mcp import Client, connect

SESSIONS = ("pay", "keyed", "held", "probe")
CONTROL = ("control/everything", "control/toolset/box")
PATIENCE_S = 20


class Died(Exception):
    """The daemon is gone."""


class StorageFailed(Exception):
    """The daemon says that its store accepts nothing more."""


class Broken(Exception):
    """Something that must not happen."""


class Workload:
    def __init__(self, daemon, witness, payload=20_000, rounds=3):
        self.daemon = daemon
        self.witness = witness
        self.payload = payload
        self.rounds = rounds
        self.epoch = {}

    # ------------------------------------------------------------------------------ asking
    def api(self, method, path, body=None, role="operator"):
        try:
            return self.daemon.api(method, path, body, role, timeout=PATIENCE_S)
        except TimeoutError:
            raise Broken(f"{method} {path} got no answer in {PATIENCE_S} s") from None
        except (OSError, http.client.HTTPException) as error:
            raise Died(str(error)) from None
        except ValueError as error:
            raise Died(f"half an answer: {error}") from None
        except Refused as refused:
            if refused.code == "storage_failed":
                raise StorageFailed(refused.message) from None
            raise

    def propose(self, session, step, wait_ms):
        body = {
            "tool": f"box__{step['tool']}",
            "arguments": step["arguments"],
            "key": step["key"],
            "epoch": self.epoch[session],
            "wait_ms": wait_ms,
        }
        answer = self.api("POST", f"/v1/sessions/{session}/intents", body, "agent")
        if answer["code"] == "storage_failed":
            raise StorageFailed(answer["text"])
        self.witness.answered(session, step, answer)
        self.look(session)
        return answer

    def look(self, log):
        """Reads what is new of a log: whatever the daemon shows has to last."""
        start = self.witness.next_position(log)
        path = log.replace("/", "%2F")
        page = self.api("GET", f"/v1/sessions/{path}/entries?from={start}&limit=500")
        self.witness.saw(log, page["entries"])
        return page

    # ------------------------------------------------------------------------------- steps
    def call(self, session, tool, text, key=None, verdict="allow", **more):
        """A call, with the person who decides or looks where one is needed; its last answer."""
        step = {"tool": tool, "key": key or text[:40], "arguments": {"text": text, **more}}
        wait_ms = 40 if tool in ("ask", "drop") else 5000
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                answer = self.propose(session, step, wait_ms)
            except Refused as refused:
                # Its answer is not durable yet, and the patience was short.
                if refused.code != "timeout":
                    raise
                continue
            if answer["kind"] == "result":
                return answer
            waiting = [
                each
                for each in self.api("GET", "/v1/pending")["pending"]
                if (each["session"], each["intent"]) == (session, answer["intent"])
            ]
            # What is refused because nobody knows what became of it can be asked again, once
            # somebody has looked.
            if answer["kind"] == "refused" and not waiting:
                return answer
            for each in waiting:
                self.decide(each, verdict)
            wait_ms = 2000 if waiting else 40
        raise Broken(f"{session} {tool} {text[:40]} is still pending after {PATIENCE_S} s")

    def decide(self, pending, verdict):
        session, intent = pending["session"], pending["intent"]
        path = f"/v1/sessions/{session}/intents/{intent}"
        if pending["phase"] == "unknown":
            # A person who looked before saying so.
            kind = "ok" if self.witness.acted(f"{session}#{intent}") else "failed"
            self.tolerant("POST", f"{path}/resolve", {"kind": kind, "reason": "the ledger says so"})
            self.witness.resolved.append((session, intent, kind))
        elif not any(vote["voter"] == "operator" for vote in pending["votes"]):
            body = {"verdict": verdict, "reason": "looked at it", "digest": pending["digest"]}
            self.tolerant("POST", f"{path}/vote", body)
            self.witness.votes.append((session, intent, verdict))
        self.look(session)

    def tolerant(self, method, path, body):
        """A conflict means that it was settled meanwhile."""
        try:
            self.api(method, path, body)
        except Refused as refused:
            if refused.code != "conflict":
                raise

    def wake(self, session):
        woken = self.api("POST", f"/v1/sessions/{session}/wake", {"reason": "the agent begins"})
        self.epoch[session] = woken["epoch"]
        self.witness.epochs.append((session, woken["epoch"]))
        self.look(session)

    def halt(self, halts):
        self.witness.halt_asked = True
        if halts:
            body = {"scope": "everything", "mode": "halt", "reason": "something is wrong"}
            self.api("POST", "/v1/halts", body)
        else:
            self.api("POST", "/v1/resume", {"scope": "everything", "reason": "it is well"})
        self.witness.halted, self.witness.halt_asked = halts, False

    def expect(self, answer, *kinds):
        if answer["kind"] not in kinds:
            raise Broken(f"answered {answer['kind']} instead of {' or '.join(kinds)}: {answer}")

    # ------------------------------------------------------------------------------ the run
    def run(self):
        self.lift_what_is_left()
        for session in SESSIONS:
            self.wake(session)
        for number in range(self.rounds):
            # A call whose outcome nobody could tell was resolved as failed: it is answered so.
            self.expect(self.call("pay", "write", f"pay {number}"), "result", "refused")
            self.call("pay", "look", f"pay {number}", key=f"look {number}")
        self.idempotent()
        self.people()
        self.call("probe", "probed", "probed")
        self.call("pay", "write", "large " + "x" * self.payload)
        self.together()
        self.halted()
        self.taken_over()
        self.by_mcp()
        for log in (*SESSIONS, *CONTROL):
            self.look(log)

    def lift_what_is_left(self):
        """A halt that was acknowledged is there, one that was not asked for is not."""
        self.watch()
        found = bool(self.api("GET", "/v1/halts")["halts"])
        expected = self.witness.halted
        if not self.witness.halt_asked and found != bool(expected):
            raise Broken(f"halted: {found}, but what was acknowledged is {expected}")
        if found:
            self.halt(False)

    def idempotent(self):
        self.call("keyed", "put", "put once")
        again = self.call("keyed", "put", "put once")
        if again["kind"] == "result" and not again["replayed"]:
            raise Broken(f"the same key was not answered from the log: {again}")
        self.call("keyed", "put", "put another")

    def people(self):
        self.call("held", "ask", "approved")
        self.expect(self.call("held", "ask", "denied", verdict="deny"), "refused")
        self.call("held", "drop", "in two steps")

    def together(self):
        """Two agents at once, so that their appends share syncs."""
        raised = []

        def agent(session, tool):
            try:
                for number in range(2):
                    self.call(session, tool, f"{session} together {number}")
            except (Died, StorageFailed, Broken, Refused) as error:
                raised.append(error)

        agents = [
            threading.Thread(target=agent, args=each) for each in (("pay", "write"), ("keyed", "put"))
        ]
        for each in agents:
            each.start()
        for each in agents:
            each.join()
        if raised:
            raise raised[0]

    def halted(self):
        self.halt(True)
        self.expect(self.call("pay", "write", "while halted"), "refused")
        self.halt(False)
        self.call("pay", "write", "after the halt")

    def taken_over(self):
        before = self.epoch["pay"]
        self.wake("pay")
        now, self.epoch["pay"] = self.epoch["pay"], before
        try:
            answer = self.call("pay", "write", "by the one before")
            self.expect(answer, "refused")
        except Refused as refused:
            if refused.code != "stale_epoch":
                raise
        self.epoch["pay"] = now
        self.call("pay", "write", "by the one after")

    def by_mcp(self):
        meta = {"com.gavel/idempotencyKey": "by mcp"}
        params = {"name": "box__write", "arguments": {"text": "by mcp"}}
        url = self.daemon.mcp_url("pay", self.epoch["pay"])
        client = Client(url, self.daemon.token("agent"), timeout=PATIENCE_S)
        try:
            reply = client.modern("tools/call", params, meta=meta)
        except TimeoutError:
            raise Broken(f"tools/call got no answer in {PATIENCE_S} s") from None
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise Died(str(error)) from None
        if reply.result is None and not reply.error:
            raise Died(f"no answer: {reply.status}")
        said = (reply.result or {}).get("_meta", {})
        if said.get("com.gavel/code") == "storage_failed":
            raise StorageFailed(reply.text)
        # The same call by another way; a person may have to look first.
        self.call("pay", "write", "by mcp")

    # ----------------------------------------------------------------------------- watching
    def watch(self):
        """Listens to what is announced to everybody, until the daemon is gone."""
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self):
        try:
            connection = connect(self.daemon.url, PATIENCE_S)
            token = self.daemon.token("operator")
            connection.request("GET", "/v1/watch", headers={"Authorization": f"Bearer {token}"})
            for line in connection.getresponse():
                if line.startswith(b"data:"):
                    said = json.loads(line[5:])
                    self.witness.announced(said["session"], said["tail"])
        except (OSError, ValueError, KeyError, http.client.HTTPException):
            pass
