"""The one place that knows the `openai` package: its clients, with its aiohttp transport and its retries switched off.

Importing this file imports `openai` and what comes with it (`aiohttp`, `httpx2`), which takes most of a second;
`models.openai` does it in a thread.
"""

from __future__ import annotations

import openai

from surefoot.models import openai_errors as errors
from surefoot.models.posting import Posting

__all__ = ["Clients"]


class Clients(Posting):
    """Clients of one server with one key."""

    def __init__(self, key: str, base_url: str | None) -> None:
        def make() -> openai.AsyncOpenAI:
            transport = openai.DefaultAioHttpClient()
            return openai.AsyncOpenAI(api_key=key, base_url=base_url, max_retries=0, http_client=transport)

        super().__init__(openai, make, errors.FAILING, errors.refused)
