"""The daemon beyond loopback: TLS with a certificate of its own, Host and Origin, and that without
TLS it does not start there."""

import json
import os
import socket
import sys
import unittest

from support import CONFIG, HERE, LEGACY, Client, EndToEnd, Gavel
from test_stdio import Wrapper

from lib.certificates import daemon_tls, make_daemon_certificates  # isort: skip

NAMES = "DNS:localhost,DNS:gavel.example"  # and no address
# Many TLS records.
LARGE = "grüß dich " * 4_000

ECHOES = """
  - {name: echoes, tools: ["*__echo"], verdict: allow, reason: an echo harms nobody}
"""
DAEMON = """
daemon:
  listen: "0.0.0.0:0"
  @TLS@
  hosts: [gavel.example]
"""


def daemon_in(directory):
    return DAEMON.replace("@TLS@", daemon_tls(directory))


class Tls(EndToEnd):
    def setUp(self):
        super().setUp()
        tls = make_daemon_certificates(self.directory, NAMES)
        self.gavel = Gavel(
            self.binary,
            self.directory / "gavel",
            self.config(CONFIG + ECHOES + daemon_in(self.directory)),
            listen="0.0.0.0:0",
            tls=tls,
        )
        self.addCleanup(self.gavel.stop)
        self.gavel.start()
        self.port = int(self.gavel.url.rsplit(":", 1)[1])

    def mcp(self, token=None):
        token = self.gavel.token("agent") if token is None else token
        return Client(f"{self.gavel.url}/mcp", token, tls=self.gavel.tls)

    def remote(self, url, **environment):
        """`gavel sessions` as from another machine, which has no state directory."""
        process = self.run_program(
            [self.binary, "sessions", "--json"],
            {
                "GAVEL_STATE": str(self.directory / "elsewhere"),
                "GAVEL_URL": url,
                "GAVEL_TOKEN": self.gavel.token("operator"),
                **environment,
            },
        )
        return process.code(), process.out() + process.err()

    def test_the_command_line_knows_its_own_daemon(self):
        self.assertEqual(self.gavel.url, f"https://127.0.0.1:{self.port}")
        self.assertEqual(self.gavel.ask("sessions")["sessions"], [])
        self.assertEqual(self.gavel.ask("policy", "show").get("error"), None)

    def test_a_call_needs_its_token(self):
        client = self.mcp()
        self.assertEqual(client.initialize().status, 200)
        reply = client.legacy("tools/call", {"name": "box__append", "arguments": {"text": "one"}})
        self.assertEqual(reply.text, "appended", reply.body)
        self.assertEqual(self.effects(), ["one"])
        reply = client.legacy("tools/call", {"name": "box__echo", "arguments": {"text": LARGE}})
        self.assertEqual(reply.text, LARGE)
        for token in ("", "wrong"):
            with self.subTest(token):
                self.assertEqual(self.mcp(token).modern("tools/list").status, 401)

    def test_every_endpoint_needs_a_token(self):
        for path in ("/mcp", "/v1/health", "/v1/sessions", "/v1/watch", "/v1/attach", "/", "/x"):
            for method in ("GET", "POST"):
                with self.subTest(f"{method} {path}"):
                    bare = Client(f"{self.gavel.url}{path}", "", tls=self.gavel.tls)
                    upgrade = {"Connection": "Upgrade", "Upgrade": "gavel-stdio"}
                    reply = bare.send({} if method == "POST" else None, method, upgrade)
                    self.assertEqual(reply.status, 401, reply.body)

    def test_host_and_origin_are_checked(self):
        name = f"gavel.example:{self.port}"
        for headers, status in (
            ({"Host": name}, 200),
            ({"Host": name, "Origin": "https://gavel.example"}, 200),
            ({"Host": name, "Origin": "http://gavel.example"}, 403),
            ({"Host": name, "Origin": "https://evil.example"}, 403),
            ({"Host": "evil.example"}, 403),
            ({"Host": f"0.0.0.0:{self.port}"}, 403),
        ):
            with self.subTest(headers):
                self.assertEqual(self.mcp().modern("tools/list", headers=headers).status, status)

    def test_gavel_mcp_goes_over_tls(self):
        wrapper = Wrapper(
            [self.binary, "mcp", "--state", self.gavel.state, "--",
             sys.executable, HERE / "upstream.py"],
            {**os.environ, "UPSTREAM_FILE": str(self.file)},
            self.directory,
        )
        self.addCleanup(wrapper.kill)
        self.assertEqual(wrapper.initialize()["result"]["protocolVersion"], LEGACY)
        tools = wrapper.ask(2, "tools/list")["result"]["tools"]
        echo = next(each["name"] for each in tools if each["name"].endswith("echo"))
        for number in range(3, 8):
            call = {"name": echo, "arguments": {"text": f"{number} {LARGE}"}}
            answer = wrapper.ask(number, "tools/call", call)
            self.assertEqual(answer["result"]["content"][0]["text"], f"{number} {LARGE}")
        self.assertEqual(wrapper.close(), 0)
        session = self.gavel.api("GET", "/v1/sessions")["sessions"][0]["session"]
        told = json.dumps(self.gavel.transcript(session), ensure_ascii=False)
        self.assertGreater(len(told), 5 * len(LARGE))

    def test_gavel_run_gives_the_agent_what_it_needs(self):
        shown = self.run_program(
            [*self.gavel.through("work"), sys.executable, "-c",
             "import json, os; print(json.dumps(dict(os.environ)))"]
        )
        environment = json.loads(shown.out())
        self.assertTrue(environment["GAVEL_MCP_URL"].startswith("https://"), environment)
        self.assertEqual(environment["GAVEL_CA"], str(self.directory / "chain.pem"))
        nested = self.run_program([*self.gavel.through("work"), self.binary, "tools", "--json"])
        self.assertEqual(nested.code(), 0, nested.err())

    def test_from_elsewhere_the_name_and_its_authority_count(self):
        ca = str(self.directory / "ca.pem")
        code, said = self.remote(f"https://localhost:{self.port}", GAVEL_CA=ca)
        self.assertEqual(code, 0, said)
        for url, environment in (
            (f"https://localhost:{self.port}", {}),
            (f"https://localhost:{self.port}", {"GAVEL_CA": str(self.directory / "stranger.pem")}),
            (f"https://127.0.0.1:{self.port}", {"GAVEL_CA": ca}),
        ):
            with self.subTest(f"{url} {environment}"):
                code, said = self.remote(url, **environment)
                self.assertEqual(code, 7, said)
                self.assertIn("is not trusted", said)

    def test_a_daemon_that_shows_another_certificate_is_not_ours(self):
        record = json.loads((self.gavel.state / "daemon.json").read_text())
        for other in ("stranger.pem", "ca.pem"):
            with self.subTest(other):
                record["certificate"] = str(self.directory / other)
                (self.gavel.state / "daemon.json").write_text(json.dumps(record))
                code, _, said = self.gavel.cli("sessions")
                self.assertEqual(code, 7, said)
                self.assertIn("is not trusted", said)

    def test_plain_text_gets_nothing_and_harms_nothing(self):
        token = self.gavel.token("operator")
        request = f"GET /v1/health HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        for said in (f"{request}\r\n".encode(), b"\x16\x03\x01" + b"\xff" * 4096, b"\n" * 70_000):
            with socket.create_connection(("127.0.0.1", self.port), timeout=20) as plain:
                heard = b""
                try:
                    plain.sendall(said)
                    while block := plain.recv(4096):
                        heard += block
                except ConnectionError:
                    pass
                self.assertNotIn(b"HTTP", heard)
                self.assertNotIn(b"ok", heard)
        self.assertEqual(self.gavel.cli("sessions")[0], 0)


