"""Processes die at any moment; what is on disk decides."""

import contextlib
import http.client
import json
import resource
import socket
import threading
import unittest
from queue import Queue

from support import CONFIG, EndToEnd, Refused, wait_until


class KillAndRestart(EndToEnd):
    def setUp(self):
        super().setUp()
        self.gavel = self.start()

    def append(self, text, epoch=1, tool="box__append", **more):
        return self.gavel.propose("work", tool, {"text": text, **more}, epoch=epoch)

    def test_what_was_done_is_still_known(self):
        for number in range(20):
            self.append(f"line {number}")
        before = self.gavel.entries("work")
        self.gavel.kill()
        self.gavel.start()
        after = self.gavel.entries("work")
        self.assertEqual(after[: len(before)], before)
        epoch = self.gavel.api("POST", "/v1/sessions/work/wake", {"reason": "restart"})["epoch"]
        answer = self.append("line 7", epoch=epoch)
        self.assertTrue(answer["replayed"], answer)
        self.assertEqual(len(self.effects()), 20)

    def test_a_call_in_flight_becomes_unknown_and_is_not_repeated(self):
        threading.Thread(target=self._quietly, args=("once", 20), daemon=True).start()
        wait_until(self.effects, "the effect happened")
        self.gavel.kill()
        self.gavel.start()
        woken = self.gavel.api("POST", "/v1/sessions/work/wake", {"reason": "restart"})
        wait_until(lambda: self.gavel.session("work")["unknown"] == 1, "the outcome is unknown")
        answer = self.gavel.propose(
            "work",
            "box__append_slowly",
            {"text": "once", "seconds": 20},
            epoch=woken["epoch"],
            wait_ms=500,
        )
        self.assertNotEqual(answer["kind"], "result", answer)
        self.assertIn("unknown", answer["text"])
        self.assertEqual(self.effects(), ["once"])

        pending = self.gavel.pending("work")[0]
        self.gavel.api(
            "POST",
            f"/v1/sessions/work/intents/{pending['intent']}/resolve",
            {"kind": "ok", "reason": "I looked"},
        )
        answer = self.gavel.propose(
            "work", "box__append_slowly", {"text": "once", "seconds": 20}, epoch=woken["epoch"]
        )
        self.assertEqual(answer["kind"], "result", answer)
        self.assertEqual(self.effects(), ["once"])

    def test_an_mcp_session_goes_on_and_its_call_is_not_repeated(self):
        client = self.client(self.gavel)
        client.initialize("2025-06-18")
        slow = {"name": "box__append_slowly", "arguments": {"text": "once", "seconds": 20}}
        threading.Thread(target=self._ignoring, args=(client.legacy, "tools/call", slow)).start()
        wait_until(self.effects, "the effect happened")
        self.gavel.kill()
        self.gavel.start()
        # The daemon has another port now, and the client what it had.
        later = self.client(self.gavel)
        later.session, later.version = client.session, client.version
        reply = later.legacy("tools/call", slow)
        self.assertEqual(reply.status, 200, reply.body)
        self.assertIn("unknown whether", reply.text)
        self.assertEqual(self.effects(), ["once"])
        ended = {"Mcp-Session-Id": client.session}
        self.assertEqual(later.send(None, method="DELETE", headers=ended).status, 204)
        self.assertEqual(later.legacy("tools/list").status, 404)

    def _quietly(self, text, seconds):
        arguments = {"text": text, "seconds": seconds}
        self._ignoring(self.gavel.propose, "work", "box__append_slowly", arguments, 1)

    def _ignoring(self, act, *arguments):
        """The daemon dies under it."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            act(*arguments)

    def test_the_upstream_dies_with_the_daemon(self):
        self.append("x")
        pid = self.gavel.api("GET", "/v1/upstreams")["upstreams"][0]["pid"]
        self.assertGreater(pid, 0)
        self.gavel.kill()
        wait_until(lambda: not _alive(pid), "the upstream is gone", 10)

    def test_many_kills_lose_nothing(self):
        wanted = []
        for round_number in range(4):
            epoch = self.gavel.api("POST", "/v1/sessions/work/wake", {"reason": "round"})["epoch"]
            for number in range(5):
                text = f"{round_number}.{number}"
                self.append(text, epoch=epoch)
                wanted.append(text)
            self.gavel.kill()
            self.gavel.start()
        self.assertEqual(self.effects(), wanted)
        self.assertEqual(self.gavel.session("work")["counters"]["ok"], 20)

    def test_a_halt_outlives_the_daemon(self):
        self.gavel.api(
            "POST", "/v1/halts", {"scope": "everything", "mode": "halt", "reason": "stop"}
        )
        self.gavel.kill()
        self.gavel.start()
        answer = self.append("no")
        self.assertEqual((answer["kind"], answer["code"]), ("refused", "halted"), answer)
        self.assertEqual(self.effects(), [])

    def test_a_held_call_outlives_the_daemon_and_can_be_approved(self):
        config = self.gavel.config.read_text().replace("verdict: allow", "verdict: ask")
        self.gavel.stop()
        self.gavel.config.write_text(config)
        self.gavel.start()
        answer = self.gavel.propose("work", "box__append", {"text": "later"}, epoch=1, wait_ms=100)
        self.assertEqual(answer["kind"], "pending", answer)
        self.gavel.kill()
        self.gavel.start()
        held = self.gavel.wait_pending("work")
        self.gavel.api(
            "POST",
            f"/v1/sessions/work/intents/{held['intent']}/vote",
            {"verdict": "allow", "reason": "fine", "digest": held["digest"]},
        )
        wait_until(self.effects, "the approved call is done")
        self.assertEqual(self.effects(), ["later"])

    def test_a_stop_in_order_ends_with_zero(self):
        self.append("x")
        self.gavel.process._popen.terminate()
        self.assertEqual(self.gavel.process.wait(20), 0, self.gavel.process.tail())
        self.assertFalse((self.gavel.state / "daemon.json").exists())

    def test_verify_finds_the_log_whole(self):
        for number in range(5):
            self.append(f"line {number}")
        self.gavel.stop()
        code, out, err = self.gavel.cli("verify")
        self.assertEqual(code, 0, err or out)


class BrokenStreams(EndToEnd):
    """A client of the handshake line comes back for the answer of a call, by GET."""

    def setUp(self):
        super().setUp()
        self.config_text = CONFIG.replace("timeout: 2s", "timeout: 60s")

    def begin(self, tool, arguments):
        """Calls; the first event of the answer's stream has come when it returns."""
        self.mcp = self.client(self.gavel)
        self.mcp.initialize()
        params = {"name": tool, "arguments": arguments}
        call = {"jsonrpc": "2.0", "id": "the call", "method": "tools/call", "params": params}
        stream = self.open("POST", self.mcp, json.dumps(call))
        self.assertEqual(stream.getheader("Content-Type"), "text/event-stream")
        while not (line := stream.readline()).startswith(b"id: "):
            self.assertTrue(line, "the stream has an id")
        self.assertEqual(stream.readline(), b"data: \n")
        self.last_event_id = line[4:].decode().strip()

    def open(self, method, client, body=None, headers=()):
        connection = http.client.HTTPConnection(self.gavel.url.split("//")[1], timeout=60)
        headers = {
            "Authorization": f"Bearer {self.gavel.token('agent')}",
            "Accept": "application/json, text/event-stream",
            "Content-Type": "application/json",
            **client._legacy(),
            **dict(headers),
        }
        connection.request(method, "/mcp", body=body, headers=headers)
        return connection.getresponse()

    def restart(self):
        self.gavel.kill()
        self.gavel.start()

    def come_back(self):
        stream = self.open("GET", self.mcp, headers={"Last-Event-ID": self.last_event_id})
        self.assertEqual(stream.status, 200)
        return stream

    def answer(self, stream):
        """The one message of the stream, which ends behind it."""
        lines = [line[5:].strip() for line in stream if line.startswith(b"data:")]
        (message,) = [json.loads(line) for line in lines if line]
        self.assertEqual(message["id"], "the call")
        return message["result"]

    def test_a_held_call_is_answered_by_the_next_daemon(self):
        self.gavel = self.start(self.config_text.replace("verdict: allow", "verdict: ask"))
        self.begin("box__append", {"text": "later"})
        self.restart()
        stream = self.come_back()
        (held,) = wait_until(self.gavel.pending, "the call is held")
        self.gavel.api(
            "POST",
            f"/v1/sessions/{held['session']}/intents/{held['intent']}/vote",
            {"verdict": "allow", "reason": "fine", "digest": held["digest"]},
        )
        result = self.answer(stream)
        self.assertEqual(result["content"][0]["text"], "appended", result)
        self.assertEqual(self.effects(), ["later"])
        # Who lost that one, too, gets it again; nothing is done again.
        self.restart()
        again = self.answer(self.come_back())
        self.assertEqual(again["content"], result["content"])
        self.assertEqual(self.effects(), ["later"])

    def test_what_was_in_flight_is_told_as_unknown(self):
        self.gavel = self.start(self.config_text)
        self.begin("box__append_slowly", {"text": "once", "seconds": 50})
        wait_until(self.effects, "the effect happened")
        self.restart()
        result = self.answer(self.come_back())
        self.assertTrue(result["isError"], result)
        self.assertIn("unknown whether", result["content"][0]["text"])
        self.assertEqual(self.effects(), ["once"])

    def test_a_read_that_died_with_the_daemon_is_answered(self):
        self.gavel = self.start(self.config_text)
        self.begin("box__sleep", {"seconds": 50})
        self.restart()
        result = self.answer(self.come_back())
        self.assertTrue(result["isError"], result)


