"""The scenarios, written once for all programs. Each says what the model does, what people do
meanwhile, and what must have happened: by the notes themselves and by Gavel's log, never by the
program's words alone."""

import contextlib
import os
import re
import shutil
import ssl
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from lib.certificates import daemon_tls, make_certificate, make_daemon_certificates
from lib.gavel import Gavel
from lib.model import Gate, Model, behind, call, say
from lib.network import free_port
from lib.process import wait_until
from lib.programs import SECONDS_MAX

HERE = Path(__file__).resolve().parent
SESSION = "work"
POLICY = """
servers:
  notes:
    command: [@PYTHON@, "@HERE@/notes.py"]
    environment: {NOTES: "@NOTES@"}
    tools:
      list: {effect: read}
      add: {effect: write}
      add_slowly: {effect: write}
      add_and_crash: {effect: write}
      erase: {effect: destructive}
      export: {effect: irreversible}
defaults: {two_step_delay: 2s, hold_for: @HOLD@}
rules:
  - name: notes stay here
    tools: [notes__export]
    verdict: deny
  - name: tests of failures
    tools: [notes__add_slowly, notes__add_and_crash]
    verdict: allow
  - name: nothing is removed
    tools: [own__shell]
    effects: [destructive, irreversible]
    verdict: deny
    reason: move it to the trash instead
daemon: {@TLS@hold_patience: @PATIENCE@, hold_patience_with_progress: @PATIENCE@}
"""
CLOSED = """  - name: the list is closed
    tools: [notes__add]
    arguments: {properties: {text: {pattern: second}}, required: [text]}
    verdict: deny
    reason: ask for a new list
"""


class Failed(AssertionError):
    """`what` did not hold; `recorded` is what was seen."""

    recorded = None

    def __init__(self, what, detail=""):
        super().__init__(f"{what}\n{detail}".strip())
        self.what = what


