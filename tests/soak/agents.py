"""Agents: each drives a session of random length, dies in it, is replaced, and comes back."""

import http.client
import time

from caller import Caller
from lib.gavel import Refused

#        what an agent may do next: how often
STEPS = {
    "read": 30,
    "write": 24,
    "put": 10,
    "probed": 6,
    "slow": 4,
    "slow_put": 3,
    "ask": 5,
    "drop": 3,
    "large": 4,
    "repeat": 5,
    "repeat_later": 6,
    "by_mcp": 8,
    "die": 3,
}
LENGTH = (6, 30)
HONEST = ("look", "write", "put")


class Agent(Caller):
    def __init__(self, world, session, slot, server):
        super().__init__(world.daemon, session.witness)
        self.world = world
        self.session = session
        self.name = session.name
        self.server = server
        self.dice = world.dice("agent", session.name)
        self.modern = self.dice.random() < 0.5
        self.steps = []  # of this session: what was asked for, and was answered last
        self.calls = 0

    def live(self):
        self.again(lambda: self.wake(self.name))
        for _ in range(self.dice.randint(*LENGTH)):
            if self.world.over.is_set() or self.name not in self.epoch:
                break
            what = self.dice.choices(list(STEPS), STEPS.values())[0]
            getattr(self, what, self.plain)(what)
        for step in self.steps[-6:]:
            # Whoever ends collects what it was told to come back for.
            if step["told"] == "pending":
                self.ask_for(step)

    def again(self, action):
        return self.world.survive(action)

    # -------------------------------------------------------------------------------- asking
    def step(self, tool, prefix="", **arguments):
        self.calls += 1
        text = f"{prefix or tool} {self.name} {self.calls}"
        return {"tool": tool, "key": text, "arguments": {"text": text, **arguments}, "told": ""}

    def ask_for(self, step, wait_ms=5000, by_mcp=False):
        """One call, again where the daemon died; keeps what was told."""
        replay = step["told"] == "result"

        def call():
            started = time.monotonic()
            if by_mcp:
                answer = self.propose_by_mcp(self.name, step, self.modern)
            else:
                path, body = self.proposal(self.name, step, wait_ms)
                answer = self.api("POST", path, body, "agent")
                took = time.monotonic() - started
            honest = answer["kind"] == "result" and not by_mcp and not answer["replayed"]
            if honest and step["tool"] in HONEST:
                self.world.figures.answered("read" if step["tool"] == "look" else "write", took)
            else:
                self.world.figures.answered()
            if not by_mcp:
                self.take(self.name, step, answer)
            return answer

        answer = self.again(call)
        if answer is None:
            self.world.figures.answered()
            return None
        if replay and step["tool"] != "look" and answer["kind"] == "result":
            if not answer["replayed"]:
                self.world.problem(f"REPEATED: {self.name} {step['key']}: {str(answer)[:300]}")
        step["told"] = answer["kind"]
        self.world.figures.count(f"answers: {answer['kind']}")
        return answer

    def ask_new(self, step, wait_ms=5000, by_mcp=False):
        self.steps = [*self.steps[-39:], step]
        return self.ask_for(step, wait_ms, by_mcp)

    # --------------------------------------------------------------------------------- steps
    def plain(self, what):
        self.ask_new(self.step(what))

    def read(self, _):
        self.ask_new(self.step("look"))

    def large(self, _):
        step = self.step("write", "large")
        step["arguments"]["text"] += " " + "x" * self.dice.randint(15_000, 90_000)
        self.ask_new(step, wait_ms=1000)

    def slow(self, what):
        seconds = round(self.dice.uniform(0.1, 0.8), 2)
        self.ask_new(self.step(what, seconds=seconds), self.dice.choice((20, 5000)))

    slow_put = slow

    def ask(self, what):
        """Held: whoever is not patient asks again later."""
        step = self.step(what)
        self.ask_new(step, wait_ms=40)
        for _ in range(self.dice.randint(0, 2)):
            if step["told"] == "pending":
                self.ask_for(step, wait_ms=500)

    drop = ask

    def repeat(self, _):
        if self.steps:
            self.ask_for(self.steps[-1])

    def repeat_later(self, _):
        if self.steps:
            self.ask_for(self.dice.choice(self.steps))

    def by_mcp(self, _):
        self.ask_new(self.step(self.dice.choice(HONEST)), by_mcp=True)

    def die(self, _):
        """It leaves amid a call; a successor wakes the session; then it comes back once."""
        step = self.step("write", "interrupted")
        path, body = self.proposal(self.name, step, 5000)
        try:
            self.leave("POST", path, body, "agent", self.dice)
        except (OSError, http.client.HTTPException):
            pass
        before = self.epoch[self.name]
        self.again(lambda: self.wake(self.name))
        if self.epoch[self.name] == before:
            return
        self.world.figures.count("agents that died")
        self.come_back(before)
        self.ask_new(step)

    def come_back(self, before):
        now, zombie = self.epoch[self.name], self.step("write", "zombie")

        def call():
            self.epoch[self.name] = before
            try:
                return self.propose(self.name, zombie, 1000)["code"]
            except Refused as refused:
                return refused.code
            finally:
                self.epoch[self.name] = now

        code = self.again(call)
        self.world.figures.answered()
        if code == "stale_epoch":
            self.session.zombies.append(before)
            self.world.figures.count("zombies refused")
        elif code not in ("halted", "timeout", "busy", "unavailable", None):
            self.world.problem(f"ZOMBIE: {self.name}: epoch {before} was answered with {code!r}")


def drive(world, slot, servers):
    """One session after another, until the soak is over."""
    number = 0
    while not world.over.is_set():
        number += 1
        session = world.open(f"agent-{slot}-{number}")
        try:
            Agent(world, session, slot, servers[(slot + number) % len(servers)]).live()
        except Exception as error:  # noqa: BLE001: whatever it is, this agent went wrong
            world.problem(f"AGENT: {session.name}: {type(error).__name__}: {error}")
        session.left_at = world.now()
