"""What the world outside was told, and what it saw happen: kept beside the daemon, so that it
outlives it. An entry that the daemon ever showed counts as acknowledged."""

import json
import threading


class Witness:
    def __init__(self, ledger):
        self.ledger_path = ledger
        self.seen = {}  # log -> {position: entry}
        self.tails = {}  # log -> the furthest tail that was announced
        self.answers = []  # of calls: what was asked, and the answer
        self.epochs = []  # (session, epoch) that somebody was told of
        self.votes = []  # (session, intent, verdict) that were accepted
        self.resolved = []  # (session, intent, outcome) that a person said
        self.halted = None  # the last halt or resume that was acknowledged: True or False
        self.halt_asked = False  # another one was asked for since
        self.lock = threading.Lock()

    def copy(self):
        """What was told up to now, while it goes on."""
        copy = Witness(self.ledger_path)
        with self.lock:
            copy.seen = {log: dict(entries) for log, entries in self.seen.items()}
            copy.tails = dict(self.tails)
            copy.answers, copy.epochs = list(self.answers), list(self.epochs)
            copy.votes, copy.resolved = list(self.votes), list(self.resolved)
        return copy

    def saw(self, log, entries):
        with self.lock:
            known = self.seen.setdefault(log, {})
            for entry in entries:
                known.setdefault(entry["position"], entry)

    def announced(self, log, tail):
        with self.lock:
            self.tails[log] = max(tail, self.tails.get(log, 0))

    def answered(self, session, step, answer):
        with self.lock:
            self.answers.append({"session": session, **step, "answer": answer})

    def next_position(self, log):
        with self.lock:
            return max(self.seen.get(log) or {0: None}) + 1

    def ledger(self):
        """The lines that are whole; the server may have died while it wrote one."""
        try:
            lines = self.ledger_path.read_text().splitlines()
        except OSError:
            return []
        found = []
        for line in lines:
            try:
                found.append(json.loads(line))
            except ValueError:
                pass
        return found

    def acted(self, intent):
        return any(line["acted"] and line["intent"] == intent for line in self.ledger())

    def entries(self):
        with self.lock:
            return sum(map(len, self.seen.values()))