class Scene:
    """One scenario with one program: a daemon, a model, the program, and what was recorded."""

    def __init__(self, program, binary, script, hold="1h", patience="50s", limit=None,
                 stdio=False, edits=False, http=False):
        self.directory = Path(tempfile.mkdtemp(prefix="gavel-agents-"))
        self.stack = contextlib.ExitStack()
        self.stack.callback(shutil.rmtree, self.directory, ignore_errors=True)
        self.notes = self.directory / "notes.txt"
        self._values = {
            "PYTHON": sys.executable,
            "HERE": HERE,
            "NOTES": self.notes,
            "HOLD": hold,
            "PATIENCE": patience,
            "TLS": f"{daemon_tls(self.directory)}, " if http else "",
        }
        try:
            tls = make_daemon_certificates(self.directory, "IP:127.0.0.1") if http else None
            self.port = free_port()
            self.gavel = Gavel(
                binary,
                self.directory / "gavel",
                self.policy(POLICY),
                listen=f"127.0.0.1:{self.port}",
                tls=tls,
            )
            self.stack.callback(self.gavel.stop)
            self.gavel.start(60)
            # The program is there only once the model has an address, and the other way round.
            self.model = Model([])
            self.stack.callback(self.model.close)
            self.program = program(self.directory / "agent", binary, self.model.url)
            self.model.script = script(self) if callable(script) else script
            self.keep = self.program.workspace / "keep"
            self.keep.mkdir()
            (self.keep / "me.txt").write_text("kept\n")
            self.program.hook(self.gavel.state, http)
            if stdio:
                self.program.add_server("gavel", self.wrapped())
            else:
                self.program.connect(self.gavel.state)
            if limit:
                self.program.limit(limit)
            if edits:
                self.program.offer_edits()
            self.process = self.program.start(
                "Keep the notes in order.", self.gavel.through(SESSION)
            )
            self.stack.callback(self.process.kill)
        except BaseException:
            self.stack.close()
            raise

    def wrapped(self):
        return [
            str(self.gavel.binary),
            "mcp",
            "--state",
            str(self.gavel.state),
            "--name",
            "box",
            "--",
            "env",
            f"NOTES={self.notes}",
            sys.executable,
            str(HERE / "notes.py"),
        ]

    def policy(self, text):
        for name, value in self._values.items():
            text = text.replace(f"@{name}@", str(value))
        return text

    # --- what happened ---
    def check(self, truth, what, detail=""):
        if not truth:
            raise Failed(f"not so: {what}", f"{detail}\n{self.explain()}")

    def explain(self):
        lines = [f"the model was offered: {self.model.offered[-1:]}"]
        lines += [f"the model could not: {error}" for error in self.model.errors]
        lines += [f"the model read: {text}" for text in self.model.results]
        lines += [f"log: {line}" for line in self.log()]
        lines += [f"notes: {self.lines()}", self.process.tail(3000), self.gavel.process.tail(1500)]
        return "\n".join(lines)

    def lines(self):
        return self.notes.read_text().splitlines() if self.notes.exists() else []

    def sessions(self):
        found = self.gavel.api("GET", "/v1/sessions")["sessions"]
        return [each["session"] for each in found]

    def intents(self):
        with contextlib.suppress(OSError, ValueError):
            return [
                {**intent, "session": name}
                for name in sorted(self.sessions())
                for intent in self.gavel.transcript(name.replace("/", "%2F"))
            ]
        return []

    def log(self):
        return [
            f"{i['session']}#{i['intent']} {i['tool']}, {i['effect']}: {i['phase']}"
            for i in self.intents()
        ]

    def phases(self):
        return [intent["phase"] for intent in self.intents()]

    def check_phases(self, *phases):
        self.check(self.phases() == list(phases), f"the log has {phases}", "\n".join(self.log()))

    def check_notes(self, *lines):
        self.check(self.lines() == list(lines), f"the notes are {lines}")

    def check_read(self, number, *texts):
        """The model's result of its call `number` holds the texts."""
        results = self.model.results
        self.check(len(results) > number, f"the model got {number + 1} results")
        for text in texts:
            self.check(text in results[number], f"the model read {text!r}", results[number])

    # --- what people do ---
    def held(self):
        def held():
            found = self.gavel.pending()
            self.check(found or self.process.running(), "a call is held")
            return found

        found = wait_until(held, "a call is held", SECONDS_MAX)[0]
        return f"{found['session']}#{found['intent']}"

    def person(self, *arguments):
        code, out, err = self.gavel.cli(*arguments)
        self.check(code == 0, f"gavel {' '.join(arguments)}", out + err)

    def finish(self):
        try:
            self.process.wait(SECONDS_MAX)
        except TimeoutError as error:
            raise Failed("the program does not end", f"{error}\n{self.explain()}") from None
        self.check(not self.model.errors, "the model could answer")

    def tame(self, text):
        """Without what is another in each run."""
        for value, name in (
            (self.gavel.state, "STATE"),
            (self.gavel.binary, "gavel"),
            (self.program.home, "~"),
            (self.program.workspace, "PROJECT"),
            (self.directory, "DIR"),
            (HERE, "TESTS"),
            (self.program.modules(), "MODULES"),
        ):
            text = text.replace(os.path.realpath(value), name).replace(str(value), name)
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
        text = re.sub(rf"127\.0\.0\.1:{self.port}", "127.0.0.1:7420", text)
        text = re.sub(r"127\.0\.0\.1:(?!7420)\d+", "127.0.0.1:PORT", text)
        text = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "ID", text)
        text = re.sub(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.\dZ]*", "TIME", text)
        text = re.sub(r"\b\d+(\.\d+)? ?(ms|s|seconds)\b", "N s", text)
        text = re.sub(r"\b[0-9a-f]{32}\b|\bses_\w+", "ID", text)
        text = re.sub(r"Chunk ID: \w+", "Chunk ID: ID", text)
        text = re.sub(r'session_id="ID[^"]*"', 'session_id="ID"', text)
        text = re.sub(r"\b(mcp-box)-[0-9a-f]{8}\b", r"\1-ID", text)
        text = self.program.quiet(text)
        return "\n".join(line.rstrip() for line in text.strip().splitlines())

    def recorded(self):
        return {
            "terminal": self.tame(self.process.out() + self.process.err()),
            "model": [self.tame(text) for text in self.model.results],
            "log": [self.tame(line) for line in self.log()],
            "notes": self.lines(),
        }


ADD = call("notes__add", text="first")
DONE = say("That is all.")


def tools(make):
    """It lists the tools."""
    with make([DONE]) as scene:
        scene.finish()
        names = sorted(n for n in scene.model.offered[0] if "notes__" in n)
        ends = sorted(n.rpartition("notes__")[2] for n in names)
        scene.check(
            ends == ["add", "add_and_crash", "add_slowly", "erase", "list"],
            "the model is offered every tool but the one that it may never call",
            str(names),
        )
        scene.model.results = [", ".join(names)]
        yield scene


def read(make):
    """It reads."""
    with make([call("notes__list"), DONE]) as scene:
        scene.finish()
        scene.check_read(0, "there are no notes")
        scene.check_phases("ok")
        yield scene


def approved(make):
    """It writes; a person approves."""
    with make([ADD, DONE]) as scene:
        held = scene.held()
        scene.check_notes()
        scene.person("approve", held, "--yes")
        scene.finish()
        scene.check_notes("first")
        scene.check_read(0, "the note is added")
        scene.check_phases("ok")
        yield scene


