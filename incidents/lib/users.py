"""Who runs what. PostgreSQL refuses to run as root, and an agent must not be able to read what
belongs to Gavel; so where we are root, each gets a user of its own, and where we are not,
everything runs as ourselves."""

import os
import pwd
import subprocess
from dataclasses import dataclass


@dataclass(frozen=True)
class User:
    name: str
    uid: int
    gid: int

    def prefix(self):
        """Turns a command into one that this user runs."""
        return [
            "setpriv",
            f"--reuid={self.uid}",
            f"--regid={self.gid}",
            "--clear-groups",
            "--inh-caps=-all",
            "--",
        ]

    def own(self, path):
        """Gives a path, and what lies under it, to this user."""
        os.chown(path, self.uid, self.gid)
        for root, directories, files in os.walk(path):
            for name in directories + files:
                os.chown(os.path.join(root, name), self.uid, self.gid, follow_symlinks=False)


def _find(*names):
    for name in names:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return User(entry.pw_name, entry.pw_uid, entry.pw_gid)
    return None


def database_user():
    """Who runs PostgreSQL; None means ourselves."""
    return _find("postgres", "nobody") if os.geteuid() == 0 else None


def agent_user(*programs):
    """Who runs the agents; None means ourselves: where we are not root, or where another user
    could not reach the programs (a checkout under /root)."""
    if os.geteuid() != 0:
        return None
    user = _find("nobody")
    if user is None:
        return None
    for program in programs:
        test = subprocess.run(
            user.prefix() + ["test", "-r", str(program)], capture_output=True, timeout=10
        )
        if test.returncode != 0:
            return None
    return user
