"""The provider ``openai:``, and every server that speaks its protocols, through the official `openai` package.

`OpenAI` asks the Responses API of OpenAI itself, and chat completions where a base URL is given. One connection pool
serves all models of one key and address; retries are the caller's. What each protocol looks like is in
`openai_responses` and `openai_chat`, what errors mean in `openai_errors`, the package itself in `openai_client`.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from surefoot.core.errors import MissingExtra, MissingKey, ModelError
from surefoot.core.model import Emit, ModelReply, ModelRequest, OutputSchema
from surefoot.core.naming import WireNames, wire_names
from surefoot.models import openai_chat, openai_files, openai_responses
from surefoot.models.forms import ANSWER, Form, Forms, answer_about, merged, prompt_for, visible_to
from surefoot.models.openai_schema import Shape
from surefoot.models.pools import Lazy, present
from surefoot.models.reading import Deltas
from surefoot.models.real import require_real_models
from surefoot.models.uploads import asked
from surefoot.models.windows import context_window

if TYPE_CHECKING:
    from surefoot.models.openai_client import Clients

__all__ = ["DEFAULT_MODEL", "KEY", "Connection", "Form", "OpenAI", "connected", "provider"]

#: The environment variable that holds the key.
KEY = "OPENAI_API_KEY"
#: What ``openai`` without a model's name means.
DEFAULT_MODEL = "gpt-6.1-terra"
#: Seconds a request may take when its settings do not say.
_PATIENCE = 600.0
_FORMS: tuple[Form, ...] = ("strict", "schema", "tool", "prompt")
_FORM_REFUSED = re.compile(r"json_schema|structured|schema|grammar|tool_choice|format", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Api:
    """One of the two protocols: its path, and how to write a request, a tool, and read an answer."""

    path: str
    body: Callable[..., Any]
    function: Callable[[str, str, Mapping[str, Any]], dict[str, Any]]
    answer: Callable[[Deltas, WireNames], openai_chat.Answer | openai_responses.Answer]


_APIS: Mapping[str, _Api] = {
    "chat": _Api(openai_chat.PATH, openai_chat.body, openai_chat.function, openai_chat.Answer),
    "responses": _Api(openai_responses.PATH, openai_responses.body, openai_responses.function, openai_responses.Answer),
}


class Connection(Lazy["Clients"]):
    """A server and a key, with the connections to it; several models may share one. Opened on first use."""

    def __init__(self, key: str, base_url: str = "") -> None:
        self.base_url = base_url

        def make() -> Clients:
            from surefoot.models.openai_client import Clients

            return Clients(key, base_url or None)

        super().__init__(make)


class OpenAI:
    """A model of OpenAI, or of a server that speaks its protocols.

    Args:
        model: the model's name, as the server knows it.
        api_key: the key; by default OPENAI_API_KEY. A server at a base URL may need none.
        base_url: the server's address up to the version, such as ``http://127.0.0.1:8000/v1``; by default
            OPENAI_BASE_URL, else OpenAI itself.
        api: ``responses`` or ``chat``; by default chat where there is a base URL, else responses.
        stream: whether answers are streamed. Both ways give the same reply.
        output: how structured output is asked for, to be set where trying in order would not do.
        context_window: tokens of input the model takes, where the table does not know it.
        connection: share another model's connections, instead of ``api_key`` and ``base_url``.

    Raises:
        MissingKey: no key, and OpenAI itself is to be asked.
        MissingExtra: the package `openai` is not installed.
    """

    def __init__(  # noqa: PLR0913  what there is to configure, by name
        self,
        model: str = DEFAULT_MODEL,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        api: Literal["chat", "responses"] | None = None,
        stream: bool = True,
        output: Form | None = None,
        context_window: int | None = None,
        connection: Connection | None = None,
    ) -> None:
        if not present("openai", "aiohttp"):
            raise MissingExtra("the provider openai:", "openai")
        self.model = model
        self.connection = connection or _connection(api_key, base_url, os.environ)
        self._api = _APIS[api or ("chat" if self.connection.base_url else "responses")]
        self._stream = stream
        self._window = context_window
        self._forms = Forms(_FORMS[_FORMS.index(output) if output else 0 :], _shaped, _FORM_REFUSED)

    @property
    def name(self) -> str:
        """``openai:`` and the model's name."""
        return f"openai:{self.model}"

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
        return f"OpenAI({self.model!r}{where})"

    async def _ask(self, request: ModelRequest, emit: Emit, wanted: tuple[Form, Shape] | None, patience: float) -> ModelReply:
        names = wire_names(request.tools)
        clients = await self.connection.clients()

        async def send(body: dict[str, Any]) -> ModelReply:
            answer = self._api.answer(Deltas(visible_to(emit, wanted[0] if wanted else None)), names)
            if not self._stream:
                return answer.whole(*await clients.fetch(self._api.path, body, patience, request.trace_headers()))
            data, headers = await clients.stream(self._api.path, body, patience, request.trace_headers(), answer.add)
            return answer.finished(headers) if data is None else answer.whole(data, headers)

        # Servers that only speak chat completions keep no files.
        keeps = not (self.connection.base_url and self._api.path == openai_chat.PATH)
        uploads = clients.uploads if keeps else None
        return await asked(uploads, request, lambda: self._body(request, names, wanted), openai_files.inlines, send)

    async def _body(self, request: ModelRequest, names: WireNames, wanted: tuple[Form, Shape] | None) -> dict[str, Any]:
        body: dict[str, Any] = await self._api.body(self.model, request, names, base_url=self.connection.base_url)
        if request.output is not None and wanted is not None:
            self._demand(body, request.output, *wanted)
        if self._stream:
            body["stream"] = True
            if self._api.path == openai_chat.PATH:
                body["stream_options"] = {"include_usage": True}
        merged(body, request.settings.extra)
        return body

    def _demand(self, body: dict[str, Any], output: OutputSchema, form: Form, shape: Shape) -> None:
        """Ask for an answer that meets a schema, in one of the forms."""
        name = re.sub(r"[^A-Za-z0-9_-]+", "_", output.name)[:64] or "answer"
        if form in ("strict", "schema"):
            wanted = {"name": name, "schema": shape.schema, "strict": shape.strict}
            if output.description:
                wanted["description"] = output.description
            if self._api.path == openai_chat.PATH:
                body["response_format"] = {"type": "json_schema", "json_schema": wanted}
            else:
                body["text"] = {"format": {"type": "json_schema", **wanted}}
        elif form == "tool":
            body["tools"] = [*body.get("tools", ()), self._api.function(ANSWER, answer_about(output), shape.schema)]
            body["tool_choice"] = "required"
        else:
            _instruct(body, prompt_for(shape.schema))


