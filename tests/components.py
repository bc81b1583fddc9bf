"""The parts a test may need that are not always there, and what is said or done when one is absent.

A test names what it needs with the marker `needs("chromium")`; a file that imports an extra at its top first calls
`require("openai")`. Where the part is absent the test is not run and the reason is listed at the end. Where the
environment variable SUREFOOT_REQUIRE names the part (separated by commas), its absence is a failure instead.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

VARIABLE = "SUREFOOT_REQUIRE"


@dataclass(frozen=True, slots=True)
class Component:
    """One part: how to see that it is there, and the line that brings it."""

    present: Callable[[], bool]
    install: str


def program(name: str) -> Path | None:
    """Find a program beside this interpreter or on the path."""
    beside = Path(sys.executable).parent / name
    if beside.exists():
        return beside
    found = shutil.which(name)
    return Path(found) if found else None


def aimock() -> Path | None:
    """Find the script of the recorded-answers server for OpenAI's protocols, which `make aimock` installs."""
    package = Path(sys.prefix) / "aimock" / "node_modules" / "@copilotkit" / "aimock"
    return package if (package / "package.json").exists() else None


def phoenix() -> Path | None:
    """Find the program of Arize Phoenix, a receiver of traces with an environment of its own, which `make phoenix` makes."""
    found = Path(os.environ.get("SUREFOOT_PHOENIX") or Path(sys.prefix) / "phoenix" / "bin" / "phoenix")
    return found if found.exists() else None


def weights() -> bool:
    """Tell whether the embedded model's weights are installed for this user."""
    from surefoot.models.local_weights import installed

    return installed() is not None


def _module(*names: str, install: str) -> Component:
    return Component(lambda: all(_found(name) for name in names), install)


def _found(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # the package around it is absent
        return False


def _program(name: str, install: str) -> Component:
    return Component(lambda: program(name) is not None, install)


def _mounts() -> bool:
    """See whether this process may have a file system of its own: as root, or in a user namespace."""
    command = ["unshare", "--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "none", "/tmp"]
    return shutil.which("unshare") is not None and subprocess.run(command, capture_output=True, check=False).returncode == 0


COMPONENTS: Mapping[str, Component] = {
    "openai": _module("openai", "aiohttp", install="pip install 'surefoot[openai]'"),
    "anthropic": _module("anthropic", "aiohttp", install="pip install 'surefoot[anthropic]'"),
    "gemini": _module("google.genai", "aiohttp", install="pip install 'surefoot[gemini]'"),
    "embeddings": _module("numpy", "onnxruntime", "tokenizers", install="pip install 'surefoot[embeddings]'"),
    "xllamacpp": _module("xllamacpp", install="pip install 'surefoot[local]'"),
    "server": _module("ag_ui", "fastapi", "uvicorn", "jinja2", "httpx2", install="pip install 'surefoot[server,dev]'"),
    "slack": _module("slack_bolt", "aiohttp", install="pip install 'surefoot[slack]'"),
    "tokens": _module("splintr", install="pip install 'surefoot[tokens]'"),
    "schemathesis": _module("schemathesis", install="pip install 'surefoot[dev]'"),
    "playwright": _module("playwright", "axe_playwright_python", install="pip install 'surefoot[dev]'"),
    "weights": Component(weights, "surefoot models install"),
    "otel": _module("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http", install="pip install 'surefoot[otel]'"),
    "phoenix": Component(lambda: phoenix() is not None, "make phoenix"),
    "importlinter": _module("importlinter", install="pip install 'surefoot[dev]'"),
    "mypy": _module("mypy", install="pip install 'surefoot[dev]'"),
    "pyright": _module("pyright", install="pip install 'surefoot[dev]'"),
    "git": _program("git", "apt-get install git"),
    "node": _program("node", "pip install 'surefoot[dev]'"),
    "aimock": Component(lambda: aimock() is not None and program("node") is not None, "make aimock"),
    "chromium": _program("chromium", "make system"),
    "chromedriver": _program("chromedriver", "make system"),
    "prometheus": _program("prometheus", "make system"),
    "tmpfs": Component(_mounts, "allow user namespaces: unshare --user --mount"),
}


def required() -> frozenset[str]:
    """Read which parts must be there; an unknown name is an error, since it would require nothing."""
    names = frozenset(name.strip() for name in os.environ.get(VARIABLE, "").split(",") if name.strip())
    if unknown := names - COMPONENTS.keys():
        raise pytest.UsageError(f"{VARIABLE} names {sorted(unknown)}; known are {sorted(COMPONENTS)}")
    return names


def absence(name: str) -> str | None:
    """Say why a part cannot be used, or None when it is there."""
    if name not in COMPONENTS:
        raise pytest.UsageError(f"no component is called {name!r}; known are {sorted(COMPONENTS)}")
    if COMPONENTS[name].present():
        return None
    return f"{name} is absent ({COMPONENTS[name].install})"


def require(*names: str) -> None:
    """Skip the running test, or the file being collected, unless every part is there.

    Raises:
        pytest.fail.Exception: a part that SUREFOOT_REQUIRE names is absent.
    """
    for name in names:
        reason = absence(name)
        if reason is None:
            continue
        if name in required():
            pytest.fail(f"{reason}, and {VARIABLE} names it", pytrace=False)
        pytest.skip(reason, allow_module_level=True)
