"""Names on the wire: valid for every provider, unique, and found back."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.core.naming import wire_names
from surefoot.core.tool import ToolSpec

VALID = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
NAMES = st.text(min_size=1, max_size=80) | st.text(alphabet="aA.-_ 1é", min_size=1, max_size=4)


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("find_customer", "find_customer"),
        ("get-weather", "get-weather"),
        ("_private", "_private"),
        ("crm/find.customer", "crm_find_customer"),
        ("find customer", "find_customer"),
        ("búsqueda", "busqueda"),
        ("3d", "_3d"),
        ("-x-", "x"),
        ("検索", "tool_a501c425"),
        ("x" * 64, "x" * 64),
    ],
)
def test_names_are_kept_or_made_to_fit(name: str, sent: str) -> None:
    assert wire_names([ToolSpec(name)]).to_wire(name) == sent


def test_names_that_would_fall_together_stay_apart() -> None:
    names = wire_names(["a_b", "a.b", "a b"])
    assert names.to_wire("a_b") == "a_b"
    assert len({names.to_wire(name) for name in ("a_b", "a.b", "a b")}) == 3


def test_a_name_that_looks_like_ours_is_kept() -> None:
    taken = wire_names(["a.b", "a b"]).to_wire("a.b")
    names = wire_names(["a.b", "a b", taken])
    assert names.to_wire(taken) == taken
    assert names.from_wire(taken) == taken
    assert len(set(names.wire.values())) == 3


def test_tools_that_are_gone_and_names_nobody_gave_pass() -> None:
    names = wire_names(["now"])
    assert VALID.fullmatch(names.to_wire("gone tool"))
    assert names.to_wire("gone_tool") == "gone_tool"
    assert names.from_wire("invented") == "invented"


@given(st.lists(NAMES, max_size=12))
def test_every_name_is_valid_unique_and_found_back(given_names: list[str]) -> None:
    names = wire_names(given_names)
    sent = [names.to_wire(name) for name in set(given_names)]
    assert all(VALID.fullmatch(name) for name in sent)
    assert len(set(sent)) == len(sent)
    assert all(names.from_wire(names.to_wire(name)) == name for name in given_names)
    assert names == wire_names(reversed(given_names))
