"""Who holds a lease: a name from which anybody on the same machine can tell that its process is gone.

A name is ``host|boot|namespace|pid|start|random``: the host's name, the kernel's boot id, the process-id namespace, the
process id, when the process started (clock ticks since boot) and a random part. See proc(5). A lease whose owner is
gone for certain is free at once; where anything is unknown, the owner counts as alive and its lease runs out by itself.
"""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

__all__ = ["is_gone", "new_owner"]

_FIELDS = 6
_DIGITS = 10
_PROC = Path("/proc")


def new_owner(proc: Path = _PROC) -> str:
    """A new name for a worker of this process; ``proc`` is where the system says what runs."""
    pid = os.getpid()
    return "|".join((*_place(proc), str(pid), _started(pid, proc) or "", os.urandom(6).hex()))


def is_gone(owner: str, proc: Path = _PROC) -> bool:
    """Whether the process that made this name has certainly ended."""
    fields = owner.split("|")
    if len(fields) != _FIELDS or not all(fields) or tuple(fields[:3]) != _place(proc):
        return False
    pid, start = fields[3], fields[4]
    return pid.isdecimal() and len(pid) < _DIGITS and _started(int(pid), proc) not in (start, None)


def _place(proc: Path) -> tuple[str, str, str]:
    """This host, its boot and this process's namespace of process ids; empty where the system does not say."""
    try:
        boot = (proc / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = str((proc / "self/ns/pid").readlink())
    except OSError:
        boot = namespace = ""
    return socket.gethostname().replace("|", "_"), boot, namespace


def _started(pid: int, proc: Path) -> str | None:
    """When a process started, in ticks; empty when there is no such process that can still act; None when unknown."""
    try:
        text = (proc / str(pid) / "stat").read_bytes()
        # The name in parentheses may hold anything, so count from its end: state is field 3, starttime field 22.
        fields = text.rpartition(b")")[2].split()
        # A dead process stays listed until its parent looks; so does a live one whose first thread has ended.
        dead = fields[0] in (b"Z", b"X") and len(list((proc / str(pid) / "task").iterdir())) == 1
        return "" if dead else fields[19].decode("ascii")
    except (OSError, IndexError):
        # Others' processes may be hidden, so that it is not listed says nothing yet.
        return None if _answers(pid) else ""


def _answers(pid: int) -> bool:
    # PermissionError: it is another user's, and alive.
    with contextlib.suppress(PermissionError):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
    return True
