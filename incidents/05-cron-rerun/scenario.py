"""Incident 5: see README.md beside this file."""

from pathlib import Path

from lib.process import wait_until
from lib.world import Failed

HERE = Path(__file__).resolve().parent

NAME = "the cron rerun"
SUMMARY = "A nightly job dies half-way; cron runs it again from the start; records are there twice."

RECORDS = 120
SCHEMA = "create table ledger (id serial primary key, record text not null, cents int not null);"


def _rows(database):
    return database.number("select count(*) from ledger")


def _distinct(database):
    return database.number("select count(distinct record) from ledger")


def _die_half_way(world, database, environment, through=()):
    process = world.script(HERE / "nightly.mjs", through, {**environment, "RECORDS": RECORDS})
    wait_until(lambda: _rows(database) >= RECORDS // 2 or not process.running(), "half is done", 60)
    if not process.running():
        raise Failed(f"the job ended before it could be killed\n{process.tail()}")
    process.kill()
    done = _settled(database)
    world.say.step(f"the job is killed (SIGKILL) after {done} of {RECORDS} records")
    if not RECORDS // 2 <= done < RECORDS:
        raise Failed(f"killed too late: {done} records")
    return done


def _settled(database):
    """The number of rows once what was under way has ended."""
    count = -1

    def steady():
        nonlocal count
        before, count = count, _rows(database)
        return count == before

    wait_until(steady, "the table stands still", 20, every=0.3)
    return count


def without(world):
    database = world.database(SCHEMA)
    done = _die_half_way(world, database, world.direct(database))
    world.say.step("cron runs it again")
    again = world.script(HERE / "nightly.mjs", (), {**world.direct(database), "RECORDS": RECORDS})
    world.finish(again)
    world.facts.update(rows=_rows(database), records=RECORDS)
    world.damage(
        f"{_rows(database) - RECORDS} records are in the ledger twice",
        _rows(database) == RECORDS + done and _distinct(database) == RECORDS,
        again.tail(),
    )


def guarded(world):
    database = world.database(SCHEMA)
    gavel = world.gavel(HERE / "gavel.yaml", secret=world.secret("database-url", database.url()))
    session = "nightly"
    world.say.tell("The crontab line is: gavel run --session nightly -- node nightly.mjs")
    done = _die_half_way(world, database, {}, gavel.through(session))
    world.say.step("cron runs it again, on the same session")
    again = world.script(HERE / "nightly.mjs", gavel.through(session), {"RECORDS": RECORDS})
    world.finish(again)
    world.facts.update(rows=_rows(database), records=RECORDS)
    world.check(
        f"the ledger holds exactly {RECORDS} records, each once",
        _rows(database) == RECORDS and _distinct(database) == RECORDS,
        again.tail(),
    )
    replayed = len(gavel.of_kind(session, "replayed"))
    attempts = [e for e in gavel.of_kind(session, "attempt")]
    world.facts.update(replayed=replayed, attempts=len(attempts))
    world.check(
        f"{replayed} calls of the rerun were answered from the log, the rest went to the database",
        done - 1 <= replayed <= done + 1 and replayed > 0,
        f"{replayed} replayed, {done} done before",
    )
    world.check(
        "no record was sent to the database twice",
        len({e["intent"] for e in attempts}) == len(attempts) == RECORDS,
        f"{len(attempts)} attempts",
    )
    world.say.step("and a third run, by mistake")
    world.finish(world.script(HERE / "nightly.mjs", gavel.through(session), {"RECORDS": RECORDS}))
    world.check("changes nothing", _rows(database) == RECORDS)
