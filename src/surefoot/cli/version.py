"""The version that is installed."""

from __future__ import annotations

from importlib import metadata

__all__ = ["version"]


def version() -> str:
    """The installed version; ``unknown`` when surefoot runs from its source without being installed."""
    try:
        return metadata.version("surefoot")
    except metadata.PackageNotFoundError:
        return "unknown"
