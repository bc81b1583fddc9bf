"""Models by name, and what they cost."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from surefoot.core.errors import ConfigurationError, MissingKey, UnknownProvider
from surefoot.core.messages import Usage
from surefoot.models import Models, default_model, has_price, model_from, price
from tests.models.wire import Wire, whole

KEYED = {"OPENAI_API_KEY": "k"}


@pytest.mark.needs("openai")
def test_a_name_is_a_provider_and_a_model() -> None:
    model = model_from("openai:gpt-6-sol", KEYED)
    assert model.name == "openai:gpt-6-sol"
    assert model.context_window == 1_050_000
    assert model_from(" openai ", KEYED).name.startswith("openai:gpt-")


@pytest.mark.needs("openai")
@pytest.mark.parametrize(
    ("name", "tokens"),
    [("gpt-4", 8_192), ("gpt-4o-2024-08-06", 128_000), ("vendor/gpt-4.1-mini", 1_000_000), ("new-thing", 32_000)],
)
def test_windows_are_known_or_guessed_low(name: str, tokens: int) -> None:
    assert model_from(f"openai:{name}", KEYED).context_window == tokens


@pytest.mark.parametrize(
    ("name", "words"),
    [("opnai:gpt-4", "'openai'"), ("gpt-4", "provider:model"), ("", "openai"), ("nobody:x", "known are")],
)
def test_an_unknown_provider_is_named_with_the_known(name: str, words: str) -> None:
    with pytest.raises(UnknownProvider, match=words):
        model_from(name, {})


@pytest.mark.needs("openai")
def test_the_default_is_what_is_set() -> None:
    assert default_model({"SUREFOOT_MODEL": "openai:gpt-4.1", **KEYED}).name == "openai:gpt-4.1"
    keyed = default_model(KEYED)
    assert keyed.name.startswith("openai:")
    assert has_price(keyed.name)
    with pytest.raises(MissingKey, match="OPENAI_API_KEY"):
        default_model({"SUREFOOT_MODEL": "openai:gpt-4.1"})


@pytest.mark.needs("anthropic", "gemini")
@pytest.mark.parametrize(
    ("key", "provider"), [("ANTHROPIC_API_KEY", "anthropic"), ("GEMINI_API_KEY", "gemini"), ("GOOGLE_API_KEY", "gemini")]
)
def test_a_key_brings_its_provider_and_a_model_with_a_price(key: str, provider: str) -> None:
    model = default_model({key: "k"})
    assert model.name.startswith(f"{provider}:")
    assert has_price(model.name)
    assert model.context_window == 1_000_000
    with pytest.raises(MissingKey, match=r"ANTHROPIC_API_KEY|GEMINI_API_KEY"):
        model_from(provider, {})


WITHOUT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("openai", "anthropic", "google", "aiohttp"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
from surefoot.core.errors import MissingExtra
from surefoot.models import model_from
try:
    model_from(sys.argv[1], dict.fromkeys(("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"), "k"))
except MissingExtra as error:
    print(error)
"""


@pytest.mark.parametrize("provider", ["openai", "anthropic", "gemini"])
def test_without_the_package_the_line_that_installs_it_is_given(provider: str) -> None:
    command = [sys.executable, "-c", WITHOUT, provider]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    assert f"pip install 'surefoot[{provider}]'" in done.stdout


@pytest.mark.needs("openai")
async def test_models_of_one_application_share_connections(wire: Wire) -> None:
    from surefoot.testing.contracts.model import ask

    models = Models({"OPENAI_BASE_URL": wire.url})
    first, second = models.model("openai:a"), models.model("openai:b")
    assert models.model("openai:a") is first
    wire.answers += [whole({"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]})] * 2
    for model in (first, second):
        await ask(model, "hi")
    assert [asked.body["model"] for asked in wire.asked] == ["a", "b"]
    assert not wire.gone.is_set()
    await models.aclose()
    await wire.gone.wait()


INSTALLED = """
import json, sys
sys.path.insert(0, {folder!r})
from surefoot.core.errors import ConfigurationError, UnknownProvider
from surefoot.models import model_from
try:
    model_from("elsewhere:x")
except UnknownProvider as error:
    known = str(error)
broken = []
for name in ("absent:x", "raises:x", "nothing:x"):
    try:
        model_from(name)
    except ConfigurationError as error:
        broken.append(str(error))
print(json.dumps([model_from("acme:m1").name, known, broken]))
"""


def test_another_package_can_bring_a_provider(tmp_path: Path) -> None:
    # A package as pip would leave it; in a process of its own, since installed packages are looked up once.
    (tmp_path / "acme.py").write_text(
        "from surefoot.testing.models import ScriptedModel\n"
        "def make(model):\n    return ScriptedModel('hi', name=f'acme:{model}')\n"
        "def nothing(model):\n    return 'nothing'\n"
    )
    info = tmp_path / "acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[surefoot.models]\nacme = acme:make\nabsent = acme:gone\nraises = acme_broken:make\nnothing = acme:nothing\n"
    )
    (tmp_path / "acme_broken.py").write_text("1 / 0\n")
    script = INSTALLED.format(folder=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr
    name, known, broken = json.loads(done.stdout)
    assert name == "acme:m1"
    assert "absent, acme, anthropic, gemini, local, nothing, openai, raises" in known
    assert ["acme:gone cannot be loaded" in broken[0], "division by zero" in broken[1]] == [True, True]
    assert broken[2] == "acme gave 'nothing' for nothing:x, which is no model; tell its author"


def test_looking_up_nothing_imports_no_package() -> None:
    heavy = {"openai", "anthropic", "google.genai", "aiohttp", "genai_prices", "pydantic"}
    script = f"import sys, surefoot.models; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.strip() == "[]"


def test_prices_are_whole_micro_dollars() -> None:
    # gpt-4.1: 2 dollars a million tokens in, 0.5 when cached, 8 out.
    assert price("openai:gpt-4.1", Usage(input=1_000, output=100, cached=400)) == 600 * 2 + 400 // 2 + 100 * 8
    assert price("openai:gpt-4.1", Usage()) == 0


def test_tiers_and_odd_counts_are_left_to_the_table() -> None:
    small, large = Usage(input=1_000), Usage(input=1_000_000)
    cheap, dear = price("openai:gpt-5.4", small), price("openai:gpt-5.4", large)
    assert cheap is not None
    assert dear is not None
    assert dear > cheap * 1_000
    assert price("openai:gpt-4.1", Usage(input=1, cached=5)) is None


@pytest.mark.parametrize("name", ["openai:no-such-model", "scripted:model", "nobody:x", "openai:", "x", ""])
def test_an_unknown_price_is_unknown(name: str) -> None:
    assert price(name, Usage(1, 1)) is None
    assert not has_price(name)


@pytest.mark.parametrize("name", ["openai:gpt-6.1-terra", "gemini:gemini-2.5-pro", "anthropic:claude-opus-4-5"])
def test_current_models_have_prices(name: str) -> None:
    assert has_price(name)


def test_what_runs_here_costs_nothing() -> None:
    assert price("local:anything", Usage(10, 10)) == 0


def test_nothing_set_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"SUREFOOT_MODEL.*surefoot models install"):
        default_model({"SUREFOOT_HOME": str(tmp_path)})
