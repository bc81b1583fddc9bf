"""What a request costs, by genai-prices' packaged table: whole micro-dollars, or None where the price is unknown.

The table is imported on first use, which takes 150 to 300 ms; `load_prices` does that ahead of time, in a thread.
"""

from __future__ import annotations

import datetime as dt
from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache
from typing import Any

from surefoot.core.messages import Usage

__all__ = ["has_price", "load_prices", "price"]

#: Our names of providers where the table has others.
_PROVIDERS = {"gemini": "google"}
#: Providers that run on the user's own machine.
_FREE = frozenset({"local"})
#: Models for tests have no price, and no test should wait for the table to find out.
_UNPRICED = frozenset({"scripted"})
_MILLION = 1_000_000


def price(model: str, usage: Usage) -> int | None:
    """What ``usage`` of a model named ``provider:model`` costs in millionths of a US dollar; None when unknown.

    Prices are today's list prices without discounts. A model that runs on this machine costs 0.
    """
    provider = model.partition(":")[0]
    if provider in _FREE:
        return 0
    if provider in _UNPRICED:
        return None
    rates = _rates(model, dt.datetime.now(dt.UTC).date())
    if rates is None:
        return None
    cost = rates.flat(usage)
    return rates.exact(usage) if cost is None else cost


def has_price(model: str) -> bool:
    """Whether `price` knows a model named ``provider:model``."""
    return price(model, Usage(1, 1)) is not None


def load_prices() -> None:
    """Import the table, so that the first `price` does not have to."""
    import genai_prices  # noqa: F401


class _Rates:
    """One model's prices. The table's own arithmetic takes 90 µs; where each token has one price, ours takes 2."""

    def __init__(self, entry: Any) -> None:
        self._entry = entry
        self._each: list[Any] = [
            getattr(entry, name, None) for name in ("input_mtok", "cache_read_mtok", "cache_write_mtok", "output_mtok")
        ]
        self._simple = all(rate is None or isinstance(rate, Decimal) for rate in self._each)

    def flat(self, usage: Usage) -> int | None:
        """The cost where no rate depends on the amount; None where one does, or where the counts are at odds."""
        fresh = usage.input - usage.cached - usage.cache_write
        if not self._simple or fresh < 0:
            return None
        read, said, written, out = self._each
        # What has no rate of its own costs what fresh input costs. Dollars a million tokens are micro-dollars a token.
        cost: Decimal = (
            fresh * read
            + usage.cached * (read if said is None else said)
            + usage.cache_write * (read if written is None else written)
            + usage.output * out
        )
        return int(cost.to_integral_value(ROUND_HALF_EVEN))

    def exact(self, usage: Usage) -> int | None:
        """The cost by the table's own arithmetic, which knows tiers."""
        from genai_prices import Usage as Priced

        counted = Priced(
            input_tokens=usage.input,
            output_tokens=usage.output,
            cache_read_tokens=usage.cached or None,
            cache_write_tokens=usage.cache_write or None,
        )
        try:
            total: Decimal = self._entry.calc_price(counted)["total_price"]
        except (ValueError, LookupError):  # counts that contradict each other, such as more cached than there are
            return None
        return int((total * _MILLION).to_integral_value(ROUND_HALF_EVEN))


@lru_cache(maxsize=256)
def _rates(model: str, day: dt.date) -> _Rates | None:
    """The table's entry for a model; prices change by date, so the entry is good for one day."""
    from genai_prices import data_snapshot

    provider, _, name = model.partition(":")
    noon = dt.datetime.combine(day, dt.time(12), dt.UTC)
    try:
        _, entry = data_snapshot.get_snapshot().find_provider_model(name, None, _PROVIDERS.get(provider, provider), None)
        rates = entry.get_prices(noon)
    except LookupError:
        return None
    return _Rates(rates) if rates.input_mtok is not None and rates.output_mtok is not None else None
