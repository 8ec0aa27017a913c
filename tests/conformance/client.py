#!/usr/bin/env python3
"""The client that the referee starts, with its server's URL: a Gavel before that server, and
client.mjs before that Gavel. run.py says where things are."""

import json
import os
import signal
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
    oauth: @OAUTH@
defaults: {read: allow, write: allow, destructive: allow, irreversible: allow}
"""
# The document that the referee's authorization servers expect where they take one.
METADATA_URL = "https://conformance-test.local/client-metadata.json"
# The referee gives up after 30 s and would leave the daemon behind.
TIMEOUT = 20


def oauth_options(context, directory):
    """The `oauth` of gavel.yaml for what the referee says that its client was given."""
    options = {"client_metadata_url": METADATA_URL}
    for name, option in (("client_secret", "client_secret_file"),
                         ("private_key_pem", "private_key_file")):
        if name in context:
            path = directory / name
            path.write_text(context[name])
            path.chmod(0o600)
            options[option] = str(path)
    if "client_id" in context:
        options["client_id"] = context["client_id"]
    if "issuer" in context:
        options["issuer"] = context["issuer"]
    if "client-credentials" in os.environ.get("MCP_CONFORMANCE_SCENARIO", ""):
        options["grant"] = "client_credentials"
    return options


def run_client(command, environment):
    """Its exit code. What it started ends with it: the referee waits for every holder of its
    pipes."""
    child = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        return child.wait(TIMEOUT)
    except subprocess.TimeoutExpired:
        print(f"client.mjs still ran after {TIMEOUT} s", file=sys.stderr)
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        return 1


def main():
    url = sys.argv[1]
    context = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT") or "{}")
    with tempfile.TemporaryDirectory(prefix="gavel-conformance-") as directory:
        options = oauth_options(context, Path(directory))
        config = CONFIG.replace("@URL@", url).replace("@OAUTH@", json.dumps(options))
        gavel = Gavel(os.environ["GAVEL_BINARY"], Path(directory) / "gavel", config)
        try:
            gavel.start()
            environment = {
                **os.environ,
                "GAVEL_MCP_URL": f"{gavel.url}/mcp?server=referee",
                "GAVEL_TOKEN": gavel.token("agent"),
                "GAVEL_OPERATOR_TOKEN": gavel.token("operator"),
                "GAVEL_STATE": str(gavel.state),
            }
            script = Path(__file__).with_name("client.mjs")
            code = run_client([os.environ["NODE"], script], environment)
        finally:
            print(gavel.process.err() if gavel.process else "", file=sys.stderr)
            gavel.stop()
    return code


if __name__ == "__main__":
    sys.exit(main())
