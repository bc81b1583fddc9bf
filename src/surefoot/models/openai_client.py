"""The one place that knows the `openai` package: its clients, with its aiohttp transport and its retries switched off.

Importing this file imports `openai` and what comes with it (`aiohttp`, `httpx2`), which takes most of a second;
`models.openai` does it in a thread.
"""

from __future__ import annotations

import time

import openai

from surefoot.models import openai_errors as errors
from surefoot.models.posting import Posting
from surefoot.models.uploads import KEPT, Given, Uploads

__all__ = ["Clients"]

#: Bytes of the largest file that the vendor takes.
_MOST = 512_000_000


class Clients(Posting):
    """Clients of one server with one key."""

    def __init__(self, key: str, base_url: str | None) -> None:
        def make() -> openai.AsyncOpenAI:
            transport = openai.DefaultAioHttpClient()
            return openai.AsyncOpenAI(api_key=key, base_url=base_url, max_retries=0, http_client=transport)

        super().__init__(openai, make, errors.FAILING, errors.refused)
        self.uploads = Uploads(self._put, _MOST)

    async def _put(self, data: bytes, kind: str, name: str) -> Given:
        async def send(client: openai.AsyncOpenAI) -> str:
            end = {"anchor": "created_at", "seconds": KEPT}
            kept = await client.files.create(file=(name, data, kind), purpose="user_data", expires_after=end)  # type: ignore[arg-type]
            return kept.id

        return Given(await self.give(send), time.time() + KEPT)
