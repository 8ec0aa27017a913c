"""A private PostgreSQL: its own directory, its own port on loopback, gone when the run ends.

The witness asks the server directly, over its socket and as its superuser; nothing that the agent
or Gavel says counts as proof."""

import os
import secrets
import socket
import subprocess
from pathlib import Path

from . import users
from .process import Process, wait_until

_DIRECTORIES = [f"/usr/lib/postgresql/{version}/bin" for version in (15, 16, 17, 14, 13)]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def programs():
    """Where initdb and postgres are; FileNotFoundError says what to install."""
    for directory in [os.environ.get("GAVEL_POSTGRES_BIN", "")] + _DIRECTORIES:
        if directory and os.path.exists(os.path.join(directory, "initdb")):
            return Path(directory)
    raise FileNotFoundError(
        "PostgreSQL is missing; install postgresql-15 (its service need not run)"
    )


class Database:
    """One database of the server, with an application role that owns it."""

    def __init__(self, server, name, password):
        self.server = server
        self.name = name
        self.password = password

    def url(self, role=None, port=None):
        """What an application connects with, the secret included."""
        return (
            f"postgres://{role or self.name}:{self.password}"
            f"@127.0.0.1:{port or self.server.port}/{self.name}"
        )

    def run(self, sql):
        """Runs statements as the superuser."""
        return self.server.psql(sql, self.name)

    def rows(self, sql):
        text = self.run(sql)
        return [line.split("\t") for line in text.splitlines()]

    def value(self, sql):
        rows = self.rows(sql)
        return rows[0][0] if rows else ""

    def number(self, sql):
        return int(self.value(sql) or 0)

    def tables(self):
        return [
            row[0]
            for row in self.rows(
                "select tablename from pg_tables where schemaname = 'public' order by 1"
            )
        ]

    def role(self, name, grants):
        """A further role with the same password, and what it may do."""
        self.run(f"create role {name} login password '{self.password}'; {grants}")


class Postgres:
    def __init__(self, directory):
        self._bin = programs()
        self._directory = Path(directory)
        self._user = users.database_user()
        self._databases = 0
        self._process = None
        self.port = free_port()

    def start(self):
        data = self._directory / "data"
        self._directory.mkdir()
        if self._user:
            self._user.own(self._directory)
        run_as = {}
        if self._user:
            run_as = {"user": self._user.uid, "group": self._user.gid, "extra_groups": []}
        made = subprocess.run(
            [
                self._bin / "initdb",
                "--pgdata",
                data,
                "--username",
                "witness",
                "--auth-local",
                "trust",
                "--auth-host",
                "scram-sha-256",
                "--encoding",
                "UTF8",
                "--locale",
                "C",
                "--no-sync",
                "--no-instructions",
            ],
            capture_output=True,
            text=True,
            cwd="/",
            timeout=120,
            **run_as,
        )
        if made.returncode != 0:
            raise RuntimeError(f"initdb failed: {made.stderr.strip()}")
        self._process = Process(
            [
                self._bin / "postgres",
                "-D",
                data,
                "-k",
                self._directory,
                "-p",
                self.port,
                "-c",
                "listen_addresses=127.0.0.1",
                "-c",
                "max_connections=60",
                "-c",
                "shared_buffers=32MB",
                "-c",
                "log_statement=mod",
                "-c",
                "log_line_prefix=%m [%p] %u@%d ",
            ],
            log=self._directory.parent / "postgres",
            directory="/",
            user=self._user,
        )
        wait_until(self._ready, "PostgreSQL accepts connections", 60)
        return self

    def _ready(self):
        if not self._process.running():
            raise RuntimeError(f"postgres ended: {self._process.err()[-1000:]}")
        try:
            return self.psql("select 1", "postgres").strip() == "1"
        except RuntimeError:
            return False

    def psql(self, sql, database):
        done = subprocess.run(
            [
                self._bin / "psql",
                "-h",
                self._directory,
                "-p",
                str(self.port),
                "-U",
                "witness",
                "-d",
                database,
                "-XAtq",
                "-F",
                "\t",
                "-v",
                "ON_ERROR_STOP=1",
                "-f",
                "-",
            ],
            input=sql,
            capture_output=True,
            text=True,
            timeout=60,
        )
        if done.returncode != 0:
            raise RuntimeError(f"psql: {done.stderr.strip()}")
        return done.stdout

    def database(self, schema):
        """A fresh database filled by `schema`; its role of the same name owns everything in it."""
        self._databases += 1
        name = f"shop{self._databases}"
        password = secrets.token_urlsafe(18)
        self.psql(f"create role {name} login password '{password}'", "postgres")
        self.psql(f"create database {name} owner {name}", "postgres")
        self.psql(f"alter schema public owner to {name}; set role {name}; {schema}", name)
        return Database(self, name, password)

    def stop(self):
        if self._process:
            self._process.stop(timeout=5)
