"""What every `Channel` must do, as tests: inherit, and give fixtures named ``channel`` and ``sent``.

``sent`` is a function of a `Request`, a decision, a name and a time: the callback, as it comes back from the channel, of that
person who decides so until that time (Unix microseconds). ``told`` counts the questions that reached people.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from surefoot.core.errors import MayNotDecide
from surefoot.core.ports import Channel
from surefoot.core.request import Request

__all__ = ["REQUEST", "Contract", "Sent"]

#: Makes a callback.
Sent = Callable[[Request, str, str, int], str]

#: A question, with text that would deceive whoever printed it as it is.
REQUEST = Request("r:0.0", "r", "0.0", "call", "refund", '{"order":"8\u202e1"}', "d" * 64, "money <b>leaves</b>")
_UNTIL = 1_800_000_000_000_000


class Contract:
    """The behaviour of the port."""

    def told(self, channel: Channel) -> int:
        """How many questions reached people."""
        raise NotImplementedError

    def test_it_has_a_name(self, channel: Channel) -> None:
        """A cursor is named after it."""
        assert channel.name == channel.name.strip() != ""

    def test_a_question_is_told(self, channel: Channel) -> None:
        """Each time somebody says so."""
        before = self.told(channel)
        channel.notify(REQUEST)
        channel.notify(REQUEST)
        assert self.told(channel) == before + 2

    def test_a_callback_says_who_decides_what(self, channel: Channel, sent: Sent) -> None:
        """For exactly the call that was asked about."""
        for decision in ("approve", "deny"):
            found = channel.verify(sent(REQUEST, decision, "dana", _UNTIL), _UNTIL - 1)
            assert (found.request, found.digest, found.decision) == (REQUEST.id, REQUEST.digest, decision)
            assert found.by == "dana"

    def test_one_that_is_too_old_decides_nothing(self, channel: Channel, sent: Sent) -> None:
        """A second after its time at the latest."""
        with pytest.raises(MayNotDecide):
            channel.verify(sent(REQUEST, "approve", "dana", _UNTIL), _UNTIL + 1_000_000)

    def test_what_nobody_sent_decides_nothing(self, channel: Channel, sent: Sent) -> None:
        """Garbage, and what was cut short."""
        real = sent(REQUEST, "approve", "dana", _UNTIL)
        for wrong in ("", "x", "{}", "a.b", "\x00", real[: len(real) // 2], real[:-3], "\ud800"):
            with pytest.raises(MayNotDecide):
                channel.verify(wrong, _UNTIL - 1)
