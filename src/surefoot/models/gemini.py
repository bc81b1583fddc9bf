"""The provider ``gemini:``, from AI Studio or Vertex AI, through the vendor's package `google-genai`.

One connection pool serves all models of one key and address; retries are the caller's. What a request looks like is in
`gemini_request`, an answer in `gemini_reply`, errors in `gemini_errors`, the package in `gemini_client`.
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
from surefoot.models import gemini_request
from surefoot.models.forms import ANSWER, Form, Forms, answer_about, merged, prompt_for, visible_to
from surefoot.models.gemini_reply import Answer
from surefoot.models.pools import Lazy, present
from surefoot.models.reading import Deltas
from surefoot.models.real import require_real_models
from surefoot.models.shapes import Loose, Narrow
from surefoot.models.uploads import asked
from surefoot.models.windows import context_window

if TYPE_CHECKING:
    from surefoot.models.gemini_client import Clients

__all__ = ["DEFAULT_MODEL", "KEYS", "Connection", "Gemini", "connected", "provider"]

#: The environment variables that may hold the key; where both do, the first, as the vendor has it.
KEYS = ("GOOGLE_API_KEY", "GEMINI_API_KEY")
#: What ``gemini`` without a model's name means.
DEFAULT_MODEL = "gemini-3.8-flash"

#: Seconds a request may take when its settings do not say.
_PATIENCE = 600.0
_FORMS: tuple[Form, ...] = ("schema", "tool", "prompt")
_FORM_REFUSED = re.compile(r"mime|schema|json|function.?call|tool.?config|\bmode\b", re.IGNORECASE)
_VERTEX = ("GOOGLE_GENAI_USE_ENTERPRISE", "GOOGLE_GENAI_USE_VERTEXAI")


class Connection(Lazy["Clients"]):
    """A key or a project, with the connections to the vendor; several models may share one. Opened on first use.

    Args:
        key: a key of AI Studio, or of Vertex AI in express mode.
        base_url: another address than the vendor's.
        vertex: Vertex AI is asked, not AI Studio.
        project: the Google Cloud project; with it, credentials are those of the machine ("application default").
        location: the region, such as ``europe-west4``; by default ``global``.
    """

    def __init__(self, key: str = "", base_url: str = "", *, vertex: bool = False, project: str = "", location: str = "") -> None:
        self.base_url = base_url
        self.vertex = vertex
        place = (location or "global") if project else location

        def make() -> Clients:
            from surefoot.models.gemini_client import Clients, Target

            return Clients(Target(key, vertex, project, place, base_url))

        super().__init__(make)


class Gemini:
    """A model of Google.

    Args:
        model: the model's name, as the vendor knows it.
        api_key: the key; by default GOOGLE_API_KEY or GEMINI_API_KEY. Vertex AI may do without.
        base_url: another address than the vendor's; by default GOOGLE_GEMINI_BASE_URL or GOOGLE_VERTEX_BASE_URL.
        stream: whether answers are streamed. Both ways give the same reply.
        output: how structured output is asked for, to be set where trying in order would not do.
        context_window: tokens of input the model takes, where the table does not know it.
        connection: share another model's connections, or ask Vertex AI otherwise than by environment variables.

    Raises:
        MissingKey: no key, and neither Vertex AI nor an address of one's own is to be asked.
        MissingExtra: the package `google-genai` is not installed.
    """

    def __init__(  # noqa: PLR0913  what there is to configure, by name
        self,
        model: str = DEFAULT_MODEL,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        stream: bool = True,
        output: Literal["schema", "tool", "prompt"] | None = None,
        context_window: int | None = None,
        connection: Connection | None = None,
    ) -> None:
        if not present("google.genai", "aiohttp"):
            raise MissingExtra("the provider gemini:", "gemini")
        self.model = model
        self.connection = connection or _connection(api_key, base_url, os.environ)
        self._stream = stream
        self._window = context_window
        self._forms = Forms(_FORMS[_FORMS.index(output) if output else 0 :], _shaped, _FORM_REFUSED)
        self._declarations = gemini_request.Declarations()

    @property
    def name(self) -> str:
        """``gemini:`` and the model's name."""
        return f"gemini:{self.model}"

    @property
    def context_window(self) -> int:
        """Tokens of input the model takes; a conservative guess where unknown."""
        return self._window or context_window(self.model)

    async def request(self, request: ModelRequest, emit: Emit) -> ModelReply:
        """Ask once. Raises ModelError; ConfigurationError where requests to real models are forbidden."""
        require_real_models(self.name)
        patience = request.settings.timeout or _PATIENCE
        await self.connection.clients()  # to load the vendor's package is no waiting for its answer
        try:
            async with asyncio.timeout(patience):
                if request.output is None:
                    return await self._ask(request, emit, None)
                return await self._forms.ask(
                    request.output,
                    lambda form, shape: self._ask(request, emit, (form, shape)),
                    tools=bool(request.tools),
                )
        except TimeoutError:
            raise ModelError("timeout", f"{self.name} did not answer within {patience:g} seconds") from None

    async def aclose(self) -> None:
        """Close the connections, those of models that share them included; a later request opens new ones."""
        await self.connection.aclose()

    def __repr__(self) -> str:
        where = f", base_url={self.connection.base_url!r}" if self.connection.base_url else ""
        return f"Gemini({self.model!r}{where})"

    async def _ask(self, request: ModelRequest, emit: Emit, wanted: tuple[Form, Loose] | None) -> ModelReply:
        names = wire_names(request.tools)
        clients = await self.connection.clients()
        path = _path(self.model, vertex=self.connection.vertex)

        async def send(body: dict[str, Any]) -> ModelReply:
            answer = Answer(Deltas(visible_to(emit, wanted[0] if wanted else None)), names)
            if not self._stream:
                return answer.whole(*await clients.fetch(f"{path}:generateContent", body, request.trace_headers()))
            data, headers = await clients.stream(f"{path}:streamGenerateContent", body, request.trace_headers(), answer.add)
            return answer.finished(headers) if data is None else answer.whole(data, headers)

        uploads = None if self.connection.vertex else clients.uploads  # Vertex AI has no such API
        return await asked(uploads, request, lambda: self._body(request, names, wanted), gemini_request.inlines, send)

    async def _body(self, request: ModelRequest, names: WireNames, wanted: tuple[Form, Loose] | None) -> dict[str, Any]:
        body = await gemini_request.body(self.model, request, names, self._declarations)
        if request.output is not None and wanted is not None:
            _demand(body, request.output, *wanted)
        merged(body, request.settings.extra)
        return body


