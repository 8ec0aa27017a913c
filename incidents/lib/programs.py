"""The agent programs as npm has them: how each is set up, told to use the scripted model, and run
without a terminal. Each has a home of its own; telemetry and updates are off."""

import json
import os
import re
import shlex
import signal
import subprocess
from pathlib import Path

from . import peers
from .model import call
from .process import Process

ROOT = Path(__file__).resolve().parent.parent.parent
SECONDS_MAX = 150


class Program:
    """One program with a home and a project in `directory`, run as `user` (None: ourselves);
    `binary` is gavel, where it is to find one. start() may be called again: a new process, a new
    conversation, the same files. `set_up` is what its page shows, run as it stands there: the
    hooks, Gavel's MCP server, the program itself; `set_up_http` the hooks over HTTP, where the
    program has such."""

    name = title = package = ""
    set_up = ()
    set_up_http = None
    notes = ()

    def __init__(self, directory, binary, model_url, user=None):
        self.directory = Path(directory)
        self.home = self.directory / "home"
        self.workspace = self.directory / "project"
        self.model_url = model_url
        self.servers = []
        self._user = user
        self._runs = 0
        self._bin = self.home / "bin"
        self._bin.mkdir(parents=True)
        self.workspace.mkdir()
        subprocess.run(["git", "init", "-q", self.workspace], check=True)
        if binary:
            self._link("gavel", [binary])
        self._link(self.command_name, self.executable())
        self.configure()

    @classmethod
    def modules(cls):
        return ROOT / "build/agents/node_modules"

    @classmethod
    def version(cls):
        file = cls.modules() / cls.package / "package.json"
        return json.loads(file.read_text())["version"]

    @classmethod
    def is_installed(cls):
        return (cls.modules() / cls.package).exists()

    def _link(self, name, command):
        file = self._bin / name
        file.write_text(f'#!/bin/sh\nexec {shlex.join(map(str, command))} "$@"\n')
        file.chmod(0o755)

    def environment(self):
        return {
            "PATH": f"{self._bin}:{os.environ.get('PATH', '/usr/bin:/bin')}",
            "HOME": str(self.home),
            "SHELL": "/bin/bash",
            "TMPDIR": str(self.home),
            "LANG": "C.UTF-8",
            "NO_COLOR": "1",
            **self.variables(),
        }

    def write(self, name, text):
        file = self.home / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text if isinstance(text, str) else json.dumps(text, indent=2))

    def change(self, name, key, change):
        """change(value) of a JSON file's member, an object."""
        file = self.home / name
        config = json.loads(file.read_text()) if file.exists() else {}
        change(config.setdefault(key, {}))
        self.write(name, config)

    def _run(self, line):
        done = subprocess.run(
            ["sh", "-euc", line],
            env=self.environment(),
            cwd=self.workspace,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{line}: exit {done.returncode}: {done.stderr}{done.stdout}")

    def hook(self, state, http=False):
        """Its own tools go through the daemon of this state directory."""
        place = self.home / ".local/state/gavel"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(state)
        self._run(self.set_up_http if http else self.set_up[0])

    def connect(self, state):
        """Gavel is its MCP server."""
        self._run(self.set_up[1])
        self.servers.append("gavel")

    def add_server(self, name, command, environment=None):
        """An MCP server that it starts itself."""
        self.servers.append(name)
        self._add_server(name, [str(part) for part in command], environment or {})

    def start(self, prompt, through=()):
        """Runs one task. `through` stands before the command: ["gavel", "run", ..., "--"]."""
        self._runs += 1
        prefix = []
        if self._user:
            self._user.own(self.directory)
            prefix = self._user.prefix()
        return Process(
            [*through, *prefix, *self.run_command(prompt)],
            log=f"{self.directory}.{self._runs}",
            environment=self.environment(),
            directory=self.workspace,
        )

    def interrupt(self, process):
        """Ctrl-C: the whole group gets it."""
        process.signal_group(signal.SIGINT)

    # --- what differs ---
    command_name = ""

    def quiet(self, text):
        """What the program prints and says to its model, without what these tests themselves bring
        about and what is another each time."""
        return text

    def executable(self):
        raise NotImplementedError

    def configure(self):
        """Writes what makes the program use the scripted model, and nobody else."""

    def variables(self):
        return {}

    def _add_server(self, name, command, environment):
        raise NotImplementedError

    def limit(self, seconds):
        """Makes the program wait for a tool of Gavel's so long at most."""
        raise NotImplementedError

    def run_command(self, prompt):
        raise NotImplementedError

    def shell(self, command, turn):
        """The model's step that uses the program's own shell."""
        raise NotImplementedError

    def offer_edits(self):
        """Makes sure that the model is offered the program's own tool for edits."""

    def write_file(self, name, text, turn):
        """The model's step that makes a file of the project with the program's own tool."""
        raise NotImplementedError


class OpenCode(Program):
    name, title, package = "opencode", "OpenCode", "opencode-linux-x64"
    command_name = "opencode"
    config = ".config/opencode/opencode.json"
    set_up = (
        "gavel setup opencode --yes",
        """echo '{"mcp": {"gavel": {"type": "remote", "url": "{env:GAVEL_MCP_URL}", "headers": """
        """{"Authorization": "Bearer {env:GAVEL_TOKEN}"}, "oauth": false}}}' """
        """> ~/.config/opencode/opencode.json""",
        "gavel run -- opencode",
    )
    notes = (
        "Run without a terminal as `opencode run`. Where you have an `opencode.json` already, add "
        "the entry `mcp` to it instead.",
    )

    @classmethod
    def modules(cls):
        return peers.directory(ROOT) / "node_modules"

    def executable(self):
        return [self.modules() / self.package / "bin/opencode"]

    def configure(self):
        self.write(self.config, {})
        provider = {
            "npm": "@ai-sdk/openai-compatible",
            "name": "Scripted",
            "options": {"baseURL": f"{self.model_url}/v1", "apiKey": "none"},
            "models": {"engineer": {"name": "Engineer", "tool_call": True}},
        }
        config = {
            "model": "scripted/engineer",
            "small_model": "scripted/engineer",
            "share": "disabled",
            "autoupdate": False,
            "provider": {"scripted": provider},
        }
        (self.workspace / "opencode.json").write_text(json.dumps(config))

    def variables(self):
        return {
            "OPENCODE_DISABLE_AUTOUPDATE": "1",
            "OPENCODE_DISABLE_MODELS_FETCH": "1",
            "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
            # It fetches types for plugins that nothing here needs, and goes on without.
            "npm_config_registry": "http://127.0.0.1:9/",
            "npm_config_fetch_retries": "0",
            "npm_config_offline": "true",
        }

    def _change(self, change):
        self.change(self.config, "mcp", change)

    def _add_server(self, name, command, environment):
        server = {"type": "local", "command": command, "environment": environment}
        self._change(lambda servers: servers.update({name: server}))

    def limit(self, seconds):
        self._change(lambda servers: servers["gavel"].update(timeout=seconds * 1000))

    def run_command(self, prompt):
        return ["opencode", "run", prompt]

    def shell(self, command, turn):
        return call("bash", command=command, description="a command of the test")

    def write_file(self, name, text, turn):
        return call("write", filePath=str(self.workspace / name), content=text)


class ClaudeCode(Program):
    name, title = "claude-code", "Claude Code"
    package = "@anthropic-ai/claude-code-linux-x64"
    command_name = "claude"
    set_up = (
        "gavel setup claude-code --yes",
        "claude mcp add --transport http --scope user gavel '${GAVEL_MCP_URL}' "
        "--header 'Authorization: Bearer ${GAVEL_TOKEN}'",
        "gavel run -- claude",
    )
    set_up_http = "gavel setup claude-code --http --yes"
    notes = (
        "Before a daemon with TLS the hooks may be requests instead of commands: "
        "`gavel setup claude-code --http`. "
        "Run without a terminal as `claude -p`, which prints the last answer alone.",
    )

    def executable(self):
        return [self.modules() / self.package / "claude"]

    def variables(self):
        return {
            "ANTHROPIC_BASE_URL": self.model_url,
            "ANTHROPIC_API_KEY": "none",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
            "DISABLE_TELEMETRY": "1",
            "DISABLE_ERROR_REPORTING": "1",
            # Else tools of MCP servers are found by a search first.
            "ENABLE_TOOL_SEARCH": "false",
        }

    def _change(self, change):
        self.change(".claude.json", "mcpServers", change)

    def _add_server(self, name, command, environment):
        server = {"type": "stdio", "command": command[0], "args": command[1:], "env": environment}
        self._change(lambda servers: servers.update({name: server}))

    def limit(self, seconds):
        self._change(lambda servers: servers["gavel"].update(timeout=seconds * 1000))

    def run_command(self, prompt):
        allowed = [f"mcp__{name}" for name in self.servers]
        return ["claude", "-p", prompt, "--allowedTools", *allowed, "Bash", "Write"]

    def shell(self, command, turn):
        return call("Bash", command=command, description="a command of the test")

    def write_file(self, name, text, turn):
        return call("Write", file_path=str(self.workspace / name), content=text)


class Codex(Program):
    name, title, package = "codex", "Codex", "@openai/codex"
    command_name = "codex"
    set_up = (
        "gavel setup codex --yes",
        r"""printf '\n[mcp_servers.gavel]\nurl = "http://127.0.0.1:7420/mcp"\n"""
        r"""bearer_token_env_var = "GAVEL_TOKEN"\nenv_http_headers = {"Gavel-Session" = """
        r""""GAVEL_SESSION", "Gavel-Epoch" = "GAVEL_EPOCH"}\n' >> ~/.codex/config.toml""",
        "gavel run -- codex",
    )
    notes = (
        "Codex skips hooks that nobody has trusted: start it once and trust Gavel's under "
        "`/hooks`. Run without a terminal as `codex exec`, with `approval_policy = \"never\"`, "
        "`default_tools_approval_mode = \"approve\"` and `--dangerously-bypass-hook-trust`, as "
        "nobody is there to trust.",
    )
    url = "http://127.0.0.1:7420/mcp"
    approved = 'default_tools_approval_mode = "approve"\n'
    # One that it does not know: it has MCP's tools at hand, and none for patches.
    model = "gpt-5.3-codex"

    def quiet(self, text):
        text = re.sub(r"\A(.*?)WARNING: proceeding.*?\nuser\n[^\n]*\n", r"\1", text, flags=re.S)
        return re.sub(r"^warning: .*(hook-trust|Model metadata).*\n", "", text, flags=re.M)

    def executable(self):
        return ["node", self.modules() / self.package / "bin/codex.js"]

    def configure(self):
        self.write(
            ".codex/config.toml",
            f"""model_provider = "scripted"
approval_policy = "never"
sandbox_mode = "danger-full-access"
check_for_update_on_startup = false

[analytics]
enabled = false

[feedback]
enabled = false

[model_providers.scripted]
name = "Scripted"
base_url = "{self.model_url}/v1"
wire_api = "responses"
env_key = "SCRIPTED_KEY"
""",
        )

    def connect(self, state):
        super().connect(state)
        address = json.loads((Path(state) / "daemon.json").read_text())["url"]
        file = self.home / ".codex/config.toml"
        text = file.read_text().replace(self.url, f"{address}/mcp")
        file.write_text(text + self.approved)

    def variables(self):
        return {"SCRIPTED_KEY": "none"}

    def _add_server(self, name, command, environment):
        with (self.home / ".codex/config.toml").open("a") as file:
            file.write(f"\n[mcp_servers.{name}]\ncommand = {json.dumps(command[0])}\n")
            file.write(f"args = {json.dumps(command[1:])}\n{self.approved}")
            if environment:
                file.write(f"\n[mcp_servers.{name}.env]\n")
            for variable, value in environment.items():
                file.write(f"{variable} = {json.dumps(value)}\n")

    def limit(self, seconds):
        with (self.home / ".codex/config.toml").open("a") as file:
            file.write(f"tool_timeout_sec = {seconds}\n")

    def run_command(self, prompt):
        return [
            "codex",
            "exec",
            "--skip-git-repo-check",
            "--dangerously-bypass-hook-trust",
            *("--model", self.model),
            prompt,
        ]

    def shell(self, command, turn):
        if "exec_command" in turn.tools:
            return call("exec_command", cmd=command)
        if "shell_command" in turn.tools:
            return call("shell_command", command=command)
        return call("shell", command=["sh", "-c", command])

    def offer_edits(self):
        self.model = "gpt-5.5"

    def write_file(self, name, text, turn):
        added = "".join(f"+{line}\n" for line in text.splitlines())
        patch = f"*** Begin Patch\n*** Add File: {name}\n{added}*** End Patch\n"
        return call("apply_patch", input=patch)


class Gemini(Program):
    name, title, package = "gemini", "Gemini CLI", "@google/gemini-cli"
    command_name = "gemini"
    set_up = (
        "gavel setup gemini --yes",
        "gemini mcp add --scope user --transport http gavel '$GAVEL_MCP_URL' "
        "--header 'Authorization: Bearer $GAVEL_TOKEN'",
        "gavel run -- gemini",
    )
    notes = (
        "Run without a terminal as `gemini --yolo --prompt`, which prints the last answer alone.",
    )

    def executable(self):
        return ["node", self.modules() / self.package / "bundle/gemini.js"]

    def configure(self):
        settings = {
            "security": {
                "auth": {"selectedType": "gemini-api-key"},
                "folderTrust": {"enabled": False},
            },
            "general": {"enableAutoUpdate": False, "enableAutoUpdateNotification": False},
            "privacy": {"usageStatisticsEnabled": False},
            "telemetry": {"enabled": False},
        }
        self.write(".gemini/settings.json", settings)

    def variables(self):
        return {
            "GEMINI_API_KEY": "none",
            "GOOGLE_GEMINI_BASE_URL": self.model_url,
            "GEMINI_CLI_TRUST_WORKSPACE": "true",
            "GEMINI_CLI_NO_RELAUNCH": "true",
            "GEMINI_SANDBOX": "false",
        }

    def _change(self, change):
        self.change(".gemini/settings.json", "mcpServers", change)

    def _add_server(self, name, command, environment):
        server = {"command": command[0], "args": command[1:], "env": environment}
        self._change(lambda servers: servers.update({name: server}))

    def limit(self, seconds):
        self._change(lambda servers: servers["gavel"].update(timeout=seconds * 1000))

    def run_command(self, prompt):
        return ["gemini", "--yolo", "--model", "gemini-2.5-flash", "--prompt", prompt]

    def quiet(self, text):
        text = re.sub(r"^.*(\[STARTUP\]|Tools updated for server).*\n", "", text, flags=re.M)
        return re.sub(r"Process Group PGID: \d+", "Process Group PGID: N", text)

    def shell(self, command, turn):
        return call("run_shell_command", command=command, description="a command of the test")

    def write_file(self, name, text, turn):
        return call("write_file", file_path=str(self.workspace / name), content=text)


PROGRAMS = {each.name: each for each in (OpenCode, ClaudeCode, Codex, Gemini)}