def denied(make):
    """It writes; a person says no."""
    with make([ADD, DONE]) as scene:
        scene.person("deny", scene.held(), "--reason", "not on a Sunday")
        scene.finish()
        scene.check_notes()
        scene.check_read(0, "not on a Sunday")
        scene.check_phases("aborted")
        yield scene


def nobody(make):
    """It writes; nobody answers until the hold expires."""
    with make([ADD, DONE], hold="2s") as scene:
        scene.finish()
        scene.check_notes()
        scene.check(len(scene.model.results) == 1, "the model got an answer")
        scene.check_phases("aborted")
        yield scene


def pending(make):
    """It writes; Gavel stops waiting, a person approves, it calls again."""
    gate = Gate()
    with make([ADD, behind(gate, ADD), DONE], patience="1s") as scene:
        gate.wait_reached(SECONDS_MAX)
        scene.person("approve", scene.held(), "--yes")
        wait_until(scene.lines, "the approved call is done")
        gate.open()
        scene.finish()
        scene.check_notes("first")
        scene.check_read(1, "the note is added")
        scene.check_phases("ok")
        yield scene


def gave_up(make):
    """It writes; the program stops waiting, a person approves, it calls again."""
    gate = Gate()
    with make([ADD, behind(gate, ADD), DONE], limit=6) as scene:
        gate.wait_reached(SECONDS_MAX)
        scene.person("approve", scene.held(), "--yes")
        wait_until(scene.lines, "the approved call is done")
        gate.open()
        scene.finish()
        scene.check_notes("first")
        scene.check_read(1, "the note is added")
        scene.check_phases("ok")
        yield scene


def two_steps(make):
    """It removes everything: two steps."""
    with make([call("notes__erase"), DONE]) as scene:
        scene.notes.write_text("an old note\n")
        held = scene.held()
        asked = time.monotonic()
        scene.person("approve", held, "--yes")
        while time.monotonic() < asked + 0.5:
            scene.check_notes("an old note")
        scene.finish()
        scene.check_notes()
        scene.check_read(0, "all notes are removed")
        scene.check_phases("ok")
        yield scene


def cancelled(make):
    """It is interrupted (Ctrl-C) while a write is at work."""
    with make([call("notes__add_slowly", text="first", seconds=4), DONE]) as scene:
        wait_until(scene.lines, "the call is at work", SECONDS_MAX)
        scene.program.interrupt(scene.process)
        scene.finish()
        wait_until(lambda: scene.phases() == ["ok"], "the outcome is recorded")
        scene.check_notes("first")
        yield scene


def crash(make):
    """The server crashes in a write; it calls again, then reads."""
    again = call("notes__add_and_crash", text="first")
    with make([again, again, call("notes__list"), DONE]) as scene:
        scene.finish()
        scene.check_notes("first")
        scene.check_read(2, "first")
        scene.check_phases("unknown", "ok")
        yield scene


def killed(make):
    """Gavel is killed in a write and started again; it calls again, then reads."""
    gate = Gate()
    again = call("notes__add_slowly", text="first", seconds=20)
    with make([again, behind(gate, again), call("notes__list"), DONE]) as scene:
        wait_until(scene.lines, "the call is at work", SECONDS_MAX)
        scene.gavel.kill()
        gate.wait_reached(SECONDS_MAX)
        scene.gavel.start(60)
        gate.open()
        scene.finish()
        scene.check_notes("first")
        scene.check_read(2, "first")
        scene.check_phases("unknown", "ok")
        yield scene


def reload(make):
    """Another policy is put in force while it runs."""
    gate = Gate()
    second = behind(gate, call("notes__add", text="second"))
    with make([ADD, second, DONE]) as scene:
        scene.person("approve", scene.held(), "--yes")
        gate.wait_reached(SECONDS_MAX)
        text = POLICY.replace("daemon: ", CLOSED + "daemon: ")
        scene.gavel.config.write_text(scene.policy(text))
        scene.person("policy", "reload")
        gate.open()
        scene.finish()
        scene.check_notes("first")
        scene.check_read(1, "ask for a new list")
        scene.check_phases("ok", "aborted")
        yield scene


def stdio(make):
    """The server is wrapped (gavel mcp -- command); it writes, a person approves."""
    with make([call("add", text="first"), DONE], stdio=True) as scene:
        held = scene.held()
        scene.check_notes()
        scene.person("approve", held, "--yes")
        scene.finish()
        scene.check_notes("first")
        scene.check_read(0, "the note is added")
        scene.check_phases("ok")
        yield scene


