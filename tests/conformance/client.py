#!/usr/bin/env python3
"""The client that the referee starts, with its server's URL: a Gavel before that server, and
client.mjs before that Gavel. run.py says where things are."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "incidents"))

from lib.gavel import Gavel  # noqa: E402

CONFIG = """
servers:
  referee:
    url: "@URL@"
defaults: {read: allow, write: allow, destructive: allow, irreversible: allow}
"""
# The referee gives up after 30 s and would leave the daemon behind.
TIMEOUT = 20


def main():
    url = sys.argv[1]
    with tempfile.TemporaryDirectory(prefix="gavel-conformance-") as directory:
        config = CONFIG.replace("@URL@", url)
        gavel = Gavel(os.environ["GAVEL_BINARY"], Path(directory) / "gavel", config)
        try:
            gavel.start()
            environment = {
                **os.environ,
                "GAVEL_MCP_URL": f"{gavel.url}/mcp?server=referee",
                "GAVEL_TOKEN": gavel.token("agent"),
            }
            script = Path(__file__).with_name("client.mjs")
            done = subprocess.run(
                [os.environ["NODE"], script], env=environment, timeout=TIMEOUT, check=False
            )
            code = done.returncode
        except subprocess.TimeoutExpired:
            print(f"client.mjs still ran after {TIMEOUT} s", file=sys.stderr)
            code = 1
        finally:
            print(gavel.process.err() if gavel.process else "", file=sys.stderr)
            gavel.stop()
    return code


if __name__ == "__main__":
    sys.exit(main())
