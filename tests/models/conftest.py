"""The servers that models are tested against: aimock from npm, and bytes given by the test."""

from __future__ import annotations

import asyncio
import functools
import os
import re
import signal
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.components import aimock as aimock_folder
from tests.components import program, require
from tests.models.wire import Wire

ANSWERS = Path(__file__).with_name("answers.json")


@pytest.fixture(scope="session")
def aimock() -> Iterator[str]:
    """Start aimock with the answers of `answers.json`; give its address, with the version that OpenAI's protocols have."""
    require("aimock")
    folder, node = aimock_folder(), program("node")
    assert folder is not None
    command = [str(node), str(folder / "dist" / "cli.js"), "--port", "0", "--fixtures", str(ANSWERS)]
    # A session of its own: what npm's packages call node may be a launcher, whose child would outlive it.
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        end = functools.partial(os.killpg, process.pid, signal.SIGKILL)
        killer = threading.Timer(5, end)  # ends the reading below, should it never say where it listens
        killer.start()
        said = ""
        for line in process.stdout:
            said += line
            found = re.search(r"http://127\.0\.0\.1:\d+", line)
            if found:
                break
        else:
            pytest.fail(f"aimock did not start: {said}")
        killer.cancel()
        # What it goes on to say must be read, or it would stop once the pipe is full.
        drain = threading.Thread(target=process.stdout.read, daemon=True)
        drain.start()
        try:
            yield f"{found[0]}/v1"
        finally:  # however the session ends: whoever leaves this block waits for the process
            end()
            process.wait(5)
            drain.join(5)


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    """Give a server that answers what it is told to."""
    async with asyncio.timeout(30), Wire() as server:
        yield server
