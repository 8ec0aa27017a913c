"""Falsifies what the harness sees, never the product: each of these must be reported."""

EVERY = 10


class Breaking:
    KINDS = {
        "drop": "an effect vanishes from the ledger",
        "double": "an effect stands in the ledger twice",
        "lose": "an entry was shown that the log does not have",
        "leak": "the memory of the daemon grows by 64 MiB a second",
        "stall": "no call is answered from the middle on",
    }

    def __init__(self, kind=None):
        self.kind = kind
        self.writes = 0
        self.sessions = 0
        self.samples = 0

    def line(self, line):
        """What the harness is to see instead of this line of the ledger."""
        if self.kind not in ("drop", "double") or line["tool"] != "write":
            return [line]
        self.writes += 1
        if self.writes % EVERY:
            return [line]
        return [] if self.kind == "drop" else [line, line]

    def witness(self, session, witness):
        """Before a session is checked."""
        self.sessions += 1
        if self.kind == "lose" and self.sessions % 3 == 1:
            entry = {"position": witness.next_position(session) + 50, "kind": "outcome"}
            witness.saw(session, [entry])

    def sample(self, sample, share):
        """`share` of the run is over."""
        self.samples += 1
        if self.kind == "leak" and sample["rss"]:
            sample["rss"] += self.samples << 26
        if self.kind == "stall" and share > 0.5:
            sample["answered"] = 0
        return sample
