"""Servers that break the protocol: what they say is no answer where it cannot be one, nothing of it
is taken for another call's, and the next call is answered."""

import json
import threading
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from support import LEGACY, MODERN, EndToEnd, wait_until

DEFAULTS = "defaults: {read: allow, write: allow, destructive: allow, irreversible: allow}\n"
MEMORY_MB = 450  # what a flood may leave behind: a build with sanitizers keeps what was freed


def resident_mb(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0


class Asking(EndToEnd):
    def another(self, text):
        """A daemon of its own in each round of a test."""
        if getattr(self, "gavel", None):
            self.gavel.stop()
        self.rounds = getattr(self, "rounds", 0) + 1
        return self.daemon(text, f"gavel-{self.rounds}").start()

    def ask(self, tool, text="x", session="work", server="bad"):
        call = {"name": f"{server}__{tool}", "arguments": {"text": text}}
        return self.client(self.gavel, session).modern("tools/call", call)

    def failed(self, reply):
        """No result that an agent could take for success; and it says something."""
        self.assertLess(reply.status, 500, reply.body[:500])
        if reply.error:
            self.assertTrue(reply.error["message"], reply.body)
        else:
            self.assertTrue(reply.result["isError"], reply.body[:500])
            self.assertTrue(reply.text, reply.body[:500])
            self.assertEqual(reply.result.get("resultType"), "complete", reply.body[:500])

    def works(self):
        count = iter(range(1000))

        def echoed():
            text = f"alive {next(count)}"
            return self.ask("echo", text, "after").text == text

        wait_until(echoed, "the server works", 30, every=0.2)
        self.assertEqual(self.gavel.api("GET", "/v1/health")["status"], "ok")


class OverStdio(Asking):
    """Every way of bad_server.py, in both eras."""

    def over(self, era, timeout="2s", reads=()):
        return self.another(f"""
servers:
  bad:
    command: [python3, "@HERE@/bad_server.py", "{era}"]
    environment: {{UPSTREAM_FILE: "@FILE@"}}
    timeout: {timeout}
    tools: {{{", ".join(f"{name}: {{effect: read}}" for name in reads)}}}
{DEFAULTS}""")

    def test_what_is_no_answer_is_none(self):
        for era in ("legacy", "modern"):
            self.gavel = self.over(era)
            for tool in ("both", "neither", "no_version", "null_id", "result_list", "result_null"):
                with self.subTest(tool, era=era):
                    self.failed(self.ask(tool))
                    self.works()

    def test_results_that_nobody_may_be_given(self):
        tools = ("unheard_of", "asks_nothing", "asks_undeclared", "asks_odd")
        for reads in (tools, ()):
            self.gavel = self.over("modern", reads=reads)
            for tool in tools:
                with self.subTest(tool, reads=bool(reads)):
                    self.failed(self.ask(tool))
                    self.works()

    def test_half_a_message(self):
        for tool in ("half", "half_and_end"):
            with self.subTest(tool):
                self.gavel = self.over("legacy")
                self.failed(self.ask(tool))
                self.works()

    def test_the_first_of_two_answers_counts(self):
        self.gavel = self.over("modern")
        self.assertEqual(self.ask("twice").text, "right")
        self.assertEqual(self.ask("write_twice").text, "first")
        for number in range(5):
            self.assertEqual(self.ask("echo", str(number)).text, str(number))
        self.assertEqual(self.effects(), ["written"])
        codes = [each["outcome"] for each in self.gavel.of_kind("work", "outcome")]
        self.assertEqual(codes, ["ok"] * 7)

    def test_answers_under_other_ids_are_nobodys(self):
        self.gavel = self.over("legacy")
        for tool in ("early", "as_text"):
            with self.subTest(tool):
                self.assertEqual(self.ask(tool).text, "right")
                for number in range(5):
                    text = f"{tool} {number}"
                    self.assertEqual(self.ask("echo", text).text, text)

    def test_a_flood_of_notifications_is_read_and_not_kept(self):
        for era in ("legacy", "modern"):
            self.gavel = self.over(era, timeout="60s")
            self.ask("echo")
            before = resident_mb(self.gavel.process.pid)
            with self.subTest(era):
                self.assertEqual(self.ask("notes").text, "right")
                self.assertLess(resident_mb(self.gavel.process.pid) - before, MEMORY_MB)

    def test_a_flood_of_questions_is_refused(self):
        for era in ("legacy", "modern"):
            self.gavel = self.over(era, timeout="30s")
            with self.subTest(era):
                self.assertEqual(self.ask("questions").text, "right")
                self.works()

    def test_names_that_nobody_could_call_are_not_listed(self):
        self.gavel = self.over("modern")
        client = self.client(self.gavel, "work")
        names = [tool["name"] for tool in client.modern("tools/list").result["tools"]]
        self.assertIn("bad__echo", names)
        for name in names:
            self.assertRegex(name, r"^bad__.+$")

    def test_a_server_that_comes_back_in_the_other_era(self):
        era = self.directory / "era"
        era.write_text("legacy")
        self.gavel = self.over(era)
        for number, other in enumerate(("modern", "legacy", "modern")):
            with self.subTest(other, number=number):
                self.works()
                self.ask("change_era", other, session=f"round-{number}")
                self.works()
                upstream = self.gavel.api("GET", "/v1/upstreams")["upstreams"][0]
                self.assertEqual(upstream["era"], MODERN if other == "modern" else LEGACY)


class Scripted(BaseHTTPRequestHandler):
    """An endpoint whose answers to tools/call are bytes that `script` makes."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        params = message.get("params", {})
        modern = "io.modelcontextprotocol/protocolVersion" in params.get("_meta", {})
        method = message.get("method")
        if modern != (server.era == "modern"):
            gone = not modern and "Mcp-Session-Id" in self.headers
            code = -32020 if server.era == "modern" else -32000
            self.say(404 if gone else 400,
                     {"id": message.get("id"), "error": {"code": code, "message": "era"}})
        elif "id" not in message or method is None:
            self.send_response(202)
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif method == "server/discover":
            self.say(200, {"id": message["id"], "result": {
                "resultType": "complete", "supportedVersions": [MODERN],
                "capabilities": {"tools": {}}, "ttlMs": 0, "cacheScope": "private"}})
        elif method == "initialize":
            self.say(200, {"id": message["id"], "result": {
                "protocolVersion": LEGACY, "capabilities": {"tools": {}},
                "serverInfo": {"name": "scripted", "version": "1"}}}, server.session)
        elif method == "tools/list":
            tools = [{"name": name, "inputSchema": {"type": "object"}}
                     for name in ("echo", *server.script)]
            self.say(200, {"id": message["id"], "result": {
                "resultType": "complete", "tools": tools, "ttlMs": 600_000,
                "cacheScope": "private"}})
        elif params["name"] == "echo":
            self.say(200, {"id": message["id"], "result": right(params["arguments"]["text"])})
        else:
            self.close_connection = True
            for piece in server.script[params["name"]](message["id"]):
                try:
                    self.wfile.write(piece)
                except OSError:
                    return

    def do_GET(self):
        self.server.followed.append(self.path)
        self.send_response(405)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def say(self, status, message, session=None):
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if session:
            self.send_header("Mcp-Session-Id", session)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def right(text):
    return {"resultType": "complete", "content": [{"type": "text", "text": text}]}


def answer(number, result):
    return json.dumps({"jsonrpc": "2.0", "id": number, "result": result}).encode()


def whole(body, *lines, kind="application/json", status="200 OK", length=None):
    head = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", *lines,
            f"Content-Length: {len(body) if length is None else length}", "", ""]
    return "\r\n".join(head).encode() + body


STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


def event(data):
    return b"data: " + data + b"\n\n"


def flood(piece, megabytes):
    yield STREAM
    for _ in range(megabytes * (1 << 20) // len(piece)):
        yield piece


WRONG = right("wrong")
NO_ANSWER = {
    "half_a_body": lambda n: [whole(answer(n, WRONG)[:-9], length=500)],
    "half_an_event": lambda n: [STREAM, b"data: " + answer(n, WRONG)],
    "no_event": lambda n: [STREAM, b": nothing\n\n"],
    "a_page": lambda n: [whole(b"<html>log in</html>", kind="text/html")],
    "accepted": lambda n: [whole(b"", status="202 Accepted")],
    "empty": lambda n: [whole(b"")],
    "another_id": lambda n: [whole(answer("nobody", WRONG))],
    "elsewhere": lambda n: [whole(b"", "Location: /elsewhere", status="302 Found")],
    "elsewhere_again": lambda n: [whole(b"", "Location: /elsewhere", status="307 Temporary")],
    "packed": lambda n: [whole(b"\x1f\x8b\x08nonsense", "Content-Encoding: gzip")],
    "a_long_head": lambda n: [whole(answer(n, WRONG), "X-Pad: " + "x" * (1 << 20))],
    "no_http": lambda n: [b"\x16\x03\x01 nonsense\r\n\r\n"],
    "stalls": lambda n: stall(whole(answer(n, WRONG))[:60]),
    "stalls_in_a_stream": lambda n: stall(STREAM + b": wait\n\n"),
    "unheard_of": lambda n: [whole(answer(n, {"resultType": "surprise", "content": []}))],
}
FLOODS = {
    "comments": lambda n: flood(b": " + b"x" * 65_000 + b"\n\n", 64),
    "one_line": lambda n: flood(b"x" * (1 << 20), 64),
    "one_event": lambda n: flood(b"data: " + b"x" * 65_000 + b"\n", 64),
    "notes": lambda n: flood(event(
        b'{"jsonrpc":"2.0","method":"notifications/message","params":{"data":"' +
        b"x" * 30_000 + b'"}}'), 64),
}
ANSWERED = {
    "twice": lambda n: [STREAM, event(answer(n, right("right"))), event(answer(n, WRONG))],
    "after_others": lambda n: [STREAM, event(answer(f"{n}0", WRONG)), event(answer(None, WRONG)), event(b"nonsense"),
                               event(answer(n, right("right")))],
}
STALLED = threading.Event()


def stall(piece):
    yield piece
    STALLED.wait(30)


class OverHttp(Asking):
    def over(self, script, era="modern", session=None):
        self.web = ThreadingHTTPServer(("127.0.0.1", 0), Scripted)
        self.web.daemon_threads = True
        self.web.script, self.web.era, self.web.session = script, era, session
        self.web.followed = []
        threading.Thread(target=self.web.serve_forever, daemon=True).start()
        self.addCleanup(self.web.server_close)
        self.addCleanup(self.web.shutdown)
        return self.another(f"""
servers:
  bad:
    url: "http://127.0.0.1:{self.web.server_address[1]}/mcp"
    timeout: 3s
{DEFAULTS}""")

    def test_what_is_no_answer_is_none(self):
        self.gavel = self.over(NO_ANSWER)
        for tool in NO_ANSWER:
            with self.subTest(tool):
                self.failed(self.ask(tool))
                self.works()
        self.assertNotIn("/elsewhere", self.web.followed)

    def test_a_write_without_an_answer_is_unknown(self):
        self.gavel = self.over(NO_ANSWER)
        for tool in ("half_a_body", "half_an_event", "another_id"):
            with self.subTest(tool):
                self.assertIn("unknown", self.ask(tool).text)

    def test_floods_are_bounded(self):
        self.gavel = self.over(FLOODS)
        self.ask("echo")
        before = resident_mb(self.gavel.process.pid)
        for tool in FLOODS:
            with self.subTest(tool):
                self.failed(self.ask(tool))
                self.works()
                self.assertLess(resident_mb(self.gavel.process.pid) - before, MEMORY_MB)

    def test_the_answer_is_found_among_others(self):
        self.gavel = self.over(ANSWERED)
        for tool in ANSWERED:
            with self.subTest(tool):
                self.assertEqual(self.ask(tool).text, "right")
                self.works()

    def test_a_session_id_that_is_no_header(self):
        for session in ("two words", "caf\u00e9", "x" * 20_000):
            with self.subTest(session[:10]):
                self.gavel = self.over({}, "legacy", session)
                reply = self.ask("echo", "hi")
                self.assertLess(reply.status, 500, reply.body)
                self.assertEqual(self.gavel.api("GET", "/v1/health")["status"], "ok")

    def test_a_server_whose_sessions_end_with_its_era(self):
        self.gavel = self.over({}, "legacy", "session-1")
        for era in ("legacy", "modern"):
            self.web.era = era
            with self.subTest(era):
                self.works()

    def test_a_server_without_sessions_that_comes_back_in_the_other_era(self):
        self.gavel = self.over({})
        for era in ("modern", "legacy", "modern"):
            self.web.era = era
            with self.subTest(era):
                self.works()
                upstream = self.gavel.api("GET", "/v1/upstreams")["upstreams"][0]
                self.assertEqual(upstream["era"], MODERN if era == "modern" else LEGACY)


if __name__ == "__main__":
    unittest.main()