class Refusals(EndToEnd):
    def up(self, text, *options):
        (self.directory / "gavel.yaml").write_text(text)
        process = self.run_program(
            [self.binary, "up", "--config", self.directory / "gavel.yaml",
             "--state", self.directory / "state", *options]
        )
        return process.code(), process.err()

    def test_beyond_loopback_without_tls_it_does_not_start(self):
        code, said = self.up("servers: {}\n", "--listen", "0.0.0.0:0")
        self.assertEqual(code, 2, said)
        self.assertIn("daemon.tls", said)
        code, said = self.up('daemon:\n  listen: "0.0.0.0:0"\n')
        self.assertEqual(code, 2, said)
        self.assertIn("gavel.yaml:2:11: daemon.listen: 0.0.0.0 is not on loopback", said)
        self.assertFalse((self.directory / "state" / "daemon.json").exists())

    def test_policy_check_names_the_half_that_is_missing(self):
        file = self.directory / "half.yaml"
        file.write_text("daemon:\n  tls: {certificate: /c.pem}\n")
        process = self.run_program([self.binary, "policy", "check", file])
        self.assertEqual(process.code(), 2, process.err())
        self.assertIn("half.yaml:2:8: daemon.tls: `key` is missing", process.out() + process.err())

    def test_a_key_that_others_can_read_is_refused(self):
        make_daemon_certificates(self.directory, NAMES)
        (self.directory / "server.key").chmod(0o644)
        code, said = self.up(daemon_in(self.directory))
        self.assertEqual(code, 2, said)
        self.assertIn("server.key: mode 0644", said)


if __name__ == "__main__":
    unittest.main()
