"""What models there are to choose from, and what each still needs: for `surefoot models list` and whoever picks one."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass

from surefoot.models.local import DEMO, NAME
from surefoot.models.local_weights import installed
from surefoot.models.lookup import KEYS, providers

__all__ = ["Offer", "offers"]

#: The package of each provider's extra, by which one sees that it is installed.
_PACKAGES = {"openai": "openai", "anthropic": "anthropic", "gemini": "google.genai", "local": "xllamacpp"}


@dataclass(frozen=True, slots=True)
class Offer:
    """A provider: how its models are named, what they are, and what is to be done before one can be used (or nothing)."""

    name: str
    about: str
    needs: str = ""


def offers(environ: Mapping[str, str] | None = None) -> list[Offer]:
    """Every provider, built in or brought by another package."""
    env = os.environ if environ is None else environ
    return [_offer(provider, env) for provider in providers()]


def _offer(provider: str, env: Mapping[str, str]) -> Offer:
    package = _PACKAGES.get(provider)
    needs = [] if package is None or _present(package) else [f"pip install 'surefoot[{provider}]'"]
    if provider == "local":
        if installed(environ=env) is None:
            needs.append("surefoot models install")
        return Offer(f"local:{NAME}", DEMO, "; ".join(needs))
    keys = [key for key, owner in KEYS if owner == provider]
    if keys and not any(env.get(key, "").strip() for key in keys):
        needs.append(f"set {' or '.join(keys)}")
    about = "models of this provider" if keys else "brought by another package"
    return Offer(f"{provider}:NAME", about, "; ".join(needs))


def _present(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:  # the folder above is not there
        return False
