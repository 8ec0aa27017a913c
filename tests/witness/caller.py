"""Asks the daemon as an agent or a person does, and keeps in a Witness what it was told."""

import http.client
import json
import time

from lib.gavel import Refused
from lib.mcp import Client, connect

PATIENCE_S = 20


class Died(Exception):
    """The daemon is gone."""


class StorageFailed(Exception):
    """The daemon says that its store accepts nothing more."""


class Broken(Exception):
    """Something that must not happen."""


class Caller:
    tolerated = ("conflict",)  # of a person's answer: it was settled meanwhile
    server = "box"

    def __init__(self, daemon, witness):
        self.daemon = daemon
        self.witness = witness
        self.epoch = {}
        self.clients = {}

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

    # ------------------------------------------------------------------------------- agents
    def proposal(self, session, step, wait_ms):
        """Path and body of a call."""
        body = {
            "tool": f"{self.server}__{step['tool']}",
            "arguments": step["arguments"],
            "key": step["key"],
            "epoch": self.epoch[session],
            "wait_ms": wait_ms,
        }
        return f"/v1/sessions/{session}/intents", body

    def propose(self, session, step, wait_ms):
        path, body = self.proposal(session, step, wait_ms)
        answer = self.api("POST", path, body, "agent")
        return self.take(session, step, answer)

    def take(self, session, step, answer):
        if answer["code"] == "storage_failed":
            raise StorageFailed(answer["text"])
        self.witness.answered(session, step, answer)
        self.look(session)
        return answer

    def propose_by_mcp(self, session, step, modern=True):
        """The same by MCP, in the form of an Answer of the API; Refused for a JSON-RPC error."""
        params = {"name": f"{self.server}__{step['tool']}", "arguments": step["arguments"]}
        meta = {"com.gavel/idempotencyKey": step["key"]}
        try:
            client = self.client(session, modern)
            if modern:
                reply = client.modern("tools/call", params, meta=meta)
            else:
                reply = client.legacy("tools/call", {**params, "_meta": meta})
        except TimeoutError:
            raise Broken(f"tools/call got no answer in {PATIENCE_S} s") from None
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise Died(str(error)) from None
        if reply.status == 404 and not modern:
            self.clients.clear()
            raise Died("the daemon does not know this MCP session any more")
        if reply.error:
            raise Refused(reply.status, {"error": reply.error})
        if reply.result is None:
            raise Died(f"no answer: {reply.status}")
        return self.take(session, step, self.answer_of(reply))

    def answer_of(self, reply):
        said = reply.result.get("_meta", {})
        code = said.get("com.gavel/code", "")
        kind = "pending" if said.get("com.gavel/pending") else "refused" if code else "result"
        return {
            "kind": kind,
            "intent": int(said.get("com.gavel/intent", "#0").rpartition("#")[2]),
            "result": reply.result,
            "text": reply.text,
            "code": code,
            "replayed": said.get("com.gavel/replayed", False),
        }

    def client(self, session, modern):
        """A legacy client is kept, as its handshake is."""
        url = self.daemon.mcp_url(session, self.epoch[session])
        if modern:
            return Client(url, self.daemon.token("agent"), timeout=PATIENCE_S)
        if url not in self.clients:
            client = Client(url, self.daemon.token("agent"), timeout=PATIENCE_S)
            client.initialize()
            self.clients = {url: client}
        return self.clients[url]

    def leave(self, method, path, body, role, dice):
        """Asks, and is gone before the answer; perhaps before it has asked to the end."""
        connection = connect(self.daemon.url, PATIENCE_S)
        text = json.dumps(body).encode() if body is not None else b""
        headers = {
            "Authorization": f"Bearer {self.daemon.token(role)}",
            "Content-Type": "application/json",
            "Content-Length": str(len(text)),
        }
        connection.request(method, path, headers=headers)
        sent = dice.choice((len(text), len(text), len(text) // 2))
        connection.send(text[:sent])
        time.sleep(dice.choice((0, 0.001, 0.005)))
        connection.close()

    def look(self, log):
        """Reads what is new of a log: whatever the daemon shows has to last."""
        start = self.witness.next_position(log)
        path = log.replace("/", "%2F")
        page = self.api("GET", f"/v1/sessions/{path}/entries?from={start}&limit=500")
        self.witness.saw(log, page["entries"])
        return page

    def wake(self, session):
        woken = self.api("POST", f"/v1/sessions/{session}/wake", {"reason": "the agent begins"})
        self.epoch[session] = woken["epoch"]
        self.witness.epochs.append((session, woken["epoch"]))
        self.look(session)

    # ------------------------------------------------------------------------------- people
    def decide(self, pending, verdict):
        session, intent = pending["session"], pending["intent"]
        if pending["phase"] == "unknown":
            self.resolve(session, intent)
        elif not any(vote["voter"] == "operator" for vote in pending["votes"]):
            self.vote(session, intent, verdict, pending["digest"])
        self.look(session)

    def resolve(self, session, intent):
        """A person who looked before saying so."""
        kind = "ok" if self.witness.acted(f"{session}#{intent}") else "failed"
        body = {"kind": kind, "reason": "the ledger says so"}
        if self.tolerant("POST", f"/v1/sessions/{session}/intents/{intent}/resolve", body):
            self.witness.resolved.append((session, intent, kind))

    def vote(self, session, intent, verdict, digest):
        body = {"verdict": verdict, "reason": "looked at it", "digest": digest}
        if self.tolerant("POST", f"/v1/sessions/{session}/intents/{intent}/vote", body):
            self.witness.votes.append((session, intent, verdict))

    def tolerant(self, method, path, body):
        """Whether it was taken."""
        try:
            self.api(method, path, body)
        except Refused as refused:
            if refused.code not in self.tolerated:
                raise
            return False
        return True
