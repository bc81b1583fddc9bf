"""Who holds a lease: a name from which anybody on the same machine can tell that its process is gone.

A name is ``host|boot|namespace|pid|start|random``: the host's name, the kernel's boot id, the process-id namespace, the
process id, when the process started (clock ticks since boot) and a random part. See proc(5). A lease whose owner is
gone for certain is free at once; where anything is unknown, the owner counts as alive and its lease runs out by itself.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

__all__ = ["is_gone", "new_owner"]

_FIELDS = 6
_PROC = Path("/proc")


def new_owner() -> str:
    """A new name for a worker of this process."""
    pid = os.getpid()
    start = _started(pid) or ""
    return "|".join((*_place(), str(pid), start, os.urandom(6).hex()))


def is_gone(owner: str) -> bool:
    """Whether the process that made this name has certainly ended."""
    fields = owner.split("|")
    if len(fields) != _FIELDS or not all(fields) or tuple(fields[:3]) != _place():
        return False
    pid, start = fields[3], fields[4]
    if not pid.isdecimal():
        return False
    return _started(int(pid)) not in (start, None)


def _place() -> tuple[str, str, str]:
    """This host, its boot and this process's namespace of process ids; empty where the system does not say."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = str((_PROC / "self/ns/pid").readlink())
    except OSError:
        boot = namespace = ""
    return socket.gethostname().replace("|", "_"), boot, namespace


def _started(pid: int) -> str | None:
    """When a process started, in ticks; empty when there is no such process that can still act; None when unknown."""
    try:
        text = (_PROC / str(pid) / "stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        # Without a readable /proc/self, the absence of a process proves nothing.
        return "" if (_PROC / "self/stat").exists() else None
    except OSError:
        return None
    # The name in parentheses may hold anything, so count from its end: state is field 3, starttime field 22.
    fields = text.rpartition(b")")[2].split()
    if fields[0] in (b"Z", b"X") and _threads(pid) <= 1:
        return ""
    return fields[19].decode("ascii")


def _threads(pid: int) -> int:
    try:
        return len(list((_PROC / str(pid) / "task").iterdir()))
    except OSError:
        return 0
