"""OpenCode, the unmodified agent program, with a home of its own and no way to the internet that
it would need: its model is the scripted one."""

import json
import os
from pathlib import Path

from .process import Process


def program(peers):
    path = Path(peers) / "node_modules/opencode-linux-x64/bin/opencode"
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing; run tests/peers/install.sh")
    return path


def local_server(command, environment):
    return {
        "type": "local",
        "command": [str(part) for part in command],
        "environment": environment,
        "enabled": True,
    }


def gavel_server():
    """How OpenCode reaches Gavel: by what `gavel run` puts in its environment."""
    return {
        "type": "remote",
        "url": "{env:GAVEL_MCP_URL}",
        "headers": {"Authorization": "Bearer {env:GAVEL_TOKEN}"},
        "oauth": False,
        "enabled": True,
    }


class OpenCode:
    """One home directory of OpenCode. start() may be called again: a new process, a new
    conversation, the same files."""

    def __init__(self, directory, peers, model_url, servers, user=None, extra=None):
        self.directory = Path(directory)
        self._program = program(peers)
        self._user = user
        self._runs = 0
        workspace = self.directory / "workspace"
        workspace.mkdir(parents=True, exist_ok=True)
        config = {
            "$schema": "https://opencode.ai/config.json",
            "model": "scripted/engineer",
            "small_model": "scripted/engineer",
            "share": "disabled",
            "autoupdate": False,
            "provider": {
                "scripted": {
                    "npm": "@ai-sdk/openai-compatible",
                    "name": "Scripted",
                    "options": {"baseURL": model_url, "apiKey": "none"},
                    "models": {"engineer": {"name": "Engineer", "tool_call": True}},
                }
            },
            "mcp": servers,
            **(extra or {}),
        }
        (workspace / "opencode.json").write_text(json.dumps(config, indent=2))
        if user:
            user.own(self.directory)

    def environment(self):
        home = str(self.directory)
        return {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": home,
            "XDG_CONFIG_HOME": f"{home}/.config",
            "XDG_DATA_HOME": f"{home}/.local/share",
            "XDG_STATE_HOME": f"{home}/.local/state",
            "XDG_CACHE_HOME": f"{home}/.cache",
            "TMPDIR": home,
            "LANG": "C.UTF-8",
            "OPENCODE_DISABLE_AUTOUPDATE": "1",
            "OPENCODE_DISABLE_MODELS_FETCH": "1",
            "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
        }

    def command(self, prompt):
        command = [str(self._program), "run", "--format", "json", prompt]
        return (self._user.prefix() if self._user else []) + command

    def start(self, prompt, through=()):
        """Runs one task. `through` stands before the command: ["gavel", "run", ..., "--"]."""
        self._runs += 1
        return Process(
            list(through) + self.command(prompt),
            log=f"{self.directory}.{self._runs}",
            environment=self.environment(),
            directory=self.directory / "workspace",
        )
