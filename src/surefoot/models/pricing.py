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


def price(model: str, usage: Usage) -> int | None:
    """What ``usage`` of a model named ``provider:model`` costs in millionths of a US dollar; None when unknown.

    Prices are today's list prices without discounts. A model that runs on this machine costs 0.
    """
    provider, _, _ = model.partition(":")
    if provider in _FREE:
        return 0
    rates = _rates(model, dt.datetime.now(dt.UTC).date())
    if rates is None:
        return None
    from genai_prices import Usage as Priced

    counted = Priced(
        input_tokens=usage.input,
        output_tokens=usage.output,
        cache_read_tokens=usage.cached or None,
        cache_write_tokens=usage.cache_write or None,
    )
    try:
        total: Decimal = rates.calc_price(counted)["total_price"]
    except (ValueError, LookupError):  # counts that contradict each other, such as more cached than there are
        return None
    return int((total * 1_000_000).to_integral_value(ROUND_HALF_EVEN))


def has_price(model: str) -> bool:
    """Whether `price` knows a model named ``provider:model``."""
    return price(model, Usage(1, 1)) is not None


def load_prices() -> None:
    """Import the table, so that the first `price` does not have to."""
    import genai_prices  # noqa: F401


@lru_cache(maxsize=256)
def _rates(model: str, day: dt.date) -> Any:
    """The table's entry for a model; prices change by date, so the entry is good for one day."""
    from genai_prices import data_snapshot

    provider, _, name = model.partition(":")
    noon = dt.datetime.combine(day, dt.time(12), dt.UTC)
    try:
        _, entry = data_snapshot.get_snapshot().find_provider_model(
            name, None, _PROVIDERS.get(provider, provider), None
        )
        rates = entry.get_prices(noon)
    except LookupError:
        return None
    return rates if rates.input_mtok is not None and rates.output_mtok is not None else None
