"""Gone for good: no byte of what was redacted or pruned is left in any file of the journal."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from surefoot.core import events as ev
from surefoot.core.errors import StoreUnavailable
from surefoot.core.messages import Text
from surefoot.journal.sqlite import Settings
from surefoot.testing.clock import ManualClock
from surefoot.testing.contracts.scenes import begin, end, launch, say
from tests.journal.files import bytes_of, opened

SECRETS = [f"SECRET-{number:03}-ÄÖÜ" for number in range(40)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def found(path: Path) -> set[str]:
    data = bytes_of(path)
    return {secret for secret in SECRETS if secret.encode() in data}


@pytest.mark.parametrize("size", [0, 3_000, 70_000])
async def test_redacted_bytes_are_gone(path: Path, size: int) -> None:
    async with opened(path) as store:
        for number, secret in enumerate(SECRETS):
            await end(store, f"r{number}", secret + "." * size, prompt=f"kept {number}")
        assert found(path) == set(SECRETS)
        for number in range(0, 40, 2):
            await store.redact(f"r{number}", 3)
        assert found(path) == set(SECRETS[1::2])
        assert await store.check() == []
    assert found(path) == set(SECRETS[1::2])


async def test_a_redacted_start_is_gone_from_rows_and_indexes(path: Path) -> None:
    async with opened(path) as store:
        key, session, tag, prompt, user, *_ = SECRETS
        claim = await begin(store, "r", key=key, session=session, tags=(tag,), prompt=prompt, user=user)
        await store.append("r", [ev.RunFinished("so")], head=2, epoch=claim.epoch)
        await store.redact("r", 1)
        # Whose run it is stays.
        assert found(path) == {user}


async def test_redacted_blobs_are_gone(path: Path) -> None:
    async with opened(path) as store:
        digests = [await store.save(secret.encode() * 1_000) for secret in SECRETS[:3]]
        claim = await begin(store, "r")
        returned = [ev.ToolReturned("1.0", "head", blob=digest) for digest in digests]
        await store.append("r", [*returned, ev.RunFinished("so")], head=2, epoch=claim.epoch)
        await store.redact("r", 4)
        assert found(path) == {SECRETS[0], SECRETS[2]}


async def test_pruned_bytes_are_gone(path: Path) -> None:
    clock = ManualClock()
    async with opened(path, clock) as store:
        for number, secret in enumerate(SECRETS):
            result = await store.save(f"{secret} kept beside".encode())
            claim = await begin(store, f"r{number}", prompt=secret, tags=(secret,))
            long = say(secret + "." * 100_000)
            await store.append(f"r{number}", [long], head=2)
            last: list[ev.Event] = [ev.ToolReturned("1.0", "head", blob=result), ev.RunFinished(secret)]
            await store.append(f"r{number}", last[: 2 - number % 2], head=3, epoch=claim.epoch)
        clock.advance(1)
        assert len(await store.prune(before=clock.now())) == 20
        assert found(path) == set(SECRETS[1::2])
        assert await store.check() == []
    assert found(path) == set(SECRETS[1::2])


async def test_a_reader_in_the_way_is_said(path: Path) -> None:
    async with opened(path, settings=Settings(busy=0.05)) as store:
        await end(store, "r", SECRETS[0])
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM event").fetchall()
            with pytest.raises(StoreUnavailable, match="later"):
                await store.redact("r", 3)
            reader.execute("ROLLBACK")
        # Removed it is; the second time only cleans up.
        assert len(await store.read("r")) == 4
        await store.redact("r", 3)
        assert found(path) == set()
        assert len(await store.read("r")) == 4


async def test_nobody_else_changes_or_deletes_events(path: Path) -> None:
    async with opened(path) as store:
        await end(store, "ended")
        await launch(store, "open")
        await store.append("open", [ev.MessageReceived((Text("hi"),))], head=1)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in (
            "UPDATE event SET body = '{}' WHERE run = 1 AND seq = 1",
            "UPDATE event SET time = 0 WHERE run = 1 AND seq = 1",
            """UPDATE event SET salt = x'', body = '{"$redacted":"00"}' WHERE run = 2 AND seq = 1""",
            "DELETE FROM event WHERE run = 1",
            "DELETE FROM event",
        ):
            with pytest.raises(sqlite3.IntegrityError, match="an event is never"):
                connection.execute(statement)
