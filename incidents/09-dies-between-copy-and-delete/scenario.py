"""Incident 9: see README.md beside this file."""

from pathlib import Path

from lib.model import Gate, behind, call, say
from lib.process import wait_until

HERE = Path(__file__).resolve().parent

NAME = "dies between copy and delete"
SUMMARY = (
    "An agent that moves records month by month is killed between copy and delete, and runs again."
)

ROWS = 4000
SCHEMA = f"""
create table orders (id int, month int, cents int);
insert into orders select g, 1 + g % 4, g * 10 from generate_series(1, {ROWS}) g;
create table archive (id int, month int, cents int);
"""
# A second copy of the truth, that no agent can reach.
WITNESS = "create schema truth; create table truth.orders as table public.orders;"
TASK = "Move the orders of months 1 to 4 to the archive: copy a month, then delete it."
COPY = "INSERT INTO archive SELECT * FROM orders WHERE month = $1"
DELETE = "DELETE FROM orders WHERE month = $1"


def _database(world):
    database = world.database(SCHEMA)
    database.run(WITNESS)
    # Least privilege: who copies cannot delete, who deletes cannot copy.
    copier, cleaner = f"{database.name}_copier", f"{database.name}_cleaner"
    database.role(
        copier, f"grant select on orders, archive to {copier}; grant insert on archive to {copier}"
    )
    database.role(cleaner, f"grant select, delete on orders to {cleaner}")
    return database, copier, cleaner


def _script(gate):
    """The model's course: eight calls. It thinks long before it deletes month 3."""
    steps = []
    for month in (1, 2, 3, 4):
        deletion = call("orders_execute", sql=DELETE, params=[month])
        steps.append(call("archive_execute", sql=COPY, params=[month]))
        steps.append(behind(gate, deletion) if month == 3 else deletion)
    return steps + [say("All four months are moved.")]


def _kill_between(world, gate, process):
    gate.wait_reached()
    process.kill()
    gate.open()
    world.say.step("the agent is killed (SIGKILL): month 3 is copied, and not yet deleted")


def _state(database):
    return {
        "archived": database.number("select count(*) from archive"),
        "left": database.number("select count(*) from orders"),
        "lost": database.number(
            "select count(*) from (select * from truth.orders except all "
            "(select * from archive union all select * from orders)) x"
        ),
        "twice": database.number(
            "select count(*) from ((select * from archive union all select * from orders) "
            "except all select * from truth.orders) x"
        ),
    }


def without(world):
    database, copier, cleaner = _database(world)
    gate = Gate()
    model = world.model(_script(gate))
    write = {"PG_ALLOW_WRITE": "true"}
    agent = world.agent(
        model,
        {
            "archive": (world.pg_server, {"DATABASE_URL": database.url(role=copier), **write}),
            "orders": (world.pg_server, {"DATABASE_URL": database.url(role=cleaner), **write}),
        },
    )
    world.say.tell(
        "An agent remembers nothing between two runs. Whoever starts it again starts over."
    )
    world.say.step(f"{agent.title} is told: {TASK}")
    _kill_between(world, gate, world.run(agent, TASK))
    world.say.step("the agent is started again, with the same task")
    world.finish(world.run(agent, TASK))
    state = _state(database)
    world.facts.update(state)
    world.damage(
        f"{state['twice']:,} orders are in the archive twice: "
        f"it holds {state['archived']:,} of {ROWS:,}",
        state["twice"] == ROWS // 4 and state["archived"] == ROWS + ROWS // 4,
        str(state),
    )


def guarded(world):
    database, copier, cleaner = _database(world)
    link = world.link(database)
    gavel = world.gavel(
        HERE / "gavel.yaml",
        copier=world.secret("database-url", database.url(role=copier, port=link.port)),
        cleaner=world.secret("database-url", database.url(role=cleaner)),
        reader=world.secret("database-url", database.url()),
    )
    gate = Gate()
    model = world.model(_script(gate))
    agent = world.agent(model, gavel=gavel)
    session = "move-orders"

    world.say.tell(
        "The same agent and the same task, but each call goes through a session of Gavel: what was "
        "done stands in its log, and no process has to remember it."
    )
    world.say.step(f"{agent.title} is told, through gavel run --session {session}: {TASK}")
    _kill_between(world, gate, world.run(agent, TASK, gavel.through(session)))
    state = _state(database)
    world.check(
        "the database is in the middle: month 3 in both tables",
        state["twice"] == ROWS // 4 and state["lost"] == 0,
        str(state),
    )

    link.hold_answers_to("INSERT INTO archive")
    world.say.step(
        "the agent is started again, on the same session: a new process that knows nothing"
    )
    second = world.run(agent, TASK, gavel.through(session))
    wait_until(link.held.is_set, "the copy of month 4 reached the database", 60)
    wait_until(
        lambda: database.number("select count(*) from archive where month = 4") == ROWS // 4,
        "month 4 is copied",
    )
    gavel.kill()
    second.kill()
    link.release()
    world.say.step(
        "month 4 is copied, its answer still on the way: "
        "Gavel is killed (SIGKILL), and the agent too"
    )

    world.say.tell(
        "Now one call is in a state that most systems cannot express: it may have happened, or not."
    )
    gavel.start()
    world.say.step(
        f"Gavel is started on the same directory; somebody else types: gavel wake {session}"
    )
    woken = gavel.ask("wake", session)
    world.check("the session has a third driver", woken.get("epoch") == 3, str(woken))
    wait_until(
        lambda: not gavel.session(session)["unknown"] and not gavel.session(session)["in_flight"],
        "the unknown outcome is settled",
        30,
    )
    probes = [e for e in gavel.of_kind(session, "probed") if e["verdict"] == "happened"]
    copies = [
        t for t in gavel.transcript(session) if t["arguments"] == {"sql": COPY, "params": [4]}
    ]
    world.check(
        "the copy of month 4, whose outcome nobody knew, was looked up in the database: "
        "it happened",
        [c["phase"] for c in copies] == ["ok"]
        and copies[0]["intent"] in [e["intent"] for e in probes],
        str(copies),
    )

    world.say.step("the agent is started a third time")
    world.finish(world.run(agent, TASK, gavel.through(session)))
    state = _state(database)
    world.facts.update(state)
    world.check("nothing is lost", state["lost"] == 0, str(state))
    world.check("nothing is there twice", state["twice"] == 0, str(state))
    world.check(
        f"the work is finished: {ROWS:,} orders in the archive, none left behind",
        state["archived"] == ROWS and state["left"] == 0,
        str(state),
    )
    attempts = gavel.of_kind(session, "attempt")
    world.facts.update(attempts=len(attempts), replayed=len(gavel.of_kind(session, "replayed")))
    world.check(
        "three agents asked for eight steps each; the database was sent each step once",
        len(attempts) == 8 and len({e["intent"] for e in attempts}) == 8,
        str(attempts),
    )
    gavel.stop()
    code, out, err = gavel.cli("verify")
    world.check("gavel verify: the log's chain of hashes is whole", code == 0, err or out)
