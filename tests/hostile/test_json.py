"""JSON that two readers would read differently, or that should end a reader: refused everywhere,
and what is accepted has one meaning."""

import json
import unittest

from world import Hostile

CALL = '{"tool":"box__append","arguments":{"text":"json"},"wait_ms":0}'
# Each is a whole body of a proposal.
BODIES = {
    "duplicate tool": '{"tool":"box__echo","tool":"box__append","arguments":{"text":"x"}}',
    "duplicate by escape": '{"tool":"box__echo","\\u0074ool":"box__append","arguments":{}}',
    "duplicate argument": '{"tool":"box__append","arguments":{"text":"a","text":"honest 0"}}',
    "duplicate arguments": '{"tool":"box__append","arguments":{},"arguments":{"text":"honest 0"}}',
    "duplicate deep": '{"tool":"box__append","arguments":{"text":"a","x":[{"y":{"z":1,"z":2}}]}}',
    "lone surrogate": '{"tool":"box__append","arguments":{"text":"\\ud800"}}',
    "lone low surrogate": '{"tool":"box__append","arguments":{"text":"\\udc00\\ud800"}}',
    "surrogate in a key": '{"tool":"box__append","arguments":{"\\ud83d":1}}',
    "number over a double": '{"tool":"box__append","arguments":{"text":1e400}}',
    "integer over 64 bits": '{"tool":"box__append","arguments":{"text":18446744073709551616}}',
    "NaN": '{"tool":"box__append","arguments":{"text":NaN}}',
    "infinity": '{"tool":"box__append","arguments":{"text":-Infinity}}',
    "hexadecimal": '{"tool":"box__append","arguments":{"text":0x10}}',
    "leading zero": '{"tool":"box__append","arguments":{"text":01}}',
    "plus": '{"tool":"box__append","arguments":{"text":+1}}',
    "comment": '{"tool":"box__append",/*x*/"arguments":{"text":"x"}}',
    "trailing comma": '{"tool":"box__append","arguments":{"text":"x"},}',
    "single quotes": "{'tool':'box__append'}",
    "byte order mark": "\ufeff" + CALL,
    "zero byte in front": "\x00" + CALL,
    "zero byte behind": CALL + "\x00",
    "zero byte inside": CALL.replace("json", "js\x00on"),
    "line feed in a text": CALL.replace("json", "js\non"),
    "two values": CALL + CALL,
    "list": f"[{CALL}]",
    "text": json.dumps(CALL),
    "deep list": '{"tool":"box__append","arguments":{"text":' + "[" * 5000 + "]" * 5000 + "}}",
    "deep object": '{"tool":"box__append","arguments":' + '{"a":' * 5000 + "1" + "}" * 5001,
    "arguments of another type": '{"tool":"box__append","arguments":[{"text":"honest 0"}]}',
    "arguments as a text": '{"tool":"box__append","arguments":"{\\"text\\":\\"honest 0\\"}"}',
    "tool of another type": '{"tool":["box__append"],"arguments":{"text":"x"}}',
}
BYTES = {
    "overlong": b'{"tool":"box__append","arguments":{"text":"\xc0\xae"}}',
    "surrogate in UTF-8": b'{"tool":"box__append","arguments":{"text":"\xed\xa0\x80"}}',
    "beyond Unicode": b'{"tool":"box__append","arguments":{"text":"\xf4\x90\x80\x80"}}',
    "UTF-16": CALL.encode("utf-16"),
    "UTF-32": CALL.encode("utf-32"),
    "cut": CALL.encode()[:-9] + b"\xe2\x82",
}


