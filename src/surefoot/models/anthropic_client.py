"""The one place that knows the `anthropic` package: its clients, with its aiohttp transport and its retries switched off.

Importing this file imports `anthropic` and what comes with it (`aiohttp`, `httpx2`), which takes most of a second;
`models.anthropic` does it in a thread.
"""

from __future__ import annotations

import time

import anthropic

from surefoot.models import anthropic_errors as errors
from surefoot.models.posting import Posting
from surefoot.models.uploads import KEPT, Given, Uploads

__all__ = ["Clients"]

#: Bytes of the largest file that the vendor takes.
_MOST = 500_000_000


class Clients(Posting):
    """Clients of one server with one key."""

    def __init__(self, key: str, base_url: str) -> None:
        def make() -> anthropic.AsyncAnthropic:
            return anthropic.AsyncAnthropic(
                api_key=key,
                base_url=base_url,
                max_retries=0,
                http_client=anthropic.DefaultAioHttpClient(),
                open_telemetry=False,  # spans are ours
            )

        super().__init__(anthropic, make, errors.FAILING, errors.refused)
        self.uploads = Uploads(self._put, _MOST)

    async def _put(self, data: bytes, kind: str, name: str) -> Given:
        async def send(client: anthropic.AsyncAnthropic) -> str:
            return (await client.files.upload(file=(name, data, kind), expires_in_seconds=KEPT)).id

        return Given(await self.give(send), time.time() + KEPT)
