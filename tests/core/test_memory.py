"""What an agent may be told of its memory, and how a prompt's share of it is read back."""

from __future__ import annotations

from typing import Any

import pytest

from surefoot.core.errors import ConfigurationError
from surefoot.core.memory import Memory
from surefoot.core.recalled import injected, lines


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"max_entries": 0}, "keeps nothing"),
        ({"inject_entries": -1}, "must not be negative"),
        ({"share": ("planet",)}, "may name"),
        ({"embedder": "mine"}, "must be 'auto', 'none', or 'provider:name'"),
        ({"tools": ("recall", "dream")}, "may name"),
    ],
)
def test_settings_that_make_no_sense_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Memory(**given)


def test_a_text_that_memory_did_not_write_has_no_entries() -> None:
    assert lines("- 2026-01-01 user: hello") == []
    assert injected([]) == ""