def provider(environ: Mapping[str, str]) -> Callable[[str], Gemini]:
    """What makes models of this provider from their names, all on one connection pool."""
    shared: list[Connection] = []

    def make(model: str) -> Gemini:
        if not shared:
            shared.append(_connection(None, None, environ))
        return Gemini(model or DEFAULT_MODEL, connection=shared[0])

    return make


def connected(environ: Mapping[str, str]) -> Connection:
    """The connection that an environment describes. Raises MissingKey."""
    return _connection(None, None, environ)


def _connection(api_key: str | None, base_url: str | None, environ: Mapping[str, str]) -> Connection:
    def said(*names: str) -> str:
        return next((value for name in names if (value := environ.get(name, "").strip())), "")

    vertex = said(*_VERTEX).lower() in ("true", "1")
    address = said("GOOGLE_VERTEX_BASE_URL" if vertex else "GOOGLE_GEMINI_BASE_URL") if base_url is None else base_url.strip()
    key = (api_key if api_key is not None else said(*KEYS)).strip()
    if vertex:
        project = said("GOOGLE_CLOUD_PROJECT")
        # A project that is set has its own credentials; only a key given by hand comes before it.
        given = bool(api_key) or not project
        place = {} if given else {"project": project, "location": said("GOOGLE_CLOUD_LOCATION")}
        return Connection(key if given else "", address, vertex=True, **place)
    if not key and not address:
        raise MissingKey(f"{KEYS[1]} is not set: set it (or {KEYS[0]}) to your key, or set {_VERTEX[1]}=true to ask Vertex AI")
    # Servers without keys take any; the package refuses to send none.
    return Connection(key or "none", address)


def _path(model: str, *, vertex: bool) -> str:
    """A model's path, as the vendor's package makes it from a name."""
    if model.startswith(("models/", "tunedModels/", "publishers/", "projects/")):
        return model
    if not vertex:
        return f"models/{model}"
    publisher, _, name = model.rpartition("/")
    return f"publishers/{publisher or 'google'}/models/{name}"


def _shaped(schema: Mapping[str, Any], form: Form) -> Loose:
    return Loose(schema) if form == "prompt" else Narrow(schema, gemini_request.DIALECT)


def _demand(body: dict[str, Any], output: OutputSchema, form: Form, shape: Loose) -> None:
    """Ask for an answer that meets a schema, in one of the forms."""
    if form == "schema":
        wanted = {"responseMimeType": "application/json", "responseJsonSchema": shape.schema}
        body["generationConfig"] = {**body.get("generationConfig", {}), **wanted}
    elif form == "tool":
        tool = gemini_request.function(ANSWER, answer_about(output), shape.schema)
        declared = [*body["tools"][0]["functionDeclarations"], tool] if "tools" in body else [tool]
        body["tools"] = [{"functionDeclarations": declared}]
        body["toolConfig"] = {"functionCallingConfig": {"mode": "ANY"}}
    else:
        gemini_request.instruct(body, prompt_for(shape.schema))
