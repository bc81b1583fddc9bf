"""`--agents`: where the agents are found, and what is said when they are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Surefoot
from tests.cli.terminal import SHOP

MODULE = """
from surefoot.core.agent import Agent
from surefoot.testing import FunctionModel

def answer(request):
    return {answer!r}

mine = Agent("mine", model=FunctionModel(answer))
several = [mine]

class Box:
    inside = mine
"""


def write(name: str, text: str = MODULE, answer: str = "mine") -> None:
    """Write a module into the current folder."""
    Path(name).write_text(text.replace("{answer!r}", repr(answer)), encoding="utf-8")


@pytest.mark.parametrize(
    "target", ["here_a:mine", "here_a:several", "here_a:Box.inside", "./here_a.py:mine", "here_a.py:several"]
)
def test_agents_are_found_in_the_current_folder(surefoot: Surefoot, target: str) -> None:
    write("here_a.py")
    assert surefoot("--agents", target, "run", "mine", "hi").out == "mine\n"
    assert surefoot("run", "mine", "hi", "--agents", target).out == "mine\n"


def test_agents_py_is_where_they_are_by_default(surefoot: Surefoot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUREFOOT_AGENTS")
    said = surefoot("run", "mine", "hi")
    assert said.code == 2
    assert "give --agents module:name, set SUREFOOT_AGENTS, or begin with `surefoot init`" in said.err
    write("agents.py", MODULE.replace("several", "agents"))
    assert surefoot("run", "mine", "hi").out == "mine\n"


def test_an_app_brings_its_own_store(surefoot: Surefoot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUREFOOT_AGENTS", f"{SHOP}:app")
    assert surefoot("runs").code == 5
    assert list(Path().iterdir()) == []
    assert surefoot("run", "clerk", "hello").out == "You said: hello\n"
    assert Path("shop.db").exists()
    assert not Path("surefoot.db").exists()
    assert len(surefoot("runs", "--json").objects) == 1
    said = surefoot("run", "clerk", "hello", "--store", "sqlite:other.db")
    assert said.code == 2
    assert "has a store of its own" in said.err
    assert not Path("other.db").exists()


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("shop", "write --agents module:name, or file.py:name"),
        (":agents", "write --agents module:name, or file.py:name"),
        ("no_such_module_x:agents", "there is no module 'no_such_module_x', neither here"),
        ("absent.py:agents", "there is no file"),
        (f"{SHOP}:nobody", "has no 'nobody'; it offers: "),
        (f"{SHOP}:nobody", "shop.py:clerk"),
        (f"{SHOP}:number", "is a int, not an Agent, a list of Agents, or an App"),
        (f"{SHOP}:mixed", "is a list, not an Agent, a list of Agents, or an App"),
        ("json:dumps", "it defines no agents at all"),
    ],
)
def test_what_is_no_target_is_explained(surefoot: Surefoot, target: str, message: str) -> None:
    said = surefoot("run", "clerk", "hi", "--agents", target)
    assert (said.code, said.out) == (2, "")
    assert message in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize("target", ["broken_a:agents", "broken_a.py:agents"])
@pytest.mark.parametrize(
    ("text", "tail"),
    [
        ("def f():\n    return 1 / 0\n\nf()\n", "ZeroDivisionError: division by zero"),
        ("import surely_not_installed\n", "ModuleNotFoundError: No module named 'surely_not_installed'"),
        ("raise SystemExit('no')\n", "SystemExit: no"),
        ("def f(:\n", "SyntaxError"),
        ("raise ValueError('\\x1b[31m')\n", "ValueError: \\u001b[31m"),
    ],
)
def test_a_broken_module_shows_the_end_of_its_own_traceback(surefoot: Surefoot, target: str, text: str, tail: str) -> None:
    write("broken_a.py", text)
    said = surefoot("tools", "--agents", target)
    assert said.code == 2
    assert "cannot be imported; mend it and try again\n" in said.err
    assert tail in said.err
    assert "importlib" not in said.err
    assert "surefoot/cli" not in said.err


def test_two_agents_of_one_name_are_refused(surefoot: Surefoot) -> None:
    write("twice_a.py", MODULE + "\nboth = [mine, Agent('mine')]\n")
    said = surefoot("run", "mine", "hi", "--agents", "twice_a:both")
    assert said.code == 2
    assert "two different agents are named 'mine'" in said.err