def _shaped(schema: Mapping[str, Any], form: Form) -> Shape:
    return Shape(schema, strict=form == "strict")


def provider(environ: Mapping[str, str]) -> Callable[[str], OpenAI]:
    """What makes models of this provider from their names, all on one connection pool."""
    shared: list[Connection] = []

    def make(model: str) -> OpenAI:
        if not shared:
            shared.append(_connection(None, None, environ))
        return OpenAI(model or DEFAULT_MODEL, connection=shared[0])

    return make


def connected(environ: Mapping[str, str]) -> Connection:
    """The connection that an environment describes. Raises MissingKey."""
    return _connection(None, None, environ)


def _connection(api_key: str | None, base_url: str | None, environ: Mapping[str, str]) -> Connection:
    address = (base_url if base_url is not None else environ.get("OPENAI_BASE_URL", "")).strip()
    key = (api_key if api_key is not None else environ.get(KEY, "")).strip()
    if not key and not address:
        raise MissingKey(f"{KEY} is not set: set it to your key, or name a server of your own in OPENAI_BASE_URL")
    # Servers without keys take any; the package refuses to send none.
    return Connection(key or "none", address)


def _instruct(body: dict[str, Any], text: str) -> None:
    messages = body.get("messages")
    if messages is None:
        body["instructions"] = f"{body['instructions']}\n\n{text}" if "instructions" in body else text
    elif messages and messages[0]["role"] == "system":
        messages[0] = {"role": "system", "content": f"{messages[0]['content']}\n\n{text}"}
    else:
        messages.insert(0, {"role": "system", "content": text})
