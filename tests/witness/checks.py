"""What has to hold after a crash, told by the store, the API, the command line and the ledger of
effects. Nothing here knows how Gavel works: only what it promised."""

import json
from collections import Counter, defaultdict

from caller import Broken

SETTLED = {"ok": "ok", "failed": "failed", "unknown": "unknown"}


def fold(entries):
    """The phase of each intent, as the entries say in their order."""
    phases = {}
    decided = set()
    for entry in entries:
        kind, intent = entry["kind"], entry.get("intent")
        if kind == "intent":
            phases[entry["position"]] = "proposed"
        elif kind == "held":
            phases[intent] = "held"
        elif kind == "decision" and intent not in decided:
            decided.add(intent)
            phases[intent] = "committed" if entry["ruling"] == "commit" else "aborted"
        elif kind == "attempt":
            phases[intent] = "in_flight"
        elif kind == "outcome":
            phases[intent] = entry["outcome"]
    return phases


class Checks:
    """Counts what it looked at: a check that looks at nothing proves nothing."""

    def __init__(self, daemon, witness):
        self.daemon = daemon
        self.witness = witness
        self.problems = []
        self.entries = 0
        self.effects = 0
        self.logs = {}

    def problem(self, what):
        self.problems.append(what)

    # ---------------------------------------------------------------------------- the store
    def store_verifies(self, when):
        code, out, err = self.daemon.cli("verify")
        said = (out + err).strip()
        if code == 0 or ("there is no store" in said and not self.witness.seen):
            return
        self.problem(f"gavel verify {when}: exit {code}: {said[:500]}")

    # ------------------------------------------------------------------------------ the log
    def acknowledged_is_there(self):
        """Call with the daemon running, before anything else is done."""
        # A daemon that lives shows and announces more while this reads.
        told = self.witness.copy()
        self.logs.clear()
        for log, seen in told.seen.items():
            found = self.read(log)
            for position, entry in sorted(seen.items()):
                self.entries += 1
                if position > len(found):
                    self.problem(f"LOST: acknowledged entry {log}#{position} ({entry['kind']})")
                elif found[position - 1] != entry:
                    self.problem(f"CHANGED: {log}#{position}: {entry} is {found[position - 1]}")
        for log, tail in told.tails.items():
            self.entries += 1
            if len(self.read(log)) < tail:
                self.problem(f"LOST: {log} was announced up to {tail}, has {len(self.read(log))}")
        self.answers_are_recorded(told)

    def read(self, log):
        if log not in self.logs:
            try:
                self.logs[log] = self.daemon.entries(log)
            except Exception as error:  # noqa: BLE001: whatever it is, the log cannot be read
                if getattr(error, "code", "") != "not_found":
                    self.problem(f"{log} cannot be read: {error}")
                self.logs[log] = []
        return self.logs[log]

    def answers_are_recorded(self, told):
        for each in told.answers:
            answer, session = each["answer"], each["session"]
            intent = answer["intent"]
            if not intent:
                continue
            about = [e for e in self.read(session) if e.get("intent") == intent]
            kinds = {e["kind"] for e in about}
            name = f"{session}#{intent} ({each['tool']})"
            if answer["kind"] == "result" and "outcome" not in kinds:
                self.problem(f"LOST: the outcome of {name} was told, and is not recorded")
            if answer["kind"] == "refused" and not kinds & {"decision", "outcome"}:
                self.problem(f"LOST: {name} was refused ({answer['code']}), not recorded")
        for session, epoch in told.epochs:
            elected = [e for e in self.read(session) if e["kind"] == "epoch_elected"]
            if not any(e["epoch"] == epoch for e in elected):
                self.problem(f"LOST: epoch {epoch} of {session} was told, and is not recorded")
        for kind, said in (("vote", told.votes), ("outcome", told.resolved)):
            for session, intent, _ in said:
                if not any(
                    e["kind"] == kind and e["intent"] == intent for e in self.read(session)
                ):
                    self.problem(f"LOST: a person's {kind} on {session}#{intent}")

    # -------------------------------------------------------------------------- the effects
    def effects_are_decided(self):
        """Each effect has its commit and its attempt in the log, and happened once."""
        acted, asked = Counter(), Counter()
        for line in self.witness.ledger():
            self.effects += 1
            session, _, number = line["intent"].rpartition("#")
            about = [e for e in self.read(session) if e.get("intent") == int(number or 0)]
            if not any(e["kind"] == "decision" and e["ruling"] == "commit" for e in about):
                self.problem(f"UNDECIDED: {line['intent']} acted without a commit in the log: {line}")
            if not any(e["kind"] == "attempt" for e in about):
                self.problem(f"UNDECIDED: {line['intent']} acted without an attempt in the log")
            asked[line["intent"]] += 1
            acted[(session, line["text"])] += line["acted"]
            if asked[line["intent"]] > 1 and line["tool"] not in ("put", "slow_put"):
                self.problem(f"TWICE: {line['intent']} was sent again: {line}")
        for (session, text), times in acted.items():
            if times > 1:
                self.problem(f"TWICE: {text[:40]!r} of {session} happened {times} times")

    def outcomes_are_true(self):
        """At rest: what is ok happened, what failed or was refused did not, nothing is open."""
        happened = {line["intent"] for line in self.witness.ledger()}
        for session in {each["session"] for each in self.witness.answers}:
            entries = self.read(session)
            tools = {e["position"]: e["tool"] for e in entries if e["kind"] == "intent"}
            for intent, phase in fold(entries).items():
                name = f"{session}#{intent}"
                if tools[intent].endswith("__look"):
                    continue
                if phase == "ok" and name not in happened:
                    self.problem(f"UNTRUE: {name} is ok and did not happen")
                if phase in ("failed", "aborted") and name in happened:
                    self.problem(f"UNTRUE: {name} is {phase} and happened")
                if phase not in ("ok", "failed", "aborted"):
                    self.problem(f"OPEN: {name} is {phase} at rest")

    # ---------------------------------------------------------------------------- the state
    def state_is_the_fold(self):
        """What the daemon thinks of each session is what its entries say."""
        self.logs.clear()
        for session in {each["session"] for each in self.witness.answers}:
            told = {
                each["intent"]: each["phase"] for each in self.daemon.transcript(session)
            }
            said = fold(self.read(session))
            if {k: v for k, v in said.items() if v != "proposed"} != told:
                different = {
                    k: (said.get(k), told.get(k))
                    for k in said.keys() | told.keys()
                    if said.get(k) != told.get(k)
                }
                self.problem(f"FOLD: {session}: the entries say, the daemon says: {different}")
            counts = defaultdict(int, Counter(said.values()))
            shown = self.daemon.session(session)
            for phase in ("held", "in_flight", "unknown"):
                if shown[phase] != counts[phase]:
                    self.problem(f"FOLD: {session}: {shown[phase]} {phase}, not {counts[phase]}")

    def command_line_agrees(self):
        """gavel log, show and doctor, which are slower to ask."""
        for session in sorted({each["session"] for each in self.witness.answers})[:1]:
            code, out, err = self.daemon.cli("log", session, "--json")
            printed = [json.loads(line)["position"] for line in out.splitlines()]
            read = [e["position"] for e in self.read(session)]
            # That an answer was fetched is written down a moment later.
            if code != 0 or printed[: len(read)] != read:
                self.problem(f"gavel log {session}: exit {code}: {err or len(printed)}")
            intents = [e["position"] for e in self.read(session) if e["kind"] == "intent"]
            for intent in intents[-1:]:
                code, _, err = self.daemon.cli("show", f"{session}#{intent}", "--json")
                if code != 0:
                    self.problem(f"gavel show {session}#{intent}: exit {code}: {err}")
        code, out, err = self.daemon.cli("doctor", "--json")
        if code != 0:
            self.problem(f"gavel doctor: exit {code}: {(err or out)[:500]}")

    def raise_if_any(self):
        if self.problems:
            raise Broken("\n".join(self.problems[:8]))
