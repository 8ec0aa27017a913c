"""Child processes that cannot outlive their scenario: each leads its own process group, writes its
output to files, is waited for with a deadline, and is killed with its whole group."""

import ctypes
import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


def wait_until(condition, what, timeout=30.0, every=0.02):
    """The first true value of condition(), polled; TimeoutError with `what` in words otherwise."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise TimeoutError(f"waited {timeout:g} s in vain until {what}")
        time.sleep(every)


def _die_with_parent():
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """A running program. `log` is where its output goes: log.out and log.err."""

    def __init__(self, command, log, environment=None, directory=None, user=None):
        self.command = [str(part) for part in command]
        self.out_path = Path(f"{log}.out")
        self.err_path = Path(f"{log}.err")
        # The death signal follows the thread that forks, so only the main thread may ask for it.
        on_main = threading.current_thread() is threading.main_thread()
        options = {}
        if user is not None:
            options = {"user": user.uid, "group": user.gid, "extra_groups": []}
        with open(self.out_path, "wb") as out, open(self.err_path, "wb") as err:
            self._popen = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=environment,
                cwd=directory,
                start_new_session=True,
                preexec_fn=_die_with_parent if on_main else None,
                **options,
            )

    @property
    def pid(self):
        return self._popen.pid

    def running(self):
        return self._popen.poll() is None

    def code(self):
        return self._popen.poll()

    def out(self):
        return self.out_path.read_text(errors="replace")

    def err(self):
        return self.err_path.read_text(errors="replace")

    def wait(self, timeout=60.0):
        """The exit code; TimeoutError with the end of the output where it does not come."""
        try:
            return self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise TimeoutError(
                f"{self.command[0]} still runs after {timeout:g} s\n{self.tail()}"
            ) from None

    def tail(self, size=2000):
        return f"stdout: {self.out()[-size:]}\nstderr: {self.err()[-size:]}"

    def signal_group(self, number):
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            pass

    def kill(self):
        """SIGKILL to the whole group, as the machine under it would vanish."""
        self.signal_group(signal.SIGKILL)
        self._popen.wait(10)

    def stop(self, timeout=10.0):
        """SIGTERM, then SIGKILL to the group."""
        if self.running():
            self._popen.terminate()
            try:
                self._popen.wait(timeout)
            except subprocess.TimeoutExpired:
                pass
        self.kill()


def tree_of(pid):
    """A process and all its descendants, parents first."""
    children = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for parent in found:
        found.extend(children.get(parent, []))
    return found


def environment_of(pid):
    """The environment of a running process as the kernel shows it; empty where it is gone."""
    try:
        data = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return {}
    pairs = (
        part.split("=", 1) for part in data.decode(errors="replace").split("\0") if "=" in part
    )
    return dict(pairs)


def find_program(*candidates):
    """The first of these paths or names that can be run; None where there is none."""
    for candidate in candidates:
        path = shutil.which(str(candidate))
        if path:
            return path
    return None
