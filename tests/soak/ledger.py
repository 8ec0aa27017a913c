"""The ledger of effects, read once as it grows and kept for open sessions alone."""

import json
import threading
from collections import defaultdict

from witness import Witness


class Ledger:
    """Lines by session. What a session did after it was settled and forgotten is a problem."""

    def __init__(self, path, breaking):
        self.path = path
        self.breaking = breaking
        self.read_up_to = 0
        self.effects = 0
        self.late = []
        self._lines = defaultdict(list)
        self._settled = set()
        self._lock = threading.Lock()

    def advance(self):
        """Reads what is new, whole lines only."""
        with self._lock:
            try:
                with open(self.path, "rb") as file:
                    file.seek(self.read_up_to)
                    new = file.read()
            except OSError:
                return
            new = new[: new.rfind(b"\n") + 1]
            self.read_up_to += len(new)
            for text in new.splitlines():
                try:
                    line = json.loads(text)
                except ValueError:
                    continue  # its writer was killed while it wrote
                for each in self.breaking.line(line):
                    self._take(each)

    def _take(self, line):
        self.effects += line["acted"]
        session = line["intent"].rpartition("#")[0]
        if session in self._settled:
            self.late.append(f"LATE: {line['intent']} acted after its session was settled: {line}")
        else:
            self._lines[session].append(line)

    def lines(self, session):
        self.advance()
        with self._lock:
            return list(self._lines.get(session, ()))

    def settle(self, session):
        with self._lock:
            self._lines.pop(session, None)
            self._settled.add(session)


class SessionWitness(Witness):
    """The witness of one session, which sees its part of the ledger."""

    def __init__(self, ledger, session):
        super().__init__(ledger.path)
        self._lines = lambda: ledger.lines(session)

    def ledger(self):
        return self._lines()