def _alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class OneDirectoryOnePort(EndToEnd):
    def test_a_second_daemon_on_the_same_directory_is_refused(self):
        gavel = self.start()
        program = self.run_program(
            [
                self.binary,
                "up",
                "--config",
                gavel.config,
                "--state",
                gavel.state,
                "--listen",
                "127.0.0.1:0",
            ]
        )
        self.assertNotEqual(program.code(), 0)
        self.assertRegex(program.err().lower(), "another|already|in use|lock")
        self.assertEqual(gavel.api("GET", "/v1/health")["status"], "ok")

    def test_a_port_in_use_is_named(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            config = self.directory / "gavel.yaml"
            config.write_text(self.config())
            program = self.run_program(
                [
                    self.binary,
                    "up",
                    "--config",
                    config,
                    "--state",
                    self.directory / "state",
                    "--listen",
                    f"127.0.0.1:{port}",
                ]
            )
        self.assertNotEqual(program.code(), 0)
        self.assertIn(str(port), program.err())

    def test_beyond_loopback_is_refused(self):
        config = self.directory / "gavel.yaml"
        config.write_text(self.config())
        program = self.run_program(
            [
                self.binary,
                "up",
                "--config",
                config,
                "--state",
                self.directory / "state",
                "--listen",
                "0.0.0.0:0",
            ]
        )
        self.assertNotEqual(program.code(), 0)
        self.assertIn("loopback", program.err().lower())


class FullDisk(EndToEnd):
    """A store that takes no more. A limit on the size of files is as good as a full disk."""

    def test_what_was_sent_before_may_have_happened(self):
        gavel = self.start()
        gavel.propose("work", "box__append", {"text": "first"}, epoch=1)
        answers = Queue()
        arguments = {"text": "slow", "seconds": 1}
        thread = threading.Thread(
            target=lambda: answers.put(
                gavel.propose("work", "box__append_slowly", arguments, epoch=1)
            )
        )
        thread.start()
        wait_until(lambda: "slow" in self.effects(), "the call acts")
        resource.prlimit(gavel.process.pid, resource.RLIMIT_FSIZE, (0, 0))
        thread.join(60)
        answer = answers.get_nowait()
        self.assertEqual((answer["kind"], answer["code"]), ("refused", "storage_failed"), answer)
        self.assertIn("may have happened", answer["text"])
        self.assertIn("do not repeat it", answer["text"])

        # Nothing more is accepted, and doctor says what to do.
        with self.assertRaises(Refused) as caught:
            gavel.propose("work", "box__append", {"text": "second"}, epoch=1)
        self.assertEqual(caught.exception.status, 507)
        with self.assertRaises(Refused) as caught:
            gavel.api("POST", "/v1/sessions/new/wake", {"reason": "a new session"})
        self.assertEqual(caught.exception.status, 507)
        code, out, err = gavel.cli("doctor", "--json")
        self.assertEqual(code, 1, err)
        checks = {each["check"]: each for each in json.loads(out)["checks"]}
        self.assertEqual(checks["daemon"]["health"], "ok")
        self.assertEqual(checks["store"]["health"], "fail")
        self.assertIn("make room", checks["store"]["advice"])
        self.assertNotIn("token", checks["store"]["advice"])

        # With room again, Gavel finds out or asks.
        gavel.kill()
        gavel.start()
        self.assertEqual(gavel.wait_pending("work")["phase"], "unknown")
        self.assertEqual(self.effects(), ["first", "slow"])


class DamagedStore(EndToEnd):
    """A store that was changed under Gavel is refused, and verify names it: never silence."""

    def fill(self, stop):
        gavel = self.start()
        for number in range(200):
            gavel.propose("work", "box__append", {"text": f"{number} " + "x" * 500}, epoch=1)
        stop(gavel)
        return gavel

    def files(self, gavel, *endings):
        """Files of the store that hold entries, the fullest first."""
        store = gavel.state / "store"
        found = [p for p in store.rglob("*") if p.suffix in endings and b"work" in p.read_bytes()]
        self.assertTrue(found, sorted(p.name for p in store.rglob("*")))
        return sorted(found, key=lambda path: path.stat().st_size, reverse=True)

    def refused(self, gavel, what):
        code, out, err = gavel.cli("verify")
        self.assertNotEqual(code, 0, f"{what} went unnoticed by gavel verify: {out}")
        # What is damaged may lie where a start does not look: then reading it must fail.
        with self.assertRaises((RuntimeError, Refused), msg=f"{what} went unnoticed") as caught:
            gavel.start()
            gavel.entries("work")
        self.assertRegex(f"{caught.exception} {err}".lower(), "corrupt|damage|checksum|missing")

    def test_a_flipped_bit_in_a_table(self):
        gavel = self.fill(lambda daemon: daemon.stop())
        path = self.files(gavel, ".sst")[0]
        flip(path, path.stat().st_size // 3)
        self.refused(gavel, "a flipped bit")

    def test_a_flipped_bit_in_the_write_ahead_log(self):
        gavel = self.fill(lambda daemon: daemon.kill())
        path = self.files(gavel, ".log")[0]
        data = path.read_bytes()
        places = [at for at in range(0, len(data) - 8, 8) if data[at : at + 8] == b"x" * 8]
        flip(path, places[len(places) // 2] if places else len(data.rstrip(b"\0")) // 2)
        self.refused(gavel, "a flipped bit")

    def test_a_truncated_table(self):
        gavel = self.fill(lambda daemon: daemon.stop())
        path = self.files(gavel, ".sst")[0]
        truncate(path, path.stat().st_size // 2)
        self.refused(gavel, "a table cut in half")

    def test_a_truncated_write_ahead_log(self):
        gavel = self.fill(lambda daemon: daemon.kill())
        path = self.files(gavel, ".log")[0]
        truncate(path, len(path.read_bytes().rstrip(b"\0")) // 2)
        self.refused(gavel, "a log cut in half")

    def test_a_table_that_is_gone(self):
        gavel = self.fill(lambda daemon: daemon.stop())
        self.files(gavel, ".sst")[0].unlink()
        self.refused(gavel, "a missing table")


def flip(path, offset):
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(bytes(data))


def truncate(path, size):
    with open(path, "r+b") as file:
        file.truncate(size)


if __name__ == "__main__":
    unittest.main()
