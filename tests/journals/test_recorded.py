"""Journals recorded by every release: they decode, fold to what they folded to, and are written back to the same bytes."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import msgspec
import pytest

from surefoot.core import codec
from surefoot.core import events as ev
from surefoot.core.events import Record
from surefoot.journal import chain
from tests.journals.record import HERE, record, release, summary

JOURNALS = sorted(HERE.glob("*.jsonl"))
AGAIN = "record this version's journal: python -m tests.journals.record"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def records(path: Path) -> dict[str, list[Record]]:
    """Decode a journal, stream by stream."""
    streams: dict[str, list[Record]] = defaultdict(list)
    for position, line in enumerate(lines(path), 1):
        event = codec.decode(line["tag"], line["body"], line["version"])
        streams[line["stream"]].append(Record(position, line["stream"], line["seq"], line["epoch"], line["time"], event))
    return streams


def is_redacted(line: dict[str, Any]) -> bool:
    return str(line["body"]).startswith('{"$redacted"')


def test_this_version_has_a_journal() -> None:
    assert HERE / f"{release()}.jsonl" in JOURNALS, AGAIN


@pytest.mark.parametrize("path", JOURNALS, ids=lambda path: path.stem)
def test_every_event_decodes_and_is_written_back_to_the_same_bytes(path: Path) -> None:
    for line in lines(path):
        event = codec.decode(line["tag"], line["body"], line["version"])
        assert isinstance(event, ev.Unknown) == is_redacted(line), line["tag"]
        if line["version"] == codec.VERSION and not is_redacted(line):
            assert codec.encode(event) == (line["tag"], line["body"].encode()), f"{AGAIN}, or undo the change"


@pytest.mark.parametrize("path", JOURNALS, ids=lambda path: path.stem)
def test_the_chain_of_every_stream_holds(path: Path) -> None:
    hashes: dict[str, bytes] = {}
    for line in lines(path):
        stream = line["stream"]
        sealed = chain.Sealed(
            line["seq"], line["epoch"], line["time"], line["tag"], line["version"],
            bytes.fromhex(line["salt"]), line["body"].encode(),
        )  # fmt: skip
        hashes[stream] = chain.seal(hashes.get(stream, b""), stream, sealed)
        assert hashes[stream].hex() == line["hash"].lower(), f"{stream} {line['seq']}"


@pytest.mark.parametrize("path", JOURNALS, ids=lambda path: path.stem)
def test_every_run_folds_to_what_it_folded_to(path: Path) -> None:
    kept = json.loads(path.with_suffix(".states.json").read_text())
    now = {stream: summary(found) for stream, found in records(path).items() if stream != "app"}
    assert now == kept


def test_every_kind_of_event_is_recorded_with_every_field() -> None:
    found: dict[type[Any], set[str]] = {}
    for stream in records(HERE / f"{release()}.jsonl").values():
        for item in stream:
            kind, names = type(item.event), found.setdefault(type(item.event), set())
            names |= {
                field.name
                for field in msgspec.structs.fields(kind)
                if field.required or getattr(item.event, field.name) != _default(field)
            }
    # Nobody writes `Unknown`: it is what a reader makes of an event that it cannot know.
    for kind in {*ev.RUN_EVENTS, *ev.APP_EVENTS} - {ev.Unknown}:
        assert kind in found, f"{ev.tag_of(kind)} is in no recorded run; {AGAIN}"
        missing = {field.name for field in msgspec.structs.fields(kind)} - found[kind] - UNSET.get(kind, set())
        assert not missing, f"{ev.tag_of(kind)} is recorded without {missing}; {AGAIN}"


#: What stores do not set themselves.
UNSET = {ev.RunPruned: {"reason"}}


def _default(field: msgspec.structs.FieldInfo) -> Any:
    return field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()


async def test_recording_again_gives_a_journal_of_the_same_kind(tmp_path: Path) -> None:
    await record(tmp_path / "again.jsonl")
    again = json.loads((tmp_path / "again.states.json").read_text())
    kept = json.loads((HERE / f"{release()}.states.json").read_text())
    assert sorted(state["status"] for state in again.values()) == sorted(state["status"] for state in kept.values())
    assert {line["tag"] for line in lines(tmp_path / "again.jsonl")} == {
        line["tag"] for line in lines(HERE / f"{release()}.jsonl")
    }
