"""Vectors in a table: near ones are found, by half precision or by sign bits, as entries come and go."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

from surefoot.journal.database import Own
from tests.components import require

require("embeddings")

import numpy as np  # noqa: E402  where it is absent, the file is not collected

from surefoot.memory.statements import statements  # noqa: E402  see above
from surefoot.memory.vectors import (  # noqa: E402  see above
    ENOUGH,
    Near,
    Shelf,
    code,
    mean_of,
    measure,
    stored,
    weighed,
)

WIDTH = 64


@pytest.fixture
def table() -> Iterator[sqlite3.Connection]:
    own = Own()  # closes its connection once nobody holds it
    connection = own()
    yield connection
    connection.close()


def drawn(count: int, seed: int = 3) -> np.ndarray:
    chance = np.random.default_rng(seed)
    centres = chance.standard_normal((20, WIDTH))
    rows = centres[chance.integers(0, 20, count)] + 0.5 * chance.standard_normal((count, WIDTH)) + 0.3
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def put(table: sqlite3.Connection, rows: np.ndarray, first: int = 1) -> None:
    table.execute(statements()["use_embedder"], {"name": "x", "now": 1})
    for at, row in enumerate(rows, first):
        half = stored(row.tolist()).half
        values = (at, "x", code(half, mean_of(table, "x")), half, b"")
        table.execute("INSERT INTO memory_vector (key, name, code, half, words) VALUES (?, ?, ?, ?, ?)", values)


def near(row: np.ndarray) -> Near:
    return weighed("", row.tolist(), {})


def test_signs_find_what_halves_find(table: sqlite3.Connection) -> None:
    rows = drawn(ENOUGH + 200)
    put(table, rows[:ENOUGH])
    measure(table, "x")
    assert mean_of(table, "x") is not None
    put(table, rows[ENOUGH:], ENOUGH + 1)
    measure(table, "x")
    exact, signs = Shelf(table, "x", WIDTH), Shelf(table, "x", WIDTH, exact=10)
    for row in rows[:20]:
        wanted, found = exact.nearest(near(row), 10), signs.nearest(near(row), 10)
        assert next(iter(wanted)) == next(iter(found)), "itself"
        assert len(wanted.keys() & found.keys()) >= 9
    few = [5, 7, 9]
    assert set(signs.nearest(near(rows[0]), 10, few)) <= {*few, *signs.nearest(near(rows[0]), 400)}
    assert set(exact.nearest(near(rows[0]), 10, few)) == set(few)


@pytest.mark.parametrize("exact", [10, 10_000])
def test_entries_come_and_go(table: sqlite3.Connection, exact: int) -> None:
    shelf, rows = Shelf(table, "x", WIDTH, exact=exact), drawn(60)
    assert shelf.nearest(near(rows[0]), 3) == {}
    put(table, rows[:40])
    assert next(iter(shelf.nearest(near(rows[3]), 3))) == 4
    put(table, rows[40:], 41)
    assert next(iter(shelf.nearest(near(rows[50]), 3))) == 51
    table.execute(statements()["drop_vector"], (51,))
    table.execute(statements()["gone"], ("e51", 1, "", ""))
    assert 51 not in shelf.nearest(near(rows[50]), 60)
    assert len(shelf.nearest(near(rows[50]), 100)) == 59


def test_a_plain_vector_stands_for_its_words(table: sqlite3.Connection) -> None:
    rows = drawn(3)
    put(table, rows)
    found = Shelf(table, "x", WIDTH).words([1, 2, 9], near(rows[0]))
    assert found.keys() == {1, 2}
    assert abs(float(found[1][0]) - 1) < 0.01
