"""The provider ``openai:``, and every server that speaks its protocols, through the official `openai` package.

`OpenAI` asks the Responses API of OpenAI itself, and chat completions where a base URL is given. One connection pool
serves all models of one key and address; retries are the caller's. What each protocol looks like is in
`openai_responses` and `openai_chat`, what errors mean in `openai_errors`, the package itself in `openai_client`.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from surefoot.core.errors import MissingExtra, MissingKey, ModelError
from surefoot.core.messages import Text, text_of
from surefoot.core.model import Delta, Emit, ModelReply, ModelRequest, OutputSchema
from surefoot.core.naming import WireNames, wire_names
from surefoot.models import openai_chat, openai_responses
from surefoot.models.openai_schema import Shape
from surefoot.models.pricing import load_prices
from surefoot.models.reading import Deltas
from surefoot.models.real import require_real_models
from surefoot.models.windows import context_window

if TYPE_CHECKING:
    from surefoot.models.openai_client import Clients

__all__ = ["DEFAULT_MODEL", "KEY", "Connection", "OpenAI", "provider"]

#: The environment variable that holds the key.
KEY = "OPENAI_API_KEY"
#: What ``openai`` without a model's name means.
DEFAULT_MODEL = "gpt-6.1-terra"
#: Seconds a request may take when its settings do not say.
_PATIENCE = 600.0
#: The tool a model calls to answer where the server has no structured output.
_ANSWER = "final_answer"

#: How structured output is asked for, best first: the provider's strict mode, its plain JSON Schema, a tool whose
#: arguments are the answer, the prompt. A server that refuses one is asked by the next, and remembered.
Form = Literal["strict", "schema", "tool", "prompt"]
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


class Connection:
    """A server and a key, with the connections to it; several models may share one. Opened on first use."""

    def __init__(self, key: str, base_url: str = "") -> None:
        self.base_url = base_url
        self._key = key
        self._clients: Clients | None = None

    async def clients(self) -> Clients:
        """The clients. The first call imports `openai`, in a thread, since that takes most of a second."""
        clients = self._clients
        if clients is None:
            make = await asyncio.to_thread(_imported)
            # Of two first requests at once, the slower finds what the faster made.
            clients = self._kept(make)
        return clients

    def _kept(self, make: Callable[[str, str | None], Clients]) -> Clients:
        if self._clients is None:
            self._clients = make(self._key, self.base_url or None)
        return self._clients

    async def aclose(self) -> None:
        """Close all connections; the next request opens new ones."""
        if self._clients is not None:
            await self._clients.aclose()


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
        if not (_present("openai") and _present("aiohttp")):
            raise MissingExtra("the provider openai:", "openai")
        self.model = model
        self.connection = connection or _connection(api_key, base_url, os.environ)
        self._own = not self.connection.base_url
        self._api = _APIS[api or ("responses" if self._own else "chat")]
        self._stream = stream
        self._window = context_window
        self._forms = _FORMS[_FORMS.index(output) if output else 0 :]
        self._shape: tuple[OutputSchema, Form, Shape] | None = None

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
                return await self._structured(request, request.output, emit, patience)
        except TimeoutError:
            raise ModelError("timeout", f"{self.name} did not answer within {patience:g} seconds") from None

    async def aclose(self) -> None:
        """Close the connections, those of models that share them included; a later request opens new ones."""
        await self.connection.aclose()

    def __repr__(self) -> str:
        where = f", base_url={self.connection.base_url!r}" if self.connection.base_url else ""
        return f"OpenAI({self.model!r}{where})"

    async def _structured(self, request: ModelRequest, output: OutputSchema, emit: Emit, patience: float) -> ModelReply:
        forms = self._forms
        for form in forms:
            try:
                reply = await self._ask(request, emit, form, patience)
            except ModelError as error:
                refused = error.kind == "invalid_request" and _FORM_REFUSED.search(str(error))
                if form == forms[-1] or not refused:
                    raise
            else:
                self._forms = self._forms[self._forms.index(form) :] if form in self._forms else self._forms
                return self._answered(reply, self._shaped(output, form), form)
        raise AssertionError("the last form either answers or raises")

    async def _ask(self, request: ModelRequest, emit: Emit, form: Form | None, patience: float) -> ModelReply:
        names = wire_names(request.tools)
        body: dict[str, Any] = await self._api.body(self.model, request, names, own=self._own)
        if request.output is not None and form is not None:
            self._demand(body, request.output, form)
        if self._stream:
            body["stream"] = True
            if self._api.path == openai_chat.PATH:
                body["stream_options"] = {"include_usage": True}
        _add(body, request.settings.extra)
        clients = await self.connection.clients()
        answer = self._api.answer(Deltas(_without(emit, _ANSWER) if form == "tool" else emit), names)
        if not self._stream:
            return answer.whole(*await clients.fetch(self._api.path, body, patience))
        data, headers = await clients.stream(self._api.path, body, patience, answer.add)
        return answer.finished(headers) if data is None else answer.whole(data, headers)

    def _shaped(self, output: OutputSchema, form: Form) -> Shape:
        if self._shape is None or self._shape[0] is not output or self._shape[1] != form:
            self._shape = (output, form, Shape(output.schema, strict=form == "strict"))
        return self._shape[2]

    def _demand(self, body: dict[str, Any], output: OutputSchema, form: Form) -> None:
        """Ask for an answer that meets a schema, in one of the forms."""
        shape = self._shaped(output, form)
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
            said = "Give the final answer. Call this once, alone, when you have everything the answer needs."
            description = f"{output.description} {said}".strip()
            body["tools"] = [*body.get("tools", ()), self._api.function(_ANSWER, description, shape.schema)]
            body["tool_choice"] = "required"
        else:
            _instruct(body, shape.schema)

    def _answered(self, reply: ModelReply, shape: Shape, form: Form) -> ModelReply:
        """The reply with its structured answer as text, whichever way it came."""
        calls = reply.calls
        parts = reply.parts
        if form == "tool":
            answers = [call for call in calls if call.name == _ANSWER]
            calls = tuple([call for call in calls if call.name != _ANSWER])
            # An answer given together with calls came too early: the model has not seen their results.
            if answers and not calls:
                parts = (*[part for part in parts if type(part) is not Text], Text(answers[0].arguments))
        finish = "stop" if reply.finish == "tool_calls" and not calls else reply.finish
        text = text_of(parts)
        if not calls and text:
            restored = shape.restored(text)
            if restored != text:
                parts = (*[part for part in parts if type(part) is not Text], Text(restored))
        return ModelReply(parts, calls, reply.usage, finish, reply.model, reply.request_id, reply.first_token, reply.extra)


def provider(environ: Mapping[str, str]) -> Callable[[str], OpenAI]:
    """What makes models of this provider from their names, all on one connection pool."""
    shared: list[Connection] = []

    def make(model: str) -> OpenAI:
        if not shared:
            shared.append(_connection(None, None, environ))
        return OpenAI(model or DEFAULT_MODEL, connection=shared[0])

    return make


def _connection(api_key: str | None, base_url: str | None, environ: Mapping[str, str]) -> Connection:
    address = (base_url if base_url is not None else environ.get("OPENAI_BASE_URL", "")).strip()
    key = (api_key if api_key is not None else environ.get(KEY, "")).strip()
    if not key and not address:
        raise MissingKey(f"{KEY} is not set: set it to your key, or name a server of your own in OPENAI_BASE_URL")
    # Servers without keys take any; the package refuses to send none.
    return Connection(key or "none", address)


def _present(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ImportError:
        return False


def _imported() -> Callable[[str, str | None], Clients]:
    from surefoot.models.openai_client import Clients

    load_prices()  # the reply's price is asked for next, and this is a thread that may wait
    return Clients


def _instruct(body: dict[str, Any], schema: Mapping[str, Any]) -> None:
    text = (
        "Your final answer must be one JSON value that meets this JSON Schema, with no other text and no code fence:\n"
        + json.dumps(schema, ensure_ascii=False)
    )
    messages = body.get("messages")
    if messages is None:
        body["instructions"] = f"{body['instructions']}\n\n{text}" if "instructions" in body else text
    elif messages and messages[0]["role"] == "system":
        messages[0] = {"role": "system", "content": f"{messages[0]['content']}\n\n{text}"}
    else:
        messages.insert(0, {"role": "system", "content": text})


def _add(body: dict[str, Any], extra: Mapping[str, Any]) -> None:
    """Add the caller's own fields: objects are merged, None removes a field, anything else replaces it."""
    for key, value in extra.items():
        if value is None:
            body.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(body.get(key), dict):
            body[key] = {**body[key], **value}
        else:
            body[key] = value


def _without(emit: Emit, hidden: str) -> Emit:
    """Hide the tool that stands for the answer from those who watch."""

    def send(delta: Delta) -> None:
        if not (delta.kind == "call" and delta.text == hidden):
            emit(delta)

    return send
