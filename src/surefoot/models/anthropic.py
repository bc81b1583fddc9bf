"""The provider ``anthropic:``, and servers that speak its Messages protocol, through the official `anthropic` package.

One connection pool serves all models of one key and address; retries are the caller's. What a request looks like is in
`anthropic_request`, an answer in `anthropic_reply`, errors in `anthropic_errors`, the package in `anthropic_client`.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from surefoot.core.errors import MissingExtra, MissingKey, ModelError
from surefoot.core.model import Emit, ModelReply, ModelRequest, OutputSchema
from surefoot.core.naming import WireNames, wire_names
from surefoot.models import anthropic_request
from surefoot.models.anthropic_reply import Answer
from surefoot.models.forms import ANSWER, Form, Forms, answer_about, merged, prompt_for, visible_to
from surefoot.models.pools import Lazy, present
from surefoot.models.reading import Deltas
from surefoot.models.real import require_real_models
from surefoot.models.shapes import Dialect, Loose, Narrow
from surefoot.models.uploads import asked
from surefoot.models.windows import context_window

if TYPE_CHECKING:
    from surefoot.models.anthropic_client import Clients

__all__ = ["DEFAULT_MODEL", "KEY", "Anthropic", "Connection", "provider"]

#: The environment variable that holds the key.
KEY = "ANTHROPIC_API_KEY"
#: What ``anthropic`` without a model's name means.
DEFAULT_MODEL = "claude-sonnet-5-5"
#: The vendor's own address.
ADDRESS = "https://api.anthropic.com"

_PATH = "/v1/messages"
#: Seconds a request may take when its settings do not say.
_PATIENCE = 600.0
_FORMS: tuple[Form, ...] = ("schema", "tool", "prompt")
_FORM_REFUSED = re.compile(r"output_(config|format)|schema|structured|grammar|tool_choice|format", re.IGNORECASE)
#: The vendor's guide to structured outputs, "JSON Schema limitations".
_DIALECT = Dialect(
    kept=frozenset({"minItems"}),
    formats=frozenset({"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}),
    open=False,
    const=True,
)


class Connection(Lazy["Clients"]):
    """A server and a key, with the connections to it; several models may share one. Opened on first use."""

    def __init__(self, key: str, base_url: str = "") -> None:
        self.base_url = base_url

        def make() -> Clients:
            from surefoot.models.anthropic_client import Clients

            return Clients(key, base_url or ADDRESS)

        super().__init__(make)


class Anthropic:
    """A model of Anthropic, or of a server that speaks its protocol.

    Args:
        model: the model's name, as the server knows it.
        api_key: the key; by default ANTHROPIC_API_KEY. A server at a base URL may need none.
        base_url: the server's address without ``/v1``; by default ANTHROPIC_BASE_URL, else Anthropic itself.
        stream: whether answers are streamed. Both ways give the same reply.
        output: how structured output is asked for, to be set where trying in order would not do.
        cache: how long the provider keeps a prompt that the next request repeats; None marks nothing.
        context_window: tokens of input the model takes, where the table does not know it.
        connection: share another model's connections, instead of ``api_key`` and ``base_url``.

    Raises:
        MissingKey: no key, and Anthropic itself is to be asked.
        MissingExtra: the package `anthropic` is not installed.
    """

    def __init__(  # noqa: PLR0913  what there is to configure, by name
        self,
        model: str = DEFAULT_MODEL,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        stream: bool = True,
        output: Literal["schema", "tool", "prompt"] | None = None,
        cache: Literal["5m", "1h"] | None = "5m",
        context_window: int | None = None,
        connection: Connection | None = None,
    ) -> None:
        if not present("anthropic", "aiohttp"):
            raise MissingExtra("the provider anthropic:", "anthropic")
        self.model = model
        self.connection = connection or _connection(api_key, base_url, os.environ)
        self._stream = stream
        self._cache = cache
        self._window = context_window
        self._forms = Forms(_FORMS[_FORMS.index(output) if output else 0 :], _shaped, _FORM_REFUSED)

    @property
    def name(self) -> str:
        """``anthropic:`` and the model's name."""
        return f"anthropic:{self.model}"

    @property
    def context_window(self) -> int:
        """Tokens of input the model takes; a conservative guess where unknown."""
        return self._window or context_window(self.model)

    async def request(self, request: ModelRequest, emit: Emit) -> ModelReply:
        """Ask once. Raises ModelError; ConfigurationError where requests to real models are forbidden."""
        require_real_models(self.name)
        patience = request.settings.timeout or _PATIENCE
        try:
            async with asyncio.timeout(patience):
                if request.output is None:
                    return await self._ask(request, emit, None, patience)
                return await self._forms.ask(
                    request.output,
                    lambda form, shape: self._ask(request, emit, (form, shape), patience),
                    tools=bool(request.tools),
                )
        except TimeoutError:
            raise ModelError("timeout", f"{self.name} did not answer within {patience:g} seconds") from None

    async def aclose(self) -> None:
        """Close the connections, those of models that share them included; a later request opens new ones."""
        await self.connection.aclose()

    def __repr__(self) -> str:
        where = f", base_url={self.connection.base_url!r}" if self.connection.base_url else ""
        return f"Anthropic({self.model!r}{where})"

    async def _ask(self, request: ModelRequest, emit: Emit, wanted: tuple[Form, Loose] | None, patience: float) -> ModelReply:
        names = wire_names(request.tools)
        clients = await self.connection.clients()

        async def send(body: dict[str, Any]) -> ModelReply:
            answer = Answer(Deltas(visible_to(emit, wanted[0] if wanted else None)), names)
            if not self._stream:
                return answer.whole(*await clients.fetch(_PATH, body, patience, request.trace_headers()))
            data, headers = await clients.stream(_PATH, body, patience, request.trace_headers(), answer.add)
            return answer.finished(headers) if data is None else answer.whole(data, headers)

        inlines = anthropic_request.inlines
        return await asked(clients.uploads, request, lambda: self._body(request, names, wanted), inlines, send)

    async def _body(self, request: ModelRequest, names: WireNames, wanted: tuple[Form, Loose] | None) -> dict[str, Any]:
        body = await anthropic_request.body(self.model, request, names, self._cache)
        if request.output is not None and wanted is not None:
            _demand(body, request.output, *wanted)
        if self._stream:
            body["stream"] = True
        merged(body, request.settings.extra)
        return body


