"""`surefoot serve`, `worker` and `token` as processes: started, asked, stopped."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.cli.conftest import Surefoot, surefoot
from tests.cli.terminal import SHOP
from tests.components import require
from tests.package.source import ROOT

require("server")

__all__ = ["surefoot"]


@contextmanager
def program(folder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start the program; give it and the first line it says."""
    command = [sys.executable, "-m", "surefoot", *arguments, "--agents", f"{SHOP}:agents"]
    environment = {**os.environ, "SUREFOOT_GRACE": "1"}
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        try:
            yield process, process.stderr.readline()
        finally:
            process.kill()


def ask(url: str, path: str, body: object = None) -> object:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data, {"Content-Type": "application/json"} if data else {})
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.load(answer)


def test_a_server_serves_until_it_is_told_to_stop(tmp_path: Path) -> None:
    with program(tmp_path, "serve", "--port", "0") as (process, said):
        url = re.findall(r"http://127\.0\.0\.1:\d+", said)[0]
        run = ask(url, "/api/runs", {"agent": "clerk", "input": "hello", "wait": 4})
        assert isinstance(run, dict)
        assert run["status"] == "done"
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) in (0, -signal.SIGTERM)
    with program(tmp_path, "serve", "--port", "0") as (_, said):
        url = re.findall(r"http://127\.0\.0\.1:\d+", said)[0]
        again = ask(url, f"/api/runs/{run['id']}")
        assert again == run


def test_a_file_of_settings_stands_under_environment_and_options(tmp_path: Path, surefoot: Surefoot) -> None:
    file = tmp_path / "surefoot.toml"
    file.write_text(f'store = "sqlite:{tmp_path / "kept.db"}"\nport = 0\nhost = "127.0.0.1"\ngrace = 0.5\ndurable = true\n')
    with program(tmp_path, "serve", "--config", str(file)) as (_, said):
        url = re.findall(r"http://127\.0\.0\.1:\d+", said)[0]
        assert url != "http://127.0.0.1:8420"
        ask(url, "/api/runs", {"agent": "clerk", "input": "hello", "wait": 4})
    assert (tmp_path / "kept.db").exists()
    for text, told in (
        ("colour = 1", "there is no setting 'colour'; there is adopt, agent_concurrency, agents"),
        ("port = [1]", "port must be text, a number, true or false"),
        ("port = ", "is not TOML"),
        ("port = 70000", "SUREFOOT_PORT is '70000'"),
        ("port = 'x'", "SUREFOOT_PORT is 'x'"),
    ):
        file.write_text(text)
        done = _refused(tmp_path, "serve", "--config", str(file))
        assert (done.returncode, told in done.stderr) == (2, True), done.stderr
    assert "cannot be read" in _refused(tmp_path, "worker", "--config", "nowhere.toml").stderr


def _refused(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "surefoot", *arguments, "--agents", f"{SHOP}:agents"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=20)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze")
def test_the_documented_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "howto" / "operate.md").read_text(encoding="utf-8")
    (unit,) = re.findall(r"```ini\n(.*?)```", page, re.DOTALL)
    path = tmp_path / "surefoot.service"
    path.write_text(unit.replace("/srv/agents/.venv/bin/surefoot", sys.executable))
    done = subprocess.run(["systemd-analyze", "verify", str(path)], capture_output=True, text=True, check=False, timeout=20)
    assert (done.returncode, "surefoot.service" in done.stderr) == (0, False), done.stderr


def test_a_server_that_somebody_listens_to_stops_at_once(tmp_path: Path) -> None:
    with program(tmp_path, "serve", "--port", "0") as (process, said):
        url = re.findall(r"http://127\.0\.0\.1:\d+", said)[0]
        asked = ask(url, "/api/runs", {"agent": "clerk", "input": "refund it", "wait": 4})
        assert isinstance(asked, dict)
        paths = ["/console/changes", "/api/events", f"/api/runs/{asked['id']}/stream"]
        with ExitStack() as open_streams:
            for path in paths:
                stream = open_streams.enter_context(urllib.request.urlopen(url + path, timeout=5))
                stream.readline()
            process.send_signal(signal.SIGTERM)
            assert process.wait(5) in (0, -signal.SIGTERM)
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()


def test_a_worker_goes_on_with_what_others_started(tmp_path: Path, surefoot: Surefoot) -> None:
    asked = surefoot("run", "clerk", "refund it", "--json").json
    assert surefoot("decide", asked["waiting"][0]["id"], "--approve").code == 0
    with program(tmp_path, "worker") as (process, said):
        assert said.startswith("working on runs of boss, clerk")
        assert surefoot("resume", asked["id"]).out.startswith("Then: refunded")
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0


def test_tokens_are_made_listed_and_revoked(surefoot: Surefoot) -> None:
    said = surefoot("token", "create", "--user", "dana", "--role", "approver", "--tenant", "shop", "--lasts", "30d")
    assert re.fullmatch(r"sft_[0-9a-f]{12}_[\w-]{43}\n", said.out)
    listed = surefoot("token", "list").out
    name = said.out.split("_")[1]
    assert listed.startswith(f"{name}  approver  dana of shop  since ")
    assert said.out.strip() not in listed
    assert surefoot("token", "revoke", name).code == 0
    assert surefoot("token", "list").out == ""
    again = surefoot("token", "revoke", name)
    assert (again.code, "surefoot token list" in again.err) == (2, True)
    assert surefoot("token", "create", "--user", " ", "--role", "admin").code == 2


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_others_are_not_served_without_tokens(surefoot: Surefoot, host: str) -> None:
    said = surefoot("serve", "--host", host, "--port", "0")
    assert said.code == 2
    assert "surefoot token create" in said.err


def test_an_address_that_cannot_be_had_says_so(surefoot: Surefoot, tmp_path: Path) -> None:
    with program(tmp_path, "serve", "--port", "0") as (_, first):
        port = first.rpartition(":")[2].split()[0]
        said = surefoot("serve", "--port", port)
        assert said.code == 2
        assert f"cannot listen on 127.0.0.1:{port}" in said.err
