"""Damage to the file is found, wherever it is, and what is readable can be saved."""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from surefoot.core import events as ev
from surefoot.core.errors import JournalCorrupt, StoreUnavailable
from surefoot.core.rows import Query
from surefoot.journal import check, salvage
from surefoot.testing.clock import ManualClock
from surefoot.testing.contracts.scenes import begin, end, launch, say, take
from tests.journal.files import opened

PAGE = 4096


async def journal(path: Path) -> None:
    """Make a journal of sixty runs that fills some hundred pages."""
    clock = ManualClock()
    async with opened(path, clock) as store:
        for number in range(60):
            run = f"run-{number:02}"
            match number % 4:
                case 0:
                    await end(store, run, f"answer {number} " * 20, session="s", tags=("x",))
                case 1:
                    await begin(store, run, seconds=1)
                    await store.append(run, [say(f"message {number} " * 60)], head=None)
                case 2:
                    await begin(store, run)
                    await store.append(run, [ev.RunSuspended(("q",))], head=2, epoch=1)
                case _:
                    await launch(store, run)
                    await store.append(run, [say(f"{number} " * 40_000)], head=None)
        await store.save(b"attachment" * 10_000)
        await store.redact("run-00", 3)
        await store.prune(before=clock.now() + 1, status=("failed",))


def flip(path: Path, place: int) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 0x10]))


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "journal.db"
    asyncio.run(journal(path))
    assert check(str(path)) == []
    return path


@pytest.fixture
def copy(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(sound, tmp_path / "journal.db"))


