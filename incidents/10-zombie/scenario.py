"""Incident 10: see README.md beside this file."""

import os
import signal
from pathlib import Path

from lib.process import wait_until
from lib.world import events

HERE = Path(__file__).resolve().parent

NAME = "the zombie"
SUMMARY = "An agent is cut off, another takes over, the first comes back and deletes the only copy."

SCHEMA = """
create table documents (id int primary key, body text);
insert into documents select g, 'document ' || g from generate_series(1, 500) g;
create table archive (id int, body text);
"""


def _cut_off(world, gate, environment, through=()):
    """Agent A has copied, and is about to delete, when it is stopped."""
    process = world.script(HERE / "mover.mjs", through, {**environment, "GATE": gate})
    world.say.step("agent A moves 500 documents to the archive: copy, then delete")
    wait_until(lambda: events(process) or not process.running(), "A has copied", 60)
    copied = events(process)[0]
    os.kill(copied["pid"], signal.SIGSTOP)
    gate.touch()
    world.on_exit(_continue, copied["pid"])
    world.say.step("after the copy A hangs (SIGSTOP): nobody can reach it")
    return process, copied["pid"]


def _continue(pid):
    try:
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        pass


def _come_back(world, process, pid):
    world.say.step("A comes back (SIGCONT) and goes on where it was: it deletes the originals")
    _continue(pid)
    wait_until(lambda: not process.running(), "A ended", 60)
    return events(process)[-1]


def _counts(database):
    return (
        database.number("select count(*) from documents"),
        database.number("select count(*) from archive"),
    )


def without(world):
    database = world.database(SCHEMA)
    direct = world.direct(database)
    process, pid = _cut_off(world, world.path("gate"), direct)
    world.say.step("the move is called off: agent B removes the copy")
    world.finish(world.script(HERE / "calloff.mjs", (), direct))
    world.check("the originals are the only copy now", _counts(database) == (500, 0))
    _come_back(world, process, pid)
    documents, archive = _counts(database)
    world.facts.update(documents=documents, archive=archive)
    world.damage("the only copy of 500 documents is deleted", (documents, archive) == (0, 0))


def guarded(world):
    database = world.database(SCHEMA)
    gavel = world.gavel(HERE / "gavel.yaml", secret=world.secret("database-url", database.url()))
    session = "move-documents"
    process, pid = _cut_off(world, world.path("gate"), {}, gavel.through(session))
    world.check("A drives the session in epoch 1", gavel.session(session)["epoch"] == 1)
    world.say.step("the move is called off: agent B takes the session over and removes the copy")
    world.finish(world.script(HERE / "calloff.mjs", gavel.through(session)))
    world.check("B drives it in epoch 2", gavel.session(session)["epoch"] == 2)
    world.check("the originals are the only copy now", _counts(database) == (500, 0))
    last = _come_back(world, process, pid)
    world.say.quote("what A is told", str(last.get("text", last.get("error"))))
    documents, archive = _counts(database)
    world.facts.update(documents=documents, archive=archive)
    world.check("the database holds all 500 documents", (documents, archive) == (500, 0), str(last))
    world.check(
        "A was told that it is no longer the driver",
        last["event"] in ("refused", "no_answer") and "epoch" in str(last).lower(),
        str(last),
    )
    refused = gavel.of_kind(session, "refused")
    world.check(
        "the log holds A's attempt as refused: stale_epoch",
        [(e["code"], e["claimed_epoch"]) for e in refused] == [("stale_epoch", 1)],
        str(refused),
    )
