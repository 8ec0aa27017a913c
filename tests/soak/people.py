"""People who approve, deny, forget, vote twice, and look at the ledger; and those who watch."""

import http.client
import json
import time

from caller import Caller
from lib.gavel import Refused
from lib.mcp import connect

LOOK_AFTER_S = 0.5  # what is unknown may be a moment from acting
LEAVE_TO_GAVEL_S = 3.0  # what Gavel finds out itself: probes and retries
BY_GAVEL = ("put", "slow_put", "probed")


class Person(Caller):
    # A halt, an expiry and another's answer may all come first.
    tolerated = ("conflict", "halted", "denied", "not_found")

    def __init__(self, world, session):
        super().__init__(world.daemon, session.witness)
        self.world = world

    def answer(self, pending, since):
        name = (pending["session"], pending["intent"])
        if pending["phase"] == "unknown":
            by_gavel = pending["tool"].rpartition("__")[2] in BY_GAVEL
            if self.world.now() - since > (LEAVE_TO_GAVEL_S if by_gavel else LOOK_AFTER_S):
                self.world.figures.count("people: resolved")
                self.decide(pending, "allow")
            return
        if any(vote["voter"] == "operator" for vote in pending["votes"]):
            return
        mood = self.world.dice("person", *name).random()
        if mood < 0.12:
            self.world.figures.count("people: ignored (each look)")
            return
        verdict = "deny" if mood < 0.3 else "allow"
        self.world.figures.count(f"people: {verdict}")
        self.decide(pending, verdict)
        if mood > 0.8:
            self.world.figures.count("people: voted twice")
            self.vote(*name, "deny" if mood > 0.9 else "allow", pending["digest"])


def decide(world):
    """Looks at what is pending until everybody leaves."""
    since = {}
    while not world.ended.is_set():
        asking = Caller(world.daemon, None)
        found = world.survive(lambda: asking.api("GET", "/v1/pending")["pending"]) or []
        names = {(each["session"], each["intent"]) for each in found}
        since = {name: since.get(name, world.now()) for name in names}
        for each in found:
            session = world.sessions.get(each["session"])
            if session is not None:
                person = Person(world, session)
                first = since[(each["session"], each["intent"])]
                world.survive(lambda: person.answer(each, first))
        world.ended.wait(0.15)


def watch(world, number):
    """A stream that comes and goes; what it announces has to last."""
    dice = world.dice("watcher", number)
    while not world.ended.is_set():
        if not world.up.wait(1):
            continue
        sessions = list(world.sessions)
        one = dice.choice(sessions) if sessions and dice.random() < 0.5 else None
        path = f"/v1/sessions/{one}/watch?from=1" if one else "/v1/watch"
        until = time.monotonic() + dice.uniform(0.5, 6)
        try:
            connection = connect(world.daemon.url, 1)
            token = world.daemon.token("operator")
            connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
            for line in connection.getresponse():
                if line.startswith(b"data:"):
                    take(world, one, json.loads(line[5:]))
                if time.monotonic() > until or world.ended.is_set():
                    break
            connection.close()
            world.figures.count("watch streams")
        except (OSError, ValueError, KeyError, Refused, http.client.HTTPException):
            time.sleep(0.1)


def take(world, one, said):
    name = one or said["session"]
    session = world.sessions.get(name)
    if session is None:
        return
    if one:
        session.witness.saw(name, [said])
    else:
        session.witness.announced(name, said["tail"])