def provider(environ: Mapping[str, str]) -> Callable[[str], Anthropic]:
    """What makes models of this provider from their names, all on one connection pool."""
    shared: list[Connection] = []

    def make(model: str) -> Anthropic:
        if not shared:
            shared.append(_connection(None, None, environ))
        return Anthropic(model or DEFAULT_MODEL, connection=shared[0])

    return make


def _connection(api_key: str | None, base_url: str | None, environ: Mapping[str, str]) -> Connection:
    address = (base_url if base_url is not None else environ.get("ANTHROPIC_BASE_URL", "")).strip()
    key = (api_key if api_key is not None else environ.get(KEY, "")).strip()
    if not key and not address:
        raise MissingKey(f"{KEY} is not set: set it to your key, or name a server of your own in ANTHROPIC_BASE_URL")
    # Servers without keys take any; the package refuses to send none.
    return Connection(key or "none", address)


def _shaped(schema: Mapping[str, Any], form: Form) -> Loose:
    return Narrow(schema, _DIALECT) if form == "schema" else Loose(schema)


def _demand(body: dict[str, Any], output: OutputSchema, form: Form, shape: Loose) -> None:
    """Ask for an answer that meets a schema, in one of the forms."""
    if form == "schema":
        wanted = {"type": "json_schema", "schema": shape.schema}
        body["output_config"] = {**body.get("output_config", {}), "format": wanted}
    elif form == "tool":
        body["tools"] = [
            *body.get("tools", ()),
            anthropic_request.function(ANSWER, answer_about(output), shape.schema),
        ]
        body["tool_choice"] = {"type": "any"}
    else:
        anthropic_request.instruct(body, prompt_for(shape.schema))
