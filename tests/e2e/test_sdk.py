"""The official MCP SDK, an unmodified client of the handshake line, through `gavel run`."""

import json
import unittest

from support import HERE, ROOT, EndToEnd

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

    def run_script(self, gavel):
        program = self.run_program(
            [*gavel.through("sdk"), "node", HERE / "sdk_client.mjs"], {"PEERS": str(PEERS)}
        )
        self.assertEqual(program.code(), 0, program.tail())
        return json.loads(program.out())


if __name__ == "__main__":
    unittest.main()