def hook(make):
    """Its own shell: it reads a file, then removes a folder, which policy forbids."""
    with make(
        lambda scene: [
            lambda turn: scene.program.shell("cat keep/me.txt", turn),
            lambda turn: scene.program.shell("rm -rf keep", turn),
            DONE,
        ]
    ) as scene:
        scene.finish()
        scene.check((scene.keep / "me.txt").exists(), "the folder is still there")
        scene.check_read(0, "kept")
        scene.check_read(1, "move it to the trash instead")
        scene.check_phases("ok", "aborted")
        yield scene


def hook_edit(make):
    """Its own edits: a person approves one and denies another."""
    with make(
        lambda scene: [
            lambda turn: scene.program.write_file("one.txt", "made\n", turn),
            lambda turn: scene.program.write_file("two.txt", "made\n", turn),
            DONE,
        ],
        edits=True,
    ) as scene:
        one, two = (scene.program.workspace / name for name in ("one.txt", "two.txt"))
        held = scene.held()
        scene.check(not one.exists(), "nothing is written before")
        scene.person("approve", held, "--yes")
        wait_until(one.exists, "the file is written", SECONDS_MAX)
        scene.person("deny", scene.held(), "--reason", "one is enough")
        scene.finish()
        scene.check(one.read_text() == "made\n", "the file is as it was shown")
        scene.check(not two.exists(), "the other is not written")
        scene.check_read(1, "one is enough")
        scene.check_phases("ok", "aborted")
        yield scene


def hook_alone(make):
    """Its own shell while Gavel is down."""
    gate = Gate()
    with make(lambda scene: [behind_shell(gate, scene, "echo x > made.txt"), DONE]) as scene:
        gate.wait_reached(SECONDS_MAX)
        scene.gavel.kill()
        gate.open()
        scene.finish()
        made = scene.program.workspace / "made.txt"
        scene.check(not made.exists(), "the command did not run")
        scene.check_read(0, "Blocked")
        scene.gavel.start(60)
        scene.check_phases()
        yield scene


class Stranger:
    """Listens at a port, with another's certificate, and says yes to everything."""

    def __init__(self, directory, port):
        class Yes(BaseHTTPRequestHandler):
            def do_POST(self):
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        make_certificate(directory, "IP:127.0.0.1", "impostor", "stranger")
        tls.load_cert_chain(directory / "impostor.pem", directory / "impostor.key")
        self._server = ThreadingHTTPServer(("127.0.0.1", port), Yes)
        self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


def hook_http(make):
    """Its hooks over HTTP: as `hook`; then Gavel is down and another listens at its address."""
    gate = Gate()
    with make(
        lambda scene: [
            lambda turn: scene.program.shell("cat keep/me.txt", turn),
            lambda turn: scene.program.shell("rm -rf keep", turn),
            behind_shell(gate, scene, "echo x > made.txt"),
            DONE,
        ],
        http=True,
    ) as scene:
        gate.wait_reached(SECONDS_MAX)
        scene.gavel.kill()
        stranger = Stranger(scene.directory, scene.port)
        gate.open()
        scene.finish()
        stranger.close()
        scene.check((scene.keep / "me.txt").exists(), "the folder is still there")
        scene.check_read(0, "kept")
        scene.check_read(1, "move it to the trash instead")
        made = scene.program.workspace / "made.txt"
        scene.check(not made.exists(), "the command did not run")
        scene.check_read(2, "certificate")
        scene.gavel.start(60)
        scene.check_phases("ok", "aborted")
        yield scene


def behind_shell(gate, scene, command):
    return lambda turn: behind(gate, scene.program.shell(command, turn))


SCENARIOS = {
    "tools": tools,
    "read": read,
    "approved": approved,
    "denied": denied,
    "expired": nobody,
    "pending": pending,
    "gave-up": gave_up,
    "two-steps": two_steps,
    "cancelled": cancelled,
    "crash": crash,
    "killed": killed,
    "reload": reload,
    "stdio": stdio,
    "hook": hook,
    "hook-edit": hook_edit,
    "hook-alone": hook_alone,
    "hook-http": hook_http,
}


def concerns(name, program):
    """Whether the program has what the scenario is about."""
    return name != "hook-http" or program.set_up_http is not None


def play(name, program, binary):
    """What was recorded; Failed, TimeoutError and the like where it did not hold."""

    @contextlib.contextmanager
    def make(script, **options):
        scene = Scene(program, binary, script, **options)
        try:
            yield scene
        except TimeoutError as error:
            failed = Failed(str(error).splitlines()[0], scene.explain())
            failed.recorded = scene.recorded()
            raise failed from None
        except Failed as error:
            error.recorded = scene.recorded()
            raise
        finally:
            scene.stack.close()

    recorded = None
    for scene in SCENARIOS[name](make):
        recorded = scene.recorded()
    return recorded
