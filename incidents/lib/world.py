"""The world of one half of an incident: a directory, a database, programs, and what was proven.
Whatever a scenario starts here ends with it, however it ends."""

import contextlib
import json
import os
import tempfile
import time
from pathlib import Path

from . import gavel as gavel_module
from . import peers
from . import users
from .model import Model
from .network import Link, free_port
from .process import Process
from .programs import PROGRAMS


class Failed(AssertionError):
    """A scenario did not show what it must."""


class World:
    def __init__(self, root, base, postgres, binary, say, program="opencode"):
        self.root = Path(root)
        self.program = PROGRAMS[program]
        self.peers = peers.directory(self.root)
        self.binary = binary
        self.say = say
        self.checks = []
        self.facts = {}
        self._postgres = postgres
        self._stack = contextlib.ExitStack()
        self.directory = Path(tempfile.mkdtemp(prefix="world-", dir=base))
        os.chmod(self.directory, 0o755)
        self._names = {}

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if error is not None:
            self._explain()
        self._stack.close()

    def _explain(self):
        """On failure, what the programs last said."""
        for path in sorted(self.directory.rglob("*.err")) + sorted(self.directory.rglob("*.out")):
            text = path.read_text(errors="replace").strip()
            if text:
                self.say.detail(f"--- {path.relative_to(self.directory)}\n{text[-3000:]}")

    def on_exit(self, callback, *arguments):
        self._stack.callback(callback, *arguments)

    def path(self, name):
        """A fresh path in this world's directory."""
        number = self._names[name] = self._names.get(name, 0) + 1
        return self.directory / (name if number == 1 else f"{name}-{number}")

    # --- proof ---
    def check(self, statement, truth, detail=""):
        """States what the witness saw; the scenario fails where it is not so."""
        self._record(statement, truth, detail)
        self.say.proven(statement)

    def damage(self, statement, truth, detail=""):
        """States damage that must have happened."""
        self._record(statement, truth, detail)
        self.say.damage(statement)

    def _record(self, statement, truth, detail):
        self.checks.append({"statement": statement, "true": bool(truth)})
        if not truth:
            raise Failed(f"not so: {statement}" + (f"\n{detail}" if detail else ""))

    # --- parts ---
    def database(self, schema):
        return self._postgres().database(schema)

    def link(self, database):
        link = Link(database.server.port)
        self.on_exit(link.close)
        return link

    def model(self, script):
        model = Model(script)
        self.on_exit(model.close)
        return model

    def secret(self, name, value):
        """A file that only its owner can read."""
        path = self.path("secrets")
        path.mkdir(mode=0o700)
        file = path / name
        file.touch(mode=0o600)
        file.write_text(value)
        return file

    def node(self, *parts):
        return ["node", str(self.peers / "node_modules" / Path(*parts))]

    @property
    def pg_server(self):
        return self.node("mcp-postgres-server/build/index.js")

    @property
    def fs_server(self):
        return self.node("@modelcontextprotocol/server-filesystem/dist/index.js")

    def gavel(self, template, **values):
        """A running daemon with a policy: the file `template`, @NAME@ replaced by values."""
        text = Path(template).read_text()
        for name, value in {"PEERS": self.peers / "node_modules", **values}.items():
            text = text.replace(f"@{name.upper()}@", str(value))
        # Codex has the address in its configuration, and a daemon that died comes back to it.
        listen = f"127.0.0.1:{free_port()}"
        daemon = gavel_module.Gavel(self.binary, self.path("gavel"), text, listen=listen)
        self.on_exit(daemon.stop)
        return daemon.start()

    def agent(self, model, servers=None, gavel=None):
        """The agent program, with MCP servers that it starts itself ({name: (command,
        environment)}) or with a daemon as its only one."""
        program = self.program.modules() / self.program.package
        user = users.agent_user(program, self.peers / "node_modules", self.directory)
        agent = self.program(self.path("agent"), self.binary, model.url, user)
        for name, (command, environment) in (servers or {}).items():
            agent.add_server(name, command, environment)
        if gavel:
            agent.connect(gavel.state)
        return agent

    def run(self, agent, prompt, through=()):
        """Starts a task of the agent program."""
        process = agent.start(prompt, through)
        self.on_exit(process.kill)
        return process

    def finish(self, process, timeout=120):
        """Waits for an agent that must end well."""
        started = time.monotonic()
        code = process.wait(timeout)
        if code != 0:
            raise Failed(f"the agent ended with {code}\n{process.tail()}")
        return time.monotonic() - started

    def script(self, file, through=(), environment=None):
        """Starts a plain program on the official MCP SDK."""
        process = Process(
            [*through, "node", str(file)],
            log=self.path("script"),
            environment={
                "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
                "HOME": str(self.directory),
                "PEERS": str(self.peers),
                "CONNECT": str(self.root / "incidents/lib/agents/connect.mjs"),
                **{name: str(value) for name, value in (environment or {}).items()},
            },
        )
        self.on_exit(process.kill)
        return process

    def direct(self, database, port=None, role=None):
        """The environment of a script that talks to the PostgreSQL server without Gavel."""
        return {
            "SERVER_COMMAND": json.dumps(self.pg_server),
            "DATABASE_URL": database.url(role=role, port=port),
            "PG_ALLOW_WRITE": "true",
        }


def events(process):
    """What a script reported: its standard output, a JSON value per line."""
    found = []
    for line in process.out().splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found
