"""The four agent programs as npm has them: how each is set up, told to use the scripted model, and
run once without a terminal. Each has a home of its own; telemetry and updates are off."""

import json
import os
import re
import shlex
import signal
import subprocess
from pathlib import Path

from lib.model import call
from lib.process import Process

ROOT = Path(__file__).resolve().parent.parent.parent
SECONDS_MAX = 150


class Program:
    """One program in one scenario. `set_up` is what its page shows, run as it stands there."""

    name = title = package = ""
    installed = "build/agents/node_modules"
    set_up = ()
    notes = ()

    def __init__(self, directory, binary, model_url):
        self.home = Path(directory) / "home"
        self.workspace = Path(directory) / "project"
        self.binary = str(binary)
        self.model_url = model_url
        self._directory = Path(directory)
        self._bin = self.home / "bin"
        self._bin.mkdir(parents=True)
        self.workspace.mkdir()
        subprocess.run(["git", "init", "-q", self.workspace], check=True)
        self._link("gavel", [self.binary])
        self._link(self.command_name, self.executable())
        self.configure()

    @classmethod
    def modules(cls):
        return ROOT / cls.installed

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

    def install(self, state, server=None, patience=None):
        """The lines of the page; `server` is a command over stdio instead of Gavel's URL."""
        place = self.home / ".local/state/gavel"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(state)
        for line in self.set_up[:-1]:
            if server and "gavel setup" not in line:
                continue
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
        if server:
            self.use_server(server)
        if patience:
            self.limit(patience)

    def start(self, prompt, through):
        return Process(
            [*through, "nice", "-n", "5", *self.run_command(prompt)],
            log=self._directory / "program",
            environment=self.environment(),
            directory=self.workspace,
        )

    def interrupt(self, process):
        """Ctrl-C: the whole group gets it."""
        process.signal_group(signal.SIGINT)

    # --- what differs ---
    command_name = ""

    def quiet(self, text):
        """What the program prints, without what these tests themselves bring about."""
        return text

    def executable(self):
        raise NotImplementedError

    def configure(self):
        """Writes what makes the program use the scripted model, and nobody else."""

    def variables(self):
        return {}

    def use_server(self, command):
        raise NotImplementedError

    def limit(self, seconds):
        """Makes the program wait for a tool so long at most."""
        raise NotImplementedError

    def run_command(self, prompt):
        raise NotImplementedError

    def shell(self, command):
        """A step that uses the program's own shell."""
        raise NotImplementedError


class OpenCode(Program):
    name, title, package = "opencode", "OpenCode", "opencode-linux-x64"
    installed = "build/peers/node_modules"
    command_name = "opencode"
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

    def executable(self):
        return [self.modules() / self.package / "bin/opencode"]

    def configure(self):
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

    def use_server(self, command):
        server = {"type": "local", "command": command}
        self.write(".config/opencode/opencode.json", {"mcp": {"gavel": server}})

    def limit(self, seconds):
        file = self.home / ".config/opencode/opencode.json"
        config = json.loads(file.read_text())
        config["mcp"]["gavel"]["timeout"] = seconds * 1000
        file.write_text(json.dumps(config))

    def run_command(self, prompt):
        return ["opencode", "run", prompt]

    def shell(self, command):
        return call("bash", command=command, description="a command of the test")


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
    notes = (
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
        file = self.home / ".claude.json"
        config = json.loads(file.read_text()) if file.exists() else {}
        change(config.setdefault("mcpServers", {}))
        file.write_text(json.dumps(config))

    def use_server(self, command):
        server = {"type": "stdio", "command": command[0], "args": command[1:]}
        self._change(lambda servers: servers.update(gavel=server))

    def limit(self, seconds):
        self._change(lambda servers: servers["gavel"].update(timeout=seconds * 1000))

    def run_command(self, prompt):
        return ["claude", "-p", prompt, "--allowedTools", "mcp__gavel", "Bash"]

    def shell(self, command):
        return call("Bash", command=command, description="a command of the test")


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

    def quiet(self, text):
        text = re.sub(r"\A(.*?)WARNING: proceeding.*?\nuser\n[^\n]*\n", r"\1", text, flags=re.S)
        return re.sub(r"^warning: .*(hook-trust|Model metadata).*\n", "", text, flags=re.M)

    def executable(self):
        return ["node", self.modules() / self.package / "bin/codex.js"]

    def configure(self):
        self.write(
            ".codex/config.toml",
            f"""model = "gpt-5.3-codex"
model_provider = "scripted"
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

    def install(self, state, server=None, patience=None):
        super().install(state, server, patience)
        address = json.loads((Path(state) / "daemon.json").read_text())["url"]
        file = self.home / ".codex/config.toml"
        text = file.read_text().replace(self.url, f"{address}/mcp")
        file.write_text(text + 'default_tools_approval_mode = "approve"\n')

    def variables(self):
        return {"SCRIPTED_KEY": "none"}

    def use_server(self, command):
        with (self.home / ".codex/config.toml").open("a") as file:
            file.write(f"\n[mcp_servers.gavel]\ncommand = {json.dumps(command[0])}\n")
            file.write(f"args = {json.dumps(command[1:])}\n")

    def limit(self, seconds):
        with (self.home / ".codex/config.toml").open("a") as file:
            file.write(f"tool_timeout_sec = {seconds}\n")

    def run_command(self, prompt):
        return [
            "codex",
            "exec",
            "--skip-git-repo-check",
            "--dangerously-bypass-hook-trust",
            prompt,
        ]

    def shell(self, command):
        def step(turn):
            if "exec_command" in turn.tools:
                return call("exec_command", cmd=command)
            if "shell_command" in turn.tools:
                return call("shell_command", command=command)
            return call("shell", command=["sh", "-c", command])

        return step


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
        file = self.home / ".gemini/settings.json"
        settings = json.loads(file.read_text())
        change(settings.setdefault("mcpServers", {}))
        file.write_text(json.dumps(settings))

    def use_server(self, command):
        server = {"command": command[0], "args": command[1:]}
        self._change(lambda servers: servers.update(gavel=server))

    def limit(self, seconds):
        self._change(lambda servers: servers["gavel"].update(timeout=seconds * 1000))

    def run_command(self, prompt):
        return ["gemini", "--yolo", "--model", "gemini-2.5-flash", "--prompt", prompt]

    def shell(self, command):
        return call("run_shell_command", command=command, description="a command of the test")


PROGRAMS = (OpenCode, ClaudeCode, Codex, Gemini)
