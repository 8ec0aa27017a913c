"""An MCP server over HTTP that wants OAuth tokens, and its authorization server, in this process:
each listens on a free port of 127.0.0.1. What they were asked stands in `requests`; tests change
how they behave by their attributes."""

import base64
import hashlib
import json
import secrets
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOOLS = [
    {"name": name, "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": True}}
    for name in ("echo", "admin", "leak")
]


class OAuthWorld:
    def __init__(self):
        self.lock = threading.Lock()
        self.requests = []  # (method, path, form or JSON)
        self.lifetime = 3600
        self.refreshes = True
        self.resource = None  # in the metadata, in place of the server's own
        self.issuer = None  # in the metadata, in place of its own
        self.challenge_methods = ["S256"]
        self.codes = {}
        self.access = {}  # token: scopes
        self.refresh = {}
        self.secrets = set()  # everything that must be seen nowhere else
        self.mcp = self._serve(McpHandler)
        self.auth = self._serve(AuthHandler)
        self.mcp_url = f"http://127.0.0.1:{self.mcp.server_port}"
        self.auth_url = f"http://127.0.0.1:{self.auth.server_port}"

    def _serve(self, handler):
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        server.world = self
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server

    def close(self):
        for server in (self.mcp, self.auth):
            server.shutdown()
            server.server_close()

    def asked(self, path):
        with self.lock:
            return [body for _, asked, body in self.requests if asked == path]

    def grants(self):
        return [form["grant_type"] for form in self.asked("/token")]

    def new_secret(self, kind):
        value = f"{kind}-{secrets.token_hex(16)}"
        self.secrets.add(value)
        return value

    def give(self, scopes):
        with self.lock:
            token = self.new_secret("access")
            self.access[token] = scopes
            answer = {"access_token": token, "token_type": "Bearer", "scope": " ".join(scopes),
                      "expires_in": self.lifetime}
            if self.refreshes:
                answer["refresh_token"] = self.new_secret("refresh")
                self.refresh[answer["refresh_token"]] = scopes
            return answer

    def expire(self):
        """Every access token is refused from now on."""
        with self.lock:
            self.access.clear()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def world(self):
        return self.server.world

    def log_message(self, *_):
        pass

    def reply(self, status, body=None, **headers):
        data = json.dumps(body).encode() if body is not None else b""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def body(self):
        data = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        if self.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded"):
            return dict(urllib.parse.parse_qsl(data))
        return json.loads(data) if data else {}

    def note(self, body):
        with self.world.lock:
            path = urllib.parse.urlsplit(self.path).path
            self.world.requests.append((self.command, path, body))


class McpHandler(Handler):
    def do_GET(self):
        self.note({})
        if self.path == "/meta":
            self.reply(200, {"resource": self.world.resource or f"{self.world.mcp_url}/mcp",
                             "authorization_servers": [self.world.auth_url]})
        else:
            self.reply(404, {})

    def do_DELETE(self):
        self.reply(405, {})

    def do_POST(self):
        message = self.body()
        self.note(message)
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        scopes = self.world.access.get(token)
        metadata = f'resource_metadata="{self.world.mcp_url}/meta"'
        if scopes is None:
            self.reply(401, {}, WWW_Authenticate=f'Bearer scope="basic", {metadata}')
            return
        name = message.get("params", {}).get("name")
        if name == "admin" and "admin" not in scopes:
            self.reply(403, {}, WWW_Authenticate='Bearer error="insufficient_scope", '
                                                 f'scope="admin", {metadata}')
            return
        if "id" not in message:
            self.reply(202)
            return
        result = self.result(message["method"], name, token)
        if result is None:
            error = {"code": -32601, "message": "unknown"}
            self.reply(200, {"jsonrpc": "2.0", "id": message["id"], "error": error})
        else:
            self.reply(200, {"jsonrpc": "2.0", "id": message["id"], "result": result})

    def result(self, method, name, token):
        if method == "initialize":
            return {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}},
                    "serverInfo": {"name": "guarded", "version": "1"}}
        if method == "tools/list":
            return {"tools": TOOLS}
        if method == "tools/call":
            text = f"your token is {token}" if name == "leak" else f"{name} done"
            return {"content": [{"type": "text", "text": text}]}
        return None


class AuthHandler(Handler):
    def do_GET(self):
        self.note({})
        url = urllib.parse.urlsplit(self.path)
        if url.path == "/.well-known/oauth-authorization-server":
            base = self.world.auth_url
            self.reply(200, {
                "issuer": self.world.issuer or base,
                "authorization_endpoint": f"{base}/authorize",
                "token_endpoint": f"{base}/token",
                "registration_endpoint": f"{base}/register",
                "code_challenge_methods_supported": self.world.challenge_methods,
                "token_endpoint_auth_methods_supported": ["client_secret_basic", "none"],
                "authorization_response_iss_parameter_supported": True,
            })
        elif url.path == "/authorize":
            self.authorize(dict(urllib.parse.parse_qsl(url.query)))
        else:
            self.reply(404, {})

    def authorize(self, query):
        code = self.world.new_secret("code")
        self.world.codes[code] = query
        answer = {"code": code, "state": query["state"], "iss": self.world.auth_url}
        self.reply(302, Location=f"{query['redirect_uri']}?{urllib.parse.urlencode(answer)}")

    def do_POST(self):
        body = self.body()
        self.note(body)
        if self.path == "/register":
            self.reply(201, {"client_id": "registered", "redirect_uris": body["redirect_uris"]})
        elif self.path == "/token":
            self.token(body)
        else:
            self.reply(404, {})

    def token(self, form):
        refused = {"error": "invalid_grant", "error_description": str(form)}
        if form["grant_type"] == "authorization_code":
            asked = self.world.codes.pop(form["code"], None)
            digest = hashlib.sha256(form["code_verifier"].encode()).digest()
            challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
            self.world.secrets.add(form["code_verifier"])
            if asked is None or asked["code_challenge"] != challenge:
                self.reply(400, refused)
            else:
                self.reply(200, self.world.give(asked.get("scope", "").split()))
        elif form["grant_type"] == "refresh_token":
            scopes = self.world.refresh.pop(form["refresh_token"], None)
            if scopes is None:
                self.reply(400, refused)
            else:
                self.reply(200, self.world.give(scopes))
        elif form["grant_type"] == "client_credentials":
            given = base64.b64decode(self.headers.get("Authorization", "").removeprefix("Basic "))
            if given.decode() != "machine:very-secret-words":
                self.reply(401, {"error": "invalid_client"})
            else:
                self.reply(200, self.world.give(form.get("scope", "").split()))
        else:
            self.reply(400, refused)
