"""What every `Retries` must do, as tests: inherit, and give a fixture named ``retries``."""

from __future__ import annotations

import itertools

from surefoot.core.errors import ModelError
from surefoot.core.ports import Retries
from surefoot.core.taxonomy import KINDS, Trial

__all__ = ["Contract"]

_ERRORS: tuple[BaseException, ...] = (
    ValueError("no"),
    ConnectionError("gone"),
    TimeoutError("late"),
    PermissionError("never"),
    ModelError("rate_limited", "slow down"),
    RuntimeError(""),
    ExceptionGroup("several", [ValueError("one"), OSError("other")]),
)
_CHANCES = (0.0, 0.3, 0.999_999)
_INFINITE = float("inf")


class Contract:
    """The behaviour of the port."""

    def test_every_failure_has_a_kind(self, retries: Retries) -> None:
        """Text, the same each time; and somebody vouches for it or does not."""
        for error in _ERRORS:
            assert retries.kind_of(error) == retries.kind_of(error) != ""
            assert retries.harmless(error) is retries.harmless(error)

    def test_enough_is_enough(self, retries: Retries) -> None:
        """After the last try there is none, whatever the failure."""
        for kind, tries in itertools.product(KINDS, (1, 3, 10)):
            assert retries.delay(Trial(kind, tries, tries), 0.5) is None
            assert retries.delay(Trial(kind, tries + 1, tries), 0.5) is None

    def test_a_delay_is_time_that_there_is(self, retries: Retries) -> None:
        """Finite, not negative, and over before the deadline; the same for the same chance."""
        for kind, left, chance in itertools.product(KINDS, (0.0, 0.01, 5.0, _INFINITE), _CHANCES):
            trial = Trial(kind, 1, 5, left=left)
            delay = retries.delay(trial, chance)
            assert delay == retries.delay(trial, chance)
            assert delay is None or 0 <= delay < left

    def test_nobody_is_asked_before_he_said(self, retries: Retries) -> None:
        """A wish to be left alone is kept, or there is no other try."""
        for kind, wish, chance in itertools.product(KINDS, (0.0, 1.0, 3_600.0), _CHANCES):
            delay = retries.delay(Trial(kind, 1, 5, wish), chance)
            assert delay is None or delay >= wish

    def test_an_unknown_kind_is_no_error(self, retries: Retries) -> None:
        """A user's own kind may have gone from the settings since it was written down."""
        delay = retries.delay(Trial("of_long_ago", 1, 5), 0.5)
        assert delay is None or delay >= 0
