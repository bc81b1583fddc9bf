"""`surefoot memory …`: what is remembered, listed, searched, added, forgotten, moved as text, counted and audited."""

from __future__ import annotations

import json
from pathlib import Path

from surefoot.cli.codes import Code
from tests.cli.conftest import Surefoot

TURNS: list[dict[str, object]] = [
    {"session_id": "a", "timestamp": "2026-01-05T10:00:00+00:00", "role": "user", "content": "Our ferry is called Nixe."},
    {"session_id": "a", "timestamp": 1767607201, "role": "assistant", "content": "Nixe, a fine name for a ferry."},
    {"session_id": "b", "timestamp": "2026-01-06T10:00:00", "role": "user", "content": "Pay by 4111 1111 1111 1111 please."},
]
MINE = ("--agent", "clerk", "--user", "ann")


def test_a_memory_is_moved_as_text(surefoot: Surefoot, tmp_path: Path) -> None:
    surefoot("run", "clerk", "hello world", "--id", "1")
    file = tmp_path / "turns.json"
    file.write_text(json.dumps(TURNS), encoding="utf-8")
    assert surefoot("memory", "import", str(file), *MINE).out.split() == ["3", "kept"]
    assert "it is there already" in surefoot("memory", "import", str(file), *MINE).out
    listed = surefoot("memory", "list", "--json", "--user", "ann").objects
    assert [entry["text"] for entry in listed][::-1] == [*(turn["content"] for turn in TURNS[:2]), "Pay by [card number] please."]
    exported = json.loads(surefoot("memory", "export").out)
    assert [turn["session_id"] for turn in exported] == ["a", "a", "b"]
    assert exported[0] == TURNS[0]
    lines = surefoot("memory", "export", "--lines").objects
    assert {line["id"] for line in lines} == {entry["id"] for entry in listed}
    assert surefoot("memory", "list", "--user", "bob").err.strip() == "nothing is remembered"


def test_it_is_searched_shown_counted_and_forgotten(surefoot: Surefoot, tmp_path: Path) -> None:
    surefoot("run", "clerk", "hello world", "--id", "1")
    file = tmp_path / "turns.json"
    file.write_text(json.dumps(TURNS), encoding="utf-8")
    surefoot("memory", "import", str(file), *MINE)
    found = surefoot("memory", "search", "the ferry", "--explain")
    assert "Nixe" in found.out.splitlines()[0]
    (entry, *_) = surefoot("memory", "list", "--json", "--limit", "1").objects
    assert "text: Pay by [card number] please." in surefoot("memory", "show", entry["id"]).out
    assert surefoot("memory", "stats", "--json").objects == [
        {"tenant": "", "user": "ann", "agent": "clerk", "session": "", "kind": "episode", "entries": 3}
    ]
    assert surefoot("memory", "forget", entry["id"], "--yes").out.strip() == "1 forgotten"
    assert surefoot("memory", "show", entry["id"]).code == Code.USAGE
    assert surefoot("memory", "forget", "--all", "--yes").out.strip() == "2 forgotten"
    assert surefoot("memory", "search", "the ferry").err.strip() == "nothing was found"
    for path in tmp_path.rglob("*"):
        if path.is_file() and path != file:
            assert b"nixe" not in path.read_bytes().lower(), path


def test_facts_replace_each_other_and_are_audited(surefoot: Surefoot) -> None:
    surefoot("run", "clerk", "hello world", "--id", "1")
    where = ("--subject", "office", "--predicate", "is in", *MINE)
    assert surefoot("memory", "add", "The office is in Kiel", *where).out.strip().endswith("new")
    surefoot("memory", "add", "The office is in Husum", *where)
    assert "it repeats" in surefoot("memory", "add", "the office is in husum!", *where).out
    assert [entry["text"] for entry in surefoot("memory", "list", "--json").objects] == ["The office is in Husum"]
    assert len(surefoot("memory", "list", "--json", "--closed", "--kind", "fact").objects) == 2
    surefoot("memory", "add", "Answer in Frisian", "--block", "language", *MINE)
    assert surefoot("memory", "audit").err.strip() == "nothing is wrong"


def test_what_makes_no_sense_is_refused(surefoot: Surefoot, tmp_path: Path) -> None:
    surefoot("run", "clerk", "hello world", "--id", "1")
    for wrong in (
        "{",
        '[{"role": "user"}]',
        '[{"role": "user", "content": "x", "timestamp": "soon"}]',
        '[{"role": 1, "content": "x"}]',
    ):
        file = tmp_path / "wrong.json"
        file.write_text(wrong, encoding="utf-8")
        assert surefoot("memory", "import", str(file), *MINE).code == Code.USAGE
    assert surefoot("memory", "import", str(tmp_path / "none.json"), *MINE).code == Code.USAGE
    assert surefoot("memory", "forget").code == Code.USAGE
    assert surefoot("memory", "list", "--kind", "dream").code == Code.USAGE
    assert surefoot("memory", "show", "nobody").code == Code.USAGE