def change(path: Path, statement: str) -> None:
    """Change the file as no part of surefoot would."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(statement)
        for name, text in triggers:
            if name not in statement:
                connection.execute(text)


def test_every_flipped_byte_of_an_event_is_found(copy: Path, proof: bool, seed: int) -> None:
    # Salt, body and hash stand next to each other in a row; every byte of them, in every row, is a candidate.
    with contextlib.closing(sqlite3.connect(copy)) as connection:
        rows = connection.execute("SELECT salt, body, hash FROM event WHERE length(body) < 2000").fetchall()
    data = copy.read_bytes()
    places: list[int] = []
    for salt, body, digest in rows:
        record = salt + body.encode() + digest
        start = data.find(record)
        assert start > 0
        places += range(start, start + len(record))
    for place in random.Random(seed).sample(places, 2_000 if proof else 50):
        flip(copy, place)
        assert check(str(copy)) != [], place
        flip(copy, place)
    assert check(str(copy)) == []


def _changes() -> Iterator[str]:
    for column in ("seq", "epoch", "time", "version", "run", "position"):
        yield f"UPDATE event SET {column} = {column} + 1000 WHERE position = 7"
    for value in (
        "tag = 'run.warned'",
        "tag = x'ff'",
        "salt = x''",
        "salt = 'text'",
        "salt = zeroblob(99)",
        "body = x'ff'",
        "hash = ''",
    ):
        yield f"UPDATE event SET {value} WHERE position = 7"
    for column in ("id", "agent", "request", "session", "user", "tenant", "parent", "owner", "tags"):
        yield f"UPDATE run SET {column} = {column} || 'x' WHERE key = 2"
    for column in ("epoch", "wake_at", "claimed", "created_at", "key"):
        yield f"UPDATE run SET {column} = {column} + 1000 WHERE key = 2"
    yield "UPDATE run SET tags = '[1' WHERE key = 2"
    yield "UPDATE run SET tags = '7' WHERE key = 2"
    yield "UPDATE run SET status = 'ready' WHERE key = 1"
    yield "UPDATE run SET ended = ended - 1 WHERE key = 1"
    yield "UPDATE run SET owner = 'me' WHERE key = 1"
    yield "UPDATE event SET body = body || 'x' WHERE run = 1 AND seq = 3"
    yield "UPDATE event SET body = body || 'x' WHERE run = 4 AND seq = 2"
    yield "UPDATE blob SET data = x'00'"
    yield "DELETE FROM event WHERE position = 7"
    yield "DELETE FROM event WHERE run = 3"
    yield "DELETE FROM event"
    yield "DELETE FROM run WHERE key = 3"
    yield "DELETE FROM blob"
    yield "DROP INDEX event_said"
    yield "SELECT 'event_stays'"


@pytest.mark.parametrize("statement", list(_changes()))
def test_every_changed_value_is_found(copy: Path, statement: str) -> None:
    change(copy, statement)
    assert check(str(copy)) != []


def test_changing_nothing_is_no_damage(copy: Path) -> None:
    change(copy, "SELECT 1")
    assert check(str(copy)) == []


async def test_reading_damage_says_so(copy: Path) -> None:
    change(copy, "UPDATE event SET body = '{broken' WHERE run = 2 AND seq = 2")
    change(copy, "UPDATE event SET body = '{\"worker\":7}' WHERE run = 6 AND seq = 2")
    change(copy, "UPDATE event SET seq = 99 WHERE run = 10 AND seq = 2")
    change(copy, "DELETE FROM blob WHERE length(data) <> 100000")
    async with opened(copy) as store:
        for run in ("run-01", "run-05", "run-09", "run-03"):
            with pytest.raises(JournalCorrupt, match="surefoot doctor"):
                await store.read(run)
        with pytest.raises(JournalCorrupt, match="surefoot doctor"):
            async with contextlib.aclosing(store.follow()) as records:
                await take(records, 200)
        assert len(await store.read("run-02")) == 3
        # Whoever looks for a text is not stopped by what cannot be read.
        assert await store.find(Query(text="answer 4 "))
    for tags in ("7", "[1", "["):
        change(copy, f"UPDATE run SET tags = '{tags}' WHERE key = 1")
        async with opened(copy) as store:
            with pytest.raises(JournalCorrupt, match="surefoot doctor"):
                await store.get("run-00")
            with pytest.raises(JournalCorrupt, match="surefoot doctor"):
                await store.find(Query())
            assert (await store.get("run-01")).id == "run-01"


async def test_a_list_of_sessions_that_is_damaged_says_so(copy: Path) -> None:
    change(copy, "UPDATE run SET session = 's', parent = '', created_at = 'x'")
    async with opened(copy) as store:
        with pytest.raises(JournalCorrupt, match="the list of sessions is damaged"):
            await store.sessions(Query())
    change(copy, "UPDATE event SET tag = 'session.renamed', body = '{broken' WHERE run = 2 AND seq = 2")
    async with opened(copy) as store:
        with pytest.raises(JournalCorrupt, match="malformed JSON"):
            await store.sessions(Query())


def page(cell: bytes) -> bytes:
    """A file of one table page with one cell."""
    header = b"SQLite format 3\x00\x10\x00".ljust(100, b"\x00")
    leaf = b"\x0d\x00\x00\x00\x01\x01\x00\x00" + (256).to_bytes(2, "big")
    return (header + leaf).ljust(256, b"\x00") + cell.ljust(PAGE - 256, b"\x00")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no database at all " * 500,
        b"SQLite format 3\x00" + b"\xff" * 8_000,
        page(b"\xff" * 9),
        page(b"\x90\x00\x01" + b"\x01"),
        page(b"\x04\x01\x03\x0a\x0a"),
        page(b"\x0a\x01\x02\x07"),
        page(b"\x03\x01\x02\x31\x41"),
    ],
)
async def test_a_file_that_is_no_journal(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(content)
    if content:
        with pytest.raises(JournalCorrupt, match="surefoot doctor"):
            async with opened(path):
                pass
    assert check(str(path)) != []
    report = salvage(str(path), str(tmp_path / "saved.db"))
    assert (report.events, report.whole, report.cut) == (0, [], {})


async def everything(path: Path) -> dict[str, list[object]]:
    async with opened(path) as store:
        found: dict[str, list[object]] = {"app": [*await store.read("app")]}
        for row in await store.find(Query(limit=1_000)):
            found[row.id] = [*await store.read(row.id)]
        return found


async def test_a_sound_journal_is_saved_whole(copy: Path, tmp_path: Path) -> None:
    before = await everything(copy)
    saved = tmp_path / "saved.db"
    report = salvage(str(copy), str(saved))
    assert (len(report.whole), report.cut, report.lost, report.nameless, report.blobs) == (60, {}, 0, 0, 16)
    assert await everything(saved) == before
    assert check(str(saved)) == []
    with pytest.raises(StoreUnavailable, match="exists"):
        salvage(str(copy), str(saved))
    with pytest.raises(StoreUnavailable, match="cannot be read"):
        salvage(str(tmp_path / "nothing.db"), str(tmp_path / "other.db"))


async def test_the_log_is_saved_too(tmp_path: Path) -> None:
    # A copy of file and log as a crash leaves them; the log has been begun anew, and holds old pages at its end.
    path, crashed, saved = tmp_path / "journal.db", tmp_path / "crashed.db", tmp_path / "saved.db"
    async with opened(path) as store:
        await launch(store, "first")
        for number in range(1_000):
            await store.append("first", [say(f"{number} " * 100)], head=None)
        await end(store, "r", "x" * 10_000)
        for suffix in ("", "-wal"):
            shutil.copy(f"{path}{suffix}", f"{crashed}{suffix}")
        records = await store.read("r")
    assert salvage(str(crashed), str(saved)).whole == ["first", "r"]
    assert (await everything(saved))["r"] == records


def ruin(sound: Path, copy: Path, chance: random.Random) -> None:
    """Write nonsense in a few places."""
    damaged = bytearray(sound.read_bytes())
    for _ in range(chance.choice((1, 3, 10))):
        start = chance.randrange(len(damaged))
        length = len(damaged[start : start + chance.choice((1, 100, PAGE))])
        damaged[start : start + length] = chance.randbytes(length)
    copy.write_bytes(damaged)


async def test_whatever_is_damaged_the_rest_is_saved(sound: Path, copy: Path, tmp_path: Path, proof: bool, seed: int) -> None:
    before = await everything(copy)
    chance = random.Random(seed)
    for round_number in range(200 if proof else 3):
        ruin(sound, copy, chance)
        saved = tmp_path / f"saved-{round_number}.db"
        report = salvage(str(copy), str(saved))
        assert check(str(saved)) == []
        after = await everything(saved)
        for run in report.whole:
            assert after[run] == before[run]
        for run, kept in report.cut.items():
            assert after.get(run, [])[:kept] == before[run][:kept]
        assert report.events + report.lost + report.nameless > 100


async def test_a_run_that_is_cut_short_does_not_go_on(copy: Path, tmp_path: Path) -> None:
    change(copy, "UPDATE event SET hash = x'00' WHERE run = 2 AND seq = 3")
    change(copy, "UPDATE event SET body = '{}' WHERE run = 6 AND seq = 2")
    change(copy, "UPDATE event SET body = '{}' WHERE run = 5 AND seq = 3")
    change(copy, "UPDATE event SET body = '{}' WHERE run = 1 AND seq = 4")
    change(copy, "UPDATE event SET body = '{}' WHERE run = 10 AND seq = 1")
    change(copy, "DELETE FROM run WHERE key = 14")
    saved = tmp_path / "saved.db"
    report = salvage(str(copy), str(saved))
    assert report.cut == {"run-00": 3, "run-01": 2, "run-04": 2, "run-05": 1, "run-09": 0}
    assert report.nameless == 3
    clock = ManualClock()
    clock.advance(100)
    async with opened(saved, clock) as store:
        assert await store.check() == []
        assert (await store.get("run-00")).status == "done"
        for run in ("run-01", "run-04", "run-05"):
            row, records = await store.get(run), await store.read(run)
            assert row.status == "failed"
            assert isinstance(records[-1].event, ev.RunFailed)
            assert records[-1].event.error.kind == "corrupt"
            assert await store.claim(run, "worker", 60) is None
            await store.append(run, [ev.RunResumed()], head=row.head)
            assert await store.claim(run, "worker", 60) is not None
        assert await store.check() == []


async def test_what_was_removed_does_not_come_back(copy: Path, tmp_path: Path) -> None:
    # The body as it was still stands in an old page of the log.
    saved = tmp_path / "saved.db"
    async with opened(copy) as store:
        await end(store, "r", "forget this")
        log = Path(f"{copy}-wal").read_bytes()  # noqa: ASYNC240  one look
        await store.redact("r", 3)
    Path(f"{copy}-wal").write_bytes(log)  # noqa: ASYNC240  before it is read
    assert "r" in salvage(str(copy), str(saved)).whole
    assert "$redacted" in str((await everything(saved))["r"][2])


async def test_a_run_that_has_only_its_row_is_named(copy: Path, tmp_path: Path) -> None:
    change(copy, "DELETE FROM event WHERE run = 2")
    change(copy, "UPDATE event SET hash = x'00' WHERE run = 4")
    change(copy, "DELETE FROM blob WHERE digest = (SELECT substr(body, 11, 64) FROM event WHERE run = 12 AND seq = 2)")
    change(copy, "UPDATE run SET tags = '[1]' WHERE key = 3")
    change(copy, "UPDATE run SET tags = '[' WHERE key = 7")
    report = salvage(str(copy), str(tmp_path / "saved.db"))
    assert report.cut == {"run-01": 0, "run-03": 0, "run-11": 1}
    assert {"run-02", "run-06"} <= set(report.whole)


def test_a_ruined_page_is_said_and_not_raised(sound: Path, copy: Path) -> None:
    data = sound.read_bytes()
    for start in range(PAGE, len(data), PAGE * 7):
        copy.write_bytes(data[:start] + b"\xa5" * PAGE + data[start + PAGE :])
        assert check(str(copy)) != [], start


async def test_followers_hear_of_damage_that_another_brings(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with opened(path) as store:
        await launch(store, "r")
        async with contextlib.aclosing(store.follow("r")) as one, contextlib.aclosing(store.follow()) as every:
            await take(one, 1)
            await take(every, 1)
            waiting = [asyncio.create_task(take(records, 1)) for records in (one, every)]
            await asyncio.sleep(0)
            change(path, "INSERT INTO event VALUES (2, 1, 2, 0, 0, 'message.received', 1, x'', '{', x'')")
            for task in waiting:
                with pytest.raises(JournalCorrupt):
                    await task
