"""What every test runs under: one event loop, needed parts checked first, seeds printed, what did not run listed.

`async def test_…` needs no marker. `needs("node")` skips where a part is absent (see `components.py`), `proof` marks
what only `--proof` runs. The fixtures `seed` and `proof` give randomised tests their seed and their length.
"""

from __future__ import annotations

import os
import random
import re
import signal
from collections import Counter

import pytest
from hypothesis import core, settings

from tests.components import require, required

# A shared machine has no deadline worth failing for; --seed and the printed blob repeat a failure.
settings.register_profile("quick", deadline=None, print_blob=True)
settings.register_profile("proof", deadline=None, print_blob=True, max_examples=2_000)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("surefoot")
    group.addoption("--proof", action="store_true", help="run the long proofs")
    group.addoption("--seed", type=int, default=None, help="seed of randomised tests (default: a new one)")


def pytest_configure(config: pytest.Config) -> None:
    required()  # a misspelt name fails here, not in silence
    if config.option.seed is None:  # xdist hands the options, and so this seed, to its workers
        config.option.seed = random.SystemRandom().randrange(2**32)
    settings.load_profile("proof" if config.option.proof else "quick")
    # Whoever starts the tests in the background has them ignore Ctrl-C, and with them every program they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.getoption("hypothesis_seed", None) is None:
        core.global_force_seed = config.option.seed


def pytest_report_header(config: pytest.Config) -> str:
    wanted = ", ".join(sorted(required())) or "nothing"
    return f"surefoot: --seed={config.option.seed}; required: {wanted}"


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("needs"):
        require(*marker.args)
    if item.get_closest_marker("proof") and not item.config.getoption("--proof"):
        pytest.skip("long proof (make proof)")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run every coroutine test on asyncio, the only loop that is supported."""
    return "asyncio"


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """Give the seed of this session; a failing test shows it, and `--seed=N` repeats it."""
    value: int = request.config.option.seed
    print(f"--seed={value}")
    return value


@pytest.fixture
def proof(request: pytest.FixtureRequest) -> bool:
    """Tell whether this is a long run: `rounds = 1000 if proof else 20`."""
    return bool(request.config.getoption("--proof"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reasons: Counter[str] = Counter()
    for report in terminalreporter.stats.get("skipped", []):
        text = str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reasons[re.sub(r"^Skipped: ", "", text)] += 1
    terminalreporter.section("not run, and why")
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"{count:4} x {reason}")
    if not reasons:
        terminalreporter.write_line("nothing was left out")
    if os.environ.get("CI") and reasons:
        terminalreporter.write_line("In CI, what must be there is named in .ci/run.")
