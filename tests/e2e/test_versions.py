"""Stores of earlier versions, and binaries of two versions that take turns on one store."""

import json
import os
import sys
import tarfile

from support import ROOT, EndToEnd, Gavel

sys.path.insert(0, str(ROOT / "tests" / "golden"))
import stores  # noqa: E402

GOLDEN = ROOT / "tests" / "golden"


class StoresOfEarlierVersions(EndToEnd):
    def opened(self, format_number):
        gavel = Gavel(self.binary, self.directory / "gavel", stores.config(self.file))
        gavel.state.mkdir(mode=0o700)
        with tarfile.open(GOLDEN / f"store-{format_number}.tar.xz") as tar:
            tar.extractall(gavel.state)
        (gavel.state / "store").chmod(0o700)
        self.addCleanup(gavel.stop)
        gavel.start()
        return gavel

    def test_format_1_is_read_for_ever(self):
        gavel = self.opened(1)
        said = json.loads((GOLDEN / "store-1.json").read_text())
        self.assertEqual(stores.part_of(said, stores.read(gavel)), "")

    def test_work_goes_on_where_format_1_left_it(self):
        gavel = self.opened(1)
        epoch = gavel.session("work")["epoch"]
        again = gavel.propose("work", "box__append", {"text": "line 3"}, epoch=epoch, key="k3")
        self.assertTrue(again["replayed"], again)
        self.assertEqual(self.effects(), [])
        lost = gavel.propose(
            "work", "box__append_and_die", {"text": "may be"}, epoch=epoch, key="lost", wait_ms=500
        )
        self.assertIn("unknown", lost["text"])
        done = gavel.propose("work", "box__append", {"text": "new"}, epoch=epoch, key="new")
        self.assertEqual(done["kind"], "result", done)
        self.assertEqual(self.effects(), ["new"])
        gavel.stop()
        self.assertEqual(gavel.cli("verify")[0], 0)


class TurnsOfTwoVersions(EndToEnd):
    """Of this binary and of itself, or of the older one that GAVEL_OLDER names."""

    def test_they_take_turns(self):
        older = os.environ.get("GAVEL_OLDER", str(self.binary))
        gavel = Gavel(older, self.directory / "gavel", stores.config(self.file))
        self.addCleanup(gavel.stop)
        gavel.start()
        stores.fill(gavel)
        # An older one does not show members that it has never heard of; they stay on the disk.
        said = {older: stores.read(gavel)["entries"]}
        for turn, binary in enumerate([str(self.binary), older, str(self.binary)]):
            gavel.kill()
            gavel.binary = binary
            gavel.start()
            now = stores.read(gavel)["entries"]
            for known in {older, binary} & said.keys():
                self.assertEqual(stores.part_of(said[known], now), "", f"{known}, then {binary}")
            epoch = gavel.api("POST", "/v1/sessions/work/wake", {"reason": "a turn"})["epoch"]
            answer = gavel.propose(
                "work", "box__append", {"text": f"turn {turn}"}, epoch=epoch, key=f"turn {turn}"
            )
            self.assertEqual(answer["kind"], "result", answer)
            said[binary] = stores.read(gavel)["entries"]
        gavel.stop()
        self.assertEqual(gavel.cli("verify")[0], 0)
