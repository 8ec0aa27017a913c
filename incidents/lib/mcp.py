"""A raw MCP client over Streamable HTTP, of both eras, for assertions: it sends what it is told to
and shows exactly what came back."""

import http.client
import json
import urllib.parse
from dataclasses import dataclass, field

LEGACY = "2025-11-25"
MODERN = "2026-07-28"
# What the header Mcp-Name of a modern request repeats.
NAMED = {
    "tools/call": "name",
    "prompts/get": "name",
    "resources/read": "uri",
    "tasks/get": "taskId",
    "tasks/update": "taskId",
    "tasks/cancel": "taskId",
}


@dataclass
class Reply:
    status: int
    headers: dict
    body: bytes
    messages: list = field(default_factory=list)

    @property
    def message(self):
        """The JSON-RPC response: the last message of the body or of the stream."""
        return self.messages[-1] if self.messages else None

    @property
    def error(self):
        return (self.message or {}).get("error")

    @property
    def result(self):
        return (self.message or {}).get("result")

    @property
    def text(self):
        """The text of a CallToolResult."""
        content = (self.result or {}).get("content", [])
        return "\n".join(part.get("text", "") for part in content)


def _messages(content_type, body):
    if content_type.startswith("text/event-stream"):
        found = []
        for event in body.decode(errors="replace").replace("\r\n", "\n").split("\n\n"):
            data = [line[5:].lstrip() for line in event.split("\n") if line.startswith("data:")]
            if data and data != [""]:
                found.append(json.loads("\n".join(data)))
        return found
    try:
        value = json.loads(body)
    except ValueError:
        return []
    return value if isinstance(value, list) else [value]


def connect(url, timeout, tls=None):
    """A connection to the URL's host; `tls` is an ssl.SSLContext for https."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "https":
        return http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=timeout, context=tls
        )
    return http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)


class Client:
    def __init__(self, url, token, timeout=30, tls=None):
        parts = urllib.parse.urlsplit(url)
        self._url, self._tls = url, tls
        self._path = parts.path + (f"?{parts.query}" if parts.query else "")
        self._token = token
        self._timeout = timeout
        self._id = 0
        self.session = None
        self.version = None

    def send(self, body, method="POST", headers=None, token=None):
        """One HTTP request; `body` is bytes, text, or a value to encode."""
        if not isinstance(body, (bytes, str)) and body is not None:
            body = json.dumps(body)
        if isinstance(body, str):
            body = body.encode()
        connection = connect(self._url, self._timeout, self._tls)
        all_headers = {
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
        }
        token = self._token if token is None else token
        if token:
            all_headers["Authorization"] = f"Bearer {token}"
        all_headers.update(headers or {})
        try:
            connection.request(method, self._path, body=body, headers=all_headers)
            response = connection.getresponse()
            data = response.read()
        finally:
            connection.close()
        found = {name.lower(): value for name, value in response.getheaders()}
        kind = found.get("content-type", "")
        return Reply(response.status, found, data, _messages(kind, data))

    def next_id(self):
        self._id += 1
        return self._id

    # --- legacy: a handshake, then a session ---
    def initialize(self, version=LEGACY):
        reply = self.send(
            {
                "jsonrpc": "2.0",
                "id": self.next_id(),
                "method": "initialize",
                "params": {
                    "protocolVersion": version,
                    "capabilities": {},
                    "clientInfo": {"name": "witness", "version": "1"},
                },
            }
        )
        self.session = reply.headers.get("mcp-session-id")
        self.version = (reply.result or {}).get("protocolVersion")
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"}, headers=self._legacy())
        return reply

    def _legacy(self):
        headers = {}
        if self.session:
            headers["Mcp-Session-Id"] = self.session
        if self.version:
            headers["MCP-Protocol-Version"] = self.version
        return headers

    def legacy(self, method, params=None, headers=None):
        message = {"jsonrpc": "2.0", "id": self.next_id(), "method": method}
        if params is not None:
            message["params"] = params
        return self.send(message, headers={**self._legacy(), **(headers or {})})

    # --- modern: every request stands alone ---
    def modern(self, method, params=None, headers=None, meta=None):
        params = dict(params or {})
        params["_meta"] = {
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientInfo": {"name": "witness", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
            **(meta or {}),
        }
        mirrored = {"MCP-Protocol-Version": MODERN, "Mcp-Method": method}
        if method in NAMED:
            mirrored["Mcp-Name"] = params.get(NAMED[method], "")
        mirrored.update(headers or {})
        message = {"jsonrpc": "2.0", "id": self.next_id(), "method": method, "params": params}
        return self.send(message, headers={k: v for k, v in mirrored.items() if v is not None})