class Json(Hostile):
    def send(self, path, body, session="json"):
        client = self.client(session)
        client._path = path
        return client.send(body)

    def test_proposals(self):
        everything = {**{k: v.encode() for k, v in BODIES.items()}, **BYTES}
        for name, body in everything.items():
            with self.subTest(name):
                reply = self.send("/v1/sessions/json/intents", body)
                self.assertIn(reply.status, (400, 413), reply.body)
                message = json.loads(reply.body)["error"]["message"]
                self.assertTrue(message and len(message) < 2000, message)
        self.assertEqual(self.gavel.pending("json"), [])

    def test_messages(self):
        everything = {**{k: v.encode() for k, v in BODIES.items()}, **BYTES}
        for name, body in everything.items():
            if not body.startswith(b'{"tool"'):
                continue
            message = (b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":'
                       + body.replace(b'"tool"', b'"name"') + b"}")
            with self.subTest(name):
                reply = self.send("/mcp?session=json-mcp", message)
                failed = reply.status >= 400 or reply.error or reply.result.get("isError")
                self.assertTrue(failed, reply.body)
        self.assertEqual(self.gavel.pending("json-mcp"), [])

    def test_messages_that_say_two_things(self):
        params = '"params":{"name":"box__append","arguments":{"text":"honest 0"}}'
        for name, body in {
            "two methods": f'{{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call",{params}}}',
            "two ids": f'{{"jsonrpc":"2.0","id":1,"id":2,"method":"tools/call",{params}}}',
            "two params": f'{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{}},{params}}}',
            "request and response": f'{{"jsonrpc":"2.0","id":1,"method":"tools/call","result":{{}},'
                                    f"{params}}}",
            "result and error": '{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1}}',
            "fraction as id": f'{{"jsonrpc":"2.0","id":1.5,"method":"tools/call",{params}}}',
            "null as id": f'{{"jsonrpc":"2.0","id":null,"method":"tools/call",{params}}}',
            "another version": f'{{"jsonrpc":2.0,"id":1,"method":"tools/call",{params}}}',
        }.items():
            with self.subTest(name):
                reply = self.send("/mcp?session=json-two", body)
                self.assertTrue(reply.status >= 400 or reply.error, reply.body)

    def test_one_meaning_for_one_digest(self):
        """Other spellings of the same arguments are the same call, other arguments never are."""
        def digest(arguments):
            body = f'{{"tool":"box__append","arguments":{arguments},"wait_ms":0,"key":"{self.keys}"}}'
            self.keys += 1
            reply = self.send("/v1/sessions/digests/intents", body)
            self.assertEqual(reply.status, 200, reply.body)
            intent = json.loads(reply.body)["intent"]
            found = self.gavel.api("GET", f"/v1/sessions/digests/intents/{intent}")
            return found["entries"][0]["digest"]

        self.keys = 0
        same = ('{"text":"a\u00e9"}', '{ "text" : "\\u0061\\u00e9" }', '{"\\u0074ext":"a\\u00E9"}')
        self.assertEqual(len({digest(each) for each in same}), 1)
        # Neither Unicode normalisation nor anything else joins what differs.
        apart = ('{"text":"a\u00e9"}', '{"text":"ae\u0301"}', '{"text":"\u0430\u00e9"}',
                 '{"text":"a\u00e9 "}', '{"text":"A\u00e9"}', '{"text":"a\u00e9\\u0000"}',
                 '{"text":"a\u00e9\u200b"}')
        self.assertEqual(len({digest(each) for each in apart}), len(apart))

    def test_bodies_of_other_doors(self):
        for path in ("/v1/halts", "/v1/resume", "/v1/policy/explain"):
            for body in ('{"scope":"everything","scope":"session/x"}', "[]", "null", '"x"', "{",
                         '{"scope":"session/\\ud800"}', '{"Scope":"session/x"}',
                         '{"scope\\u0000":"x"}'):
                with self.subTest(f"{path} {body}"):
                    client = self.client(role="operator")
                    client._path = path
                    self.assertIn(client.send(body).status, (400, 404))
        self.assertEqual(self.gavel.api("GET", "/v1/halts")["halts"], [])


if __name__ == "__main__":
    unittest.main()
