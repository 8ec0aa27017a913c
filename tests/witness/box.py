"""How a policy names the ledger server and its tools."""

from pathlib import Path

SERVER = """
  @NAME@:
    command: [python3, -S, -E, "@HERE@/ledger_server.py"]
    environment: {LEDGER: "@LEDGER@"}
    timeout: 10s
    tools:
      look: {effect: read}
      write: {effect: write}
      put: {effect: write, idempotent: true}
      ask: {effect: write}
      drop: {effect: destructive}
      slow: {effect: write}
      slow_put: {effect: write, idempotent: true, retries: 2}
      probed:
        effect: write
        probe:
          tool: @NAME@__look
          arguments: {text: "${args.text}"}
          happened:
            required: [content]
            properties:
              content: {contains: {required: [text], properties: {text: {pattern: "^[1-9]"}}}}
"""
ALLOWED = """
  - name: these may be done
    tools: ["*__write", "*__put", "*__probed", "*__slow*"]
    verdict: allow
    reason: this is what the tests do
"""


def servers(ledger, *names):
    """The policy's `servers`: ledger servers of these names with one ledger."""
    here = Path(__file__).resolve().parent
    text = SERVER.replace("@HERE@", str(here)).replace("@LEDGER@", str(ledger))
    return "servers:" + "".join(text.replace("@NAME@", name) for name in names)
