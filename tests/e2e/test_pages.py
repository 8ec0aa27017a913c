"""Listings of many servers, each of which pages by itself."""

import unittest

from support import CONFIG, EndToEnd

PAGED = """  other:
    command: [python3, "@HERE@/upstream.py"]
    environment: {UPSTREAM_PAGES: "2", UPSTREAM_RESOURCES: "b c d e", UPSTREAM_PROMPTS: "p q r"}
  third:
    command: [python3, "@HERE@/upstream.py"]
    environment: {UPSTREAM_PAGES: "3", UPSTREAM_RESOURCES: "third"}
rules:"""
LISTS = {
    "tools/list": "tools",
    "resources/list": "resources",
    "resources/templates/list": "resourceTemplates",
    "prompts/list": "prompts",
}


class Pages(EndToEnd):
    def names(self, client, method):
        reply = client.modern(method)
        self.assertNotIn("nextCursor", reply.result, reply.body)
        return [each["name"] for each in reply.result[LISTS[method]]]

    def test_all_pages_of_all_servers_are_one_listing(self):
        client = self.client(self.start(CONFIG.replace("rules:", PAGED)))
        tools = self.names(client, "tools/list")
        by_server = {name: [t for t in tools if t.startswith(name)] for name in ("box", "other")}
        self.assertGreater(len(by_server["box"]), 10)
        self.assertEqual(len(by_server["box"]), len(by_server["other"]))
        self.assertEqual(len(tools), len(set(tools)))
        self.assertEqual(
            sorted(self.names(client, "resources/list")),
            ["b", "c", "d", "e", "greeting", "third"],
        )
        self.assertEqual(
            self.names(client, "prompts/list"),
            ["box__greet", *(f"other__{p}" for p in ("greet", "p", "q", "r")), "third__greet"],
        )
        self.assertEqual(self.names(client, "resources/templates/list"), ["a", "b", "c"])
        # What stands on a later page alone can be had, too.
        read = client.modern("resources/read", {"uri": "test://e"})
        self.assertEqual(read.result["contents"][0]["uri"], "test://e", read.body)

    def test_cursors_without_end_are_cut_off_and_do_not_hurt_the_other_servers(self):
        for kind in ("endless", "circle"):
            with self.subTest(kind):
                bad = PAGED.replace('"2"', kind)
                gavel = self.daemon(CONFIG.replace("rules:", bad), name=kind).start()
                client = self.client(gavel)
                for method in LISTS:
                    found = client.modern(method)
                    # Once it is complete again, clients are to see it soon.
                    self.assertEqual(found.result["ttlMs"], 0, found.body)
                    names = [each["name"] for each in found.result[LISTS[method]]]
                    self.assertTrue(names)
                    self.assertFalse([name for name in names if name.startswith("other__")])
                alone = self.client(gavel, query="?server=other")
                reply = alone.modern("prompts/list")
                self.assertIn("without end", reply.error["message"], reply.body)
                said = gavel.process.err()
                self.assertIn("other is left out of prompts/list", said)
                self.assertIn("other pages tools/list without end", said)

    def test_a_cursor_that_nobody_gave_is_refused(self):
        gavel = self.start()
        modern, legacy = self.client(gavel), self.client(gavel)
        legacy.initialize()
        for method in LISTS:
            for ask in (modern.modern, legacy.legacy):
                for cursor in ("2", "", 7):
                    with self.subTest(method=method, cursor=cursor):
                        reply = ask(method, {"cursor": cursor})
                        self.assertEqual(reply.error["code"], -32602, reply.body)

    def test_how_long_a_list_may_be_kept_is_said(self):
        client = self.client(self.start())
        for method in LISTS:
            reply = client.modern(method)
            self.assertEqual(reply.result["ttlMs"], 5000)
            self.assertEqual(reply.result["cacheScope"], "private")
        # Nobody but its server knows how long a resource stays as it is; a legacy one never says.
        read = client.modern("resources/read", {"uri": "test://greeting"})
        self.assertEqual((read.result["ttlMs"], read.result["cacheScope"]), (0, "private"))


if __name__ == "__main__":
    unittest.main()
