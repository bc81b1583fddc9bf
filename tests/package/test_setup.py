"""The scripts behind `make`: what they say where something is missing, and what `make chat` sets up for which model."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

#: Stands for the environment that `.ci/venv` makes: each program writes down what it was asked.
VENV = """#!/bin/sh
echo "install $2" >>log
mkdir -p "$1/bin"
cat >"$1/bin/surefoot" <<'END'
#!/bin/sh
echo "$*" >>log
if [ "$1" = models ]; then
    mkdir -p home
    echo weights >home/weights
    echo "$PWD/home/weights"
fi
END
chmod +x "$1/bin/surefoot"
"""


def script(path: Path, text: str) -> Path:
    """Write a program."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def run(*command: str, cwd: Path, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a script in an environment with nothing that names a model or a key."""
    bare = {"PATH": os.environ["PATH"], "HOME": str(cwd), **(env or {})}
    return subprocess.run(command, cwd=cwd, env=bare, capture_output=True, text=True, timeout=30, check=False)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Give a folder that looks like a clone."""
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def chat(clone: Path, model: str = "", *options: str, env: Mapping[str, str] | None = None) -> list[str]:
    """Begin a conversation; what was installed and what was asked for since the last time."""
    script(clone / ".ci" / "venv", VENV)
    os.utime(clone / ".ci" / "venv", (0, 0))
    (clone / "log").unlink(missing_ok=True)
    done = run(".ci/chat", model, "", *options, cwd=clone, env=env)
    assert done.returncode == 0, done.stderr
    return (clone / "log").read_text().splitlines()


def test_a_python_without_venv_gives_the_line_that_installs_it(clone: Path) -> None:
    script(clone / "bare" / "sitecustomize.py", "import importlib.util\nimportlib.util.find_spec = lambda name: None\n")
    python = script(clone / "python", f'#!/bin/sh\nPYTHONPATH={clone}/bare exec {sys.executable} "$@"\n')
    done = run(".ci/venv", "made", "local", str(python), cwd=clone)
    assert done.returncode == 1
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert f"    apt-get install python{version}-venv     (or python3-venv)\n" in done.stderr
    assert not (clone / "made").exists()


@pytest.mark.parametrize(
    ("python", "said"),
    [("no-such-python", "does not run"), ("./old", "is Python 3.9.1; surefoot needs 3.11 or later.")],
)
def test_a_python_that_will_not_do_is_named(clone: Path, python: str, said: str) -> None:
    script(clone / "old", "#!/bin/sh\ncase $2 in *exit*) exit 1 ;; esac\necho 3.9.1\n")
    done = run(".ci/venv", "made", "local", python, cwd=clone)
    assert (done.returncode, said in done.stderr) == (1, True), done.stderr


def test_what_is_set_up_once_is_not_set_up_again(clone: Path) -> None:
    assert chat(clone) == ["install local", "models install", "chat"]
    assert chat(clone, "", "--session", "a b") == ["chat --session a b"]
    (clone / "home" / "weights").write_text("half")
    assert chat(clone) == ["models install", "chat"]
    assert chat(clone, env={"SUREFOOT_HOME": "elsewhere"}) == ["models install", "chat"]


def test_a_provider_and_the_embedded_model_are_set_up_side_by_side(clone: Path) -> None:
    assert chat(clone, "openai:some") == ["install openai", "chat --model openai:some"]
    assert chat(clone) == ["install local", "models install", "chat"]
    assert chat(clone, "openai:some") == ["chat --model openai:some"]
    (clone / "constraints.txt").touch()
    os.utime(clone / ".venv-chat" / ".set-up", (0, 0))
    assert chat(clone) == ["install local", "chat"]


@pytest.mark.parametrize(
    ("model", "env", "log"),
    [
        ("", {"OPENAI_API_KEY": "k", "GEMINI_API_KEY": "k"}, ["install openai", "chat"]),
        ("", {"ANTHROPIC_API_KEY": "k"}, ["install anthropic", "chat"]),
        ("", {"GEMINI_API_KEY": "k"}, ["install gemini", "chat"]),
        ("", {"GOOGLE_API_KEY": "k"}, ["install gemini", "chat"]),
        ("", {"OPENAI_API_KEY": " "}, ["install local", "models install", "chat"]),
        ("", {"SUREFOOT_MODEL": "anthropic:x"}, ["install anthropic", "chat"]),
        ("gemini:x", {"OPENAI_API_KEY": "k"}, ["install gemini", "chat --model gemini:x"]),
        ("local:", {"OPENAI_API_KEY": "k"}, ["install local", "models install", "chat --model local:"]),
        ("local:/my.gguf", {}, ["install local", "chat --model local:/my.gguf"]),
        ("of-another-package:x", {}, ["install ", "chat --model of-another-package:x"]),
    ],
)
def test_only_what_the_model_needs_is_set_up(clone: Path, model: str, env: dict[str, str], log: list[str]) -> None:
    assert chat(clone, model, env=env) == log
