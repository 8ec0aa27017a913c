"""Every kind of token at every door of the API: who is not named in this table gets 403 and leaves
no trace. And an agent that tries to be more than an agent."""

import unittest

from world import ROLES, Hostile

ALL = set(ROLES)
PEOPLE = ALL - {"driver"}
DIGEST = "0" * 64
# method, path, body, who may; docs/api.md says the same.
DOORS = (
    ("GET", "/v1/sessions", None, PEOPLE),
    ("GET", "/v1/watch", None, PEOPLE),
    ("GET", "/v1/pending", None, PEOPLE),
    ("GET", "/v1/upstreams", None, PEOPLE),
    ("GET", "/v1/tools/box__echo", None, PEOPLE),
    ("POST", "/v1/sessions/target/wake", {}, {"driver", "admin"}),
    ("POST", "/v1/sessions/target/intents", {"tool": "box__append", "arguments": {"text": "x"}},
     {"driver"}),
    ("POST", "/v1/sessions/target/permits", {"tool": "own__shell", "arguments": {"command": "x"}},
     {"driver"}),
    ("POST", "/v1/sessions/target/outcomes", {"intent": 3, "kind": "ok"}, {"driver"}),
    ("POST", "/v1/sessions/target/prompts", {"text": "go on"}, {"driver"}),
    ("POST", "/v1/hooks/claude-code",
     {"hook_event_name": "UserPromptSubmit", "session_id": "x", "prompt": "go on"}, {"driver"}),
    ("POST", "/v1/sessions/target/intents/3/vote", {"verdict": "allow", "digest": DIGEST},
     {"approver"}),
    ("POST", "/v1/sessions/target/intents/3/resolve", {"kind": "ok"}, {"approver", "admin"}),
    ("POST", "/v1/halts", {"scope": "everything"}, {"observer", "admin"}),
    ("POST", "/v1/resume", {"scope": "everything"}, {"admin"}),
    ("POST", "/v1/tools/box__append/accept", {"digest": DIGEST}, {"approver", "admin"}),
    ("POST", "/v1/tools/box__append/refuse", {"digest": DIGEST}, {"approver", "admin"}),
    ("POST", "/v1/attach", {"name": "evil", "command": ["true"]}, {"admin"}),
    ("POST", "/mcp", {"jsonrpc": "2.0", "id": 1, "method": "ping"}, {"driver"}),
)


class Doors(Hostile):
    def test_no_role_gets_through_a_door_that_is_not_its_own(self):
        intent, _ = self.held("target", "held for roles")
        before = self.gavel.entries("target")
        for method, path, body, may in DOORS:
            for role in sorted(ALL - may):
                with self.subTest(f"{role}: {method} {path}"):
                    self.refused(method, path, body, f"{role}-token", statuses=(403,))
        self.assertEqual(self.gavel.entries("target"), before, "nothing was recorded or done")
        self.assertEqual(self.gavel.api("GET", "/v1/halts")["halts"], [])
        self.assertEqual([p["intent"] for p in self.gavel.pending("target")], [intent])


class Agent(Hostile):
    def test_approving_itself(self):
        intent, digest = self.held("own", "approve me")
        path = f"/v1/sessions/own/intents/{intent}/vote"
        vote = {"verdict": "allow", "digest": digest}
        self.refused("POST", path, vote, "agent", statuses=(403,))
        # The same principal with an approver's token of its own is still the one that asked.
        self.add_token("agent-approves", "agent", ["approver"])
        self.refused("POST", path, vote, "agent-approves", statuses=(403,))
        self.add_token("both", "agent", ["driver", "approver", "admin"])
        self.refused("POST", path, vote, "both", statuses=(403,))
        self.refused("POST", path, {**vote, "voter": "operator", "role": "admin"}, "both",
                     statuses=(403,))
        self.assertEqual(len(self.gavel.pending("own")), 1)

    def test_voting_as_the_policy(self):
        intent, digest = self.held("policy", "approve me")
        self.add_token("policy", "policy", ["approver"])
        self.refused("POST", f"/v1/sessions/policy/intents/{intent}/vote",
                     {"verdict": "allow", "digest": digest}, "policy", statuses=(403,))

    def test_approvals_bind_to_what_was_shown(self):
        intent, digest = self.held("bound", "shown")
        path = f"/v1/sessions/bound/intents/{intent}/vote"
        for bad in ("0" * 64, digest[:-1], digest + "0", digest[:-2] + "zz", "", None, 7,
                    "\u0660" * 64):
            with self.subTest(digest=bad):
                self.refused("POST", path, {"verdict": "allow", "digest": bad}, "approver-token")
        for verdict in ("ALLOW", "allow ", "", True, None, ["allow"], "two_step", "ask"):
            with self.subTest(verdict=verdict):
                self.refused("POST", path, {"verdict": verdict, "digest": digest},
                             "approver-token", statuses=(400,))

    def test_guessing_intents(self):
        intent, digest = self.held("guessed", "guess me")
        vote = {"verdict": "allow", "digest": digest}
        for guess in (0, 1, 2, intent + 1, -1, 2**63, 2**64, 2**64 + intent, f"0{intent}x",
                      f"+{intent}", f"%20{intent}", f"{intent}.0", "\u0663", f"{intent}%00"):
            with self.subTest(guess=guess):
                self.refused("POST", f"/v1/sessions/guessed/intents/{encoded(guess)}/vote", vote,
                             "approver-token")
        # The digest of one session's call opens nothing in another.
        self.held("guessed-too", "another line")
        self.refused("POST", f"/v1/sessions/guessed-too/intents/{intent}/vote", vote,
                     "approver-token")

    def test_scopes_that_are_no_text_are_not_everything(self):
        for scope in (None, 5, [], {}, True, ["session/x"]):
            with self.subTest(scope=scope):
                for path in ("/v1/halts", "/v1/resume"):
                    self.refused("POST", path, {"scope": scope}, "operator", statuses=(400,))
        for scope in ("Everything", "everything ", "session/", "agent/../everything", "nothing"):
            with self.subTest(scope=scope):
                self.refused("POST", "/v1/resume", {"scope": scope}, "operator")
        self.assertEqual(self.gavel.api("GET", "/v1/halts")["halts"], [])

    def test_reporting_what_is_not_ones_own(self):
        intent, _ = self.held("reported", "not done")
        for role in ("agent", "second-agent"):
            self.refused("POST", "/v1/sessions/reported/outcomes",
                         {"intent": intent, "kind": "ok", "result": {"content": []}}, role)
        granted = self.gavel.api(
            "POST", "/v1/sessions/permitted/permits",
            {"tool": "own__read", "arguments": {"path": "/x"}, "call_id": "c1"}, "agent")
        self.refused("POST", "/v1/sessions/permitted/outcomes",
                     {"intent": granted["intent"], "call_id": "c1", "kind": "ok"},
                     "second-agent", statuses=(403,))


def encoded(guess):
    return str(guess).encode("ascii", "ignore").decode() or "%D9%A3"


if __name__ == "__main__":
    unittest.main()
