"""Where the agents and MCP servers from npm are installed."""

import os
from pathlib import Path


def directory(root):
    """build/peers of a checkout; the user's cache where the incidents came with the package."""
    if (Path(root) / "CMakeLists.txt").exists():
        return Path(root) / "build/peers"
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "gavel/peers"
