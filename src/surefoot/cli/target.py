"""Find the agents a command works with: ``module:name`` or ``file.py:name``, an Agent, a list of them, or an App."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from surefoot.app import App
from surefoot.core.agent import Agent
from surefoot.core.errors import ConfigurationError, UnknownAgent

__all__ = ["Target", "load"]

#: Frames of a broken module's traceback that are shown.
_TAIL = 5


@dataclass(frozen=True, slots=True)
class Target:
    """What ``--agents`` names: the agents, and the App when they came in one."""

    name: str
    agents: tuple[Agent[Any, Any], ...]
    app: App | None = None

    def agent(self, name: str) -> Agent[Any, Any]:
        """The agent of that name. Raises UnknownAgent, which lists the others."""
        for agent in self.agents:
            if agent.name == name:
                return agent
        known = ", ".join(sorted(agent.name for agent in self.agents))
        raise UnknownAgent(f"{self.name} has no agent {name!r}; it has: {known}")


def load(target: str) -> Target:
    """Import what ``target`` names; the current directory is importable.

    Raises ConfigurationError when the module, the name or the kind is wrong, or the module itself fails; then the text
    holds the end of its traceback.
    """
    where, colon, name = target.rpartition(":")
    if not colon or not where or not name:
        raise ConfigurationError(f"{target!r} does not say where the agents are; write --agents module:name, or file.py:name")
    module = _module_of_file(Path(where)) if where.endswith(".py") else _module(where)
    missing = object()
    found: object = module
    for part in name.split("."):
        found = getattr(found, part, missing)
    if found is missing:
        raise ConfigurationError(f"{where} has no {name!r}; {_candidates(where, module)}")
    return _target(target, found, _candidates(where, module))


def _target(target: str, found: object, hint: str) -> Target:
    if isinstance(found, App):
        return Target(target, tuple(found.agents.values()), found)
    if isinstance(found, Agent):
        return Target(target, (found,))
    if isinstance(found, Iterable) and not isinstance(found, str | bytes | dict):
        agents = tuple(found)
        if agents and all(isinstance(agent, Agent) for agent in agents):
            return Target(target, agents)
    kind = type(found).__name__
    raise ConfigurationError(f"{target} is a {kind}, not an Agent, a list of Agents, or an App; {hint}")


def _candidates(where: str, module: ModuleType) -> str:
    """What the module has to offer instead."""
    names = [name for name, value in vars(module).items() if not name.startswith("_") and _offers(value)]
    return f"it offers: {', '.join(f'{where}:{name}' for name in names)}" if names else "it defines no agents at all"


def _offers(value: object) -> bool:
    if isinstance(value, Agent | App):
        return True
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(item, Agent) for item in value)


def _module(name: str) -> ModuleType:
    _importable(Path.cwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise _broken(name, error) from error
        raise ConfigurationError(
            f"there is no module {name!r}, neither here ({Path.cwd()}) nor installed; write --agents module:name, or file.py:name"
        ) from None
    except (Exception, SystemExit) as error:
        raise _broken(name, error) from error


def _module_of_file(path: Path) -> ModuleType:
    path = path.expanduser().absolute()
    if not path.is_file():
        raise ConfigurationError(f"there is no file {path}; write --agents file.py:name, or module:name")
    _importable(path.parent)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None  # a .py file always has both
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # what a class of that file says of its module must be true
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[path.stem]
        raise _broken(str(path), error) from error
    return module


def _importable(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _broken(name: str, error: BaseException) -> ConfigurationError:
    """An error with the end of the module's own traceback: its frames, not those of the import system."""
    report = traceback.TracebackException.from_exception(error)
    frames = [frame for frame in report.stack if "importlib" not in frame.filename and frame.filename != __file__]
    report.stack = traceback.StackSummary.from_list(frames[-_TAIL:])
    return ConfigurationError(f"{name} cannot be imported; mend it and try again\n{''.join(report.format(chain=False)).rstrip()}")
