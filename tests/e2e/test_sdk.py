"""The official MCP SDK, an unmodified client of the handshake line, through `gavel run`."""

import json
import os
import unittest

from support import CONFIG, HERE, ROOT, EndToEnd, Process, wait_until

PEERS = ROOT / "build/peers"


@unittest.skipUnless(
    (PEERS / "node_modules/@modelcontextprotocol/sdk").exists(),
    "the SDK is not installed: run tests/peers/install.sh",
)
class OfficialSdk(EndToEnd):
    def test_list_call_refusal_and_rerun(self):
        gavel = self.start()
        lines = self.run_script(gavel)
        self.assertIn("box__echo", lines["tools"])
        self.assertEqual(lines["echo"], "from the SDK")
        self.assertEqual(lines["append"], "appended")
        self.assertEqual(lines["count"], {"n": 3})
        self.assertTrue(lines["unknown"])
        self.assertEqual(self.effects(), ["by the SDK"])
        again = self.run_script(gavel)
        self.assertEqual(again["append"], "appended")
        self.assertEqual(self.effects(), ["by the SDK"], "the rerun is answered from the log")

    def test_a_call_whose_daemon_is_killed_is_answered_by_the_next(self):
        gavel = self.start(CONFIG.replace("verdict: allow", "verdict: ask"))
        gavel.listen = gavel.url.split("//")[1]  # as the client knows it
        program = Process(
            ["node", HERE / "sdk_resumption.mjs"],
            log=self.directory / "resumption",
            environment={
                "PATH": os.environ["PATH"],
                "PEERS": str(PEERS),
                "GAVEL_MCP_URL": f"{gavel.url}/mcp",
                "GAVEL_TOKEN": gavel.token("agent"),
            },
        )
        self.addCleanup(program.kill)
        wait_until(gavel.pending, "the call is held")
        wait_until(lambda: "stream" in program.out(), "its stream has an id")
        gavel.kill()
        gavel.start()
        (held,) = wait_until(gavel.pending, "the call is still held")
        gavel.api(
            "POST",
            f"/v1/sessions/{held['session']}/intents/{held['intent']}/vote",
            {"verdict": "allow", "reason": "fine", "digest": held["digest"]},
        )
        self.assertEqual(program.wait(60), 0, program.tail())
        self.assertIn('"appended"', program.out())
        self.assertEqual(self.effects(), ["once"])

    def run_script(self, gavel):
        program = self.run_program(
            [*gavel.through("sdk"), "node", HERE / "sdk_client.mjs"], {"PEERS": str(PEERS)}
        )
        self.assertEqual(program.code(), 0, program.tail())
        return json.loads(program.out())


if __name__ == "__main__":
    unittest.main()
