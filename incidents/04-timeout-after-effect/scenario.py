"""Incident 4: see README.md beside this file."""

from pathlib import Path

from lib.process import wait_until
from lib.world import events

HERE = Path(__file__).resolve().parent

NAME = "timeout after the effect"
SUMMARY = "A tool call times out, the side effect has happened, the agent tries again."

SCHEMA = """
create table payments (id serial primary key, invoice text not null, cents int not null,
                       paid_at timestamptz not null default now());
"""


def _payments(database):
    return database.number("select count(*) from payments where invoice = 'INV-2041'")


def _pay(world, link, environment, through=()):
    link.hold_answers_to("INSERT INTO payments")
    world.say.step(
        "a script on the official MCP SDK pays invoice INV-2041; the answer is lost on its way"
    )
    process = world.script(HERE / "pay.mjs", through, environment)
    wait_until(link.held.is_set, "the payment reached the database", 60)
    wait_until(lambda: events(process), "the script saw its first call end", 60)
    return process


def without(world):
    database = world.database(SCHEMA)
    link = world.link(database)
    process = _pay(world, link, world.direct(database, port=link.port))
    first = events(process)[0]
    world.say.quote("first try", first.get("error", first))
    world.check(
        "the database has taken the payment that the script believes failed",
        first["event"] == "no_answer" and _payments(database) == 1,
        str(first),
    )
    world.say.step("the script does what every retry loop does")
    link.release()
    wait_until(lambda: not process.running(), "the script ended", 60)
    world.facts.update(payments=_payments(database))
    world.damage("the invoice is paid twice", _payments(database) == 2, process.tail())


def guarded(world):
    database = world.database(SCHEMA)
    link = world.link(database)
    gavel = world.gavel(
        HERE / "gavel.yaml",
        writer=world.secret("database-url", database.url(port=link.port)),
        reader=world.secret("database-url", database.url()),
    )
    session = "pay-invoices"
    process = _pay(world, link, {}, gavel.through(session))
    world.finish(process)
    link.release()
    seen = events(process)
    world.say.quote(
        "the script", " | ".join(str(each.get("text", each.get("error"))) for each in seen)
    )
    world.check(
        "the script's first call got no answer in time; its retry got one",
        [each["event"] for each in seen] == ["no_answer", "answer"] and not seen[1]["failed"],
        str(seen),
    )
    world.facts.update(payments=_payments(database))
    world.check("the database holds the payment exactly once", _payments(database) == 1)

    entries = gavel.entries(session)
    payments = [e for e in entries if e["kind"] == "intent" and e["tool"] == "pg__execute"]
    world.check("the log holds one intent for the payment", len(payments) == 1, str(payments))
    intent = payments[0]["position"]
    story = [e for e in entries if e.get("intent") == intent]
    world.say.quote("log", " -> ".join(e["kind"] for e in story))
    world.check(
        "sent to the database once",
        len([e for e in story if e["kind"] == "attempt"]) == 1,
    )
    outcomes = [e["outcome"] for e in story if e["kind"] == "outcome"]
    probes = [e["verdict"] for e in story if e["kind"] == "probed"]
    world.check(
        "unknown at first, then settled by a probe that saw the row",
        outcomes == ["unknown", "ok"] and probes[:1] == ["happened"],
        str(story),
    )

    world.say.step("the script runs a third time, as a new process on the same session")
    again = world.script(HERE / "pay.mjs", gavel.through(session))
    world.finish(again)
    # A replay is recorded without a sync of its own: it may reach the disk a moment later.
    replayed = wait_until(lambda: gavel.of_kind(session, "replayed"), "the replay is recorded", 5)
    world.check(
        "the recorded outcome is replayed",
        replayed[0]["intent"] == intent and events(again)[-1]["event"] == "answer",
        str(events(again)),
    )
    world.check("and the database still holds one payment", _payments(database) == 1)
