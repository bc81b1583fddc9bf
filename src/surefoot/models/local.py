"""``local:``, the embedded model: an agent answers without a key, an account or a network. An offline demo model.

``local:`` is SmolLM2-135M-Instruct, 98 MB, in this process. It is far too small to choose tools, so a router does that
with sentence embeddings, the model fills in arguments from what the request says and answers where no tool is meant, and
results are given as they are. ``local:/path/to.gguf`` runs a model of your own, see `models.local_own`.
"""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio

from surefoot.core import canonical
from surefoot.core.errors import ConfigurationError, MissingExtra, ModelError
from surefoot.core.messages import Reasoning, Text, Usage
from surefoot.core.model import Delta, Emit, ModelReply, ModelRequest, ProposedCall
from surefoot.core.ports import Embedder
from surefoot.core.recalled import lines
from surefoot.core.tool import ToolSpec
from surefoot.models.local_fill import Filler
from surefoot.models.local_nearness import about
from surefoot.models.local_own import OwnModel
from surefoot.models.local_protocol import (
    Turn,
    argument_prefix,
    argument_prompt,
    bounded,
    chat_prompt,
    final_answer,
    plain,
    read_turn,
    shortened,
)
from surefoot.models.local_router import Router
from surefoot.models.local_runtime import Answer, LocalSettings, Runtime, off_loop
from surefoot.models.local_schema import Parameter
from surefoot.models.local_weights import PACKAGED, installed, missing
from surefoot.models.local_wishes import Wish, wishes
from surefoot.models.real import require_real_models

__all__ = ["DEMO", "NAME", "LocalModel", "LocalSettings", "OwnModel", "provider"]

#: What the packaged model is called after ``local:``, or by leaving it out.
NAME = "offline-demo"
#: What is said of it wherever it shows.
DEMO = "offline demo model (SmolLM2-135M, in this process); for real work set OPENAI_API_KEY, or SUREFOOT_MODEL=provider:name"
_MAX_TOKENS = 96
_CHARACTERS_A_TOKEN = 3
#: Which of the runtime's two prompts a request goes on from.
_ARGUMENTS, _ANSWERS = {"id_slot": 0}, {"id_slot": 1}
_LABEL = 48
#: Characters that a sentence has at least.
_SENTENCE = 20
_WINDOW = 16_384
_SPEAKERS = {"user": "you", "assistant": "I"}
_HUMAN_TOOLS = ("ask_human", "human")
_NO_HUMAN = "This would need a human, and no tool here reaches one."


@dataclass(slots=True)
class _Session:
    """One request: where pieces of the answer go, how to stop, and what was spent."""

    runtime: Runtime
    emit: Emit
    stop: threading.Event = field(default_factory=threading.Event)
    usage: Usage = Usage()

    async def complete(self, body: dict[str, Any], say: Callable[[str], None] | None = None) -> Answer:
        """Ask the runtime, off the loop; a caller that is cancelled stops it at its next token."""
        answer = await off_loop(lambda: self.runtime.complete(body, say or _silent, self.stop))
        self.usage += answer.usage
        return answer


class LocalModel:
    """The packaged model behind a router, as a `Model`.

    Args:
        embedder: what the router compares with; it should cache.
        path: the weights; by default where ``surefoot models install`` puts them.
        settings: threads and context.

    Raises (from `request`): ModelError; not_found when the weights are not installed, with the line that installs them.
    """

    def __init__(self, embedder: Embedder, *, path: str | Path | None = None, settings: LocalSettings | None = None) -> None:
        self._router = Router(embedder)
        self._path = Path(path) if path is not None else None
        self._settings = settings or LocalSettings()
        self._runtime: Runtime | None = None
        self._loading = threading.Lock()

    @property
    def name(self) -> str:
        """``local:offline-demo``."""
        return f"local:{NAME}"

    @property
    def context_window(self) -> int:
        """Tokens of input it takes; it is shown no tools, and what does not fit into its own context it shortens itself."""
        return self._settings.context or _WINDOW

    @property
    def _context(self) -> int:
        return self._settings.context or 2048

    async def request(self, request: ModelRequest, emit: Emit) -> ModelReply:
        """Choose the next action: a tool call, or an answer, which streams to ``emit``."""
        require_real_models(self.name)
        turn = read_turn(request.messages)
        session = _Session(await off_loop(self._load), emit)
        try:
            with anyio.fail_after(request.settings.timeout):
                reply = await self._act(request, turn, session)
        except TimeoutError:
            raise ModelError("timeout", f"{self.name} gave no answer within {request.settings.timeout} s") from None
        except (ConfigurationError, ValueError) as error:
            raise ModelError("invalid_request", str(error)) from error
        finally:
            session.stop.set()
        return reply

    async def warm(self, tools: Sequence[ToolSpec] = ()) -> None:
        """Load the model, read the unchanging part of its prompts, and look at the tools, so that the first request need
        not. Raises what `request` raises."""
        await self._router.routes(["Hello"], tools)
        session = _Session(await off_loop(self._load), lambda _: None)
        try:
            await session.complete({"prompt": argument_prefix(), "max_tokens": 0, **_ARGUMENTS})
        finally:
            session.stop.set()

    async def _act(self, request: ModelRequest, turn: Turn, session: _Session) -> ModelReply:
        failed = turn.done[-1:] and turn.done[-1].error
        found = await wishes(self._router, turn.ask, request.tools) if turn.ask.strip() else []
        open_wishes = [wish for wish in found if wish.route.tool is not None][len(turn.done) :]
        if open_wishes and not failed:
            return await self._call(open_wishes[0], turn, session)
        if request.output is not None:
            return await self._structured(request, turn, session)
        if turn.done:
            return _say(final_answer(turn.done), session, "the results, as they are")
        kind = found[0].route.kind if found else "answer"
        if kind == "human":
            return _human(turn, request.tools, session)
        if kind == "memory" and (known := _remembered(turn)):
            return _say(known, session, "it is asked what is remembered")
        if kind == "self":
            return _say(_about(request.tools), session, "it is asked what it is")
        return await self._answer(request, turn, session)

    async def _call(self, wish: Wish, turn: Turn, session: _Session) -> ModelReply:
        tool = wish.route.tool
        assert tool is not None
        picker = _Picker(session)
        arguments = await Filler(picker.pick).fill(wish.text, tool, turn.done)
        why = f"{tool.name} is nearest ({wish.route.score:.2f})"
        call = ProposedCall(tool.name, canonical.dumps(arguments))
        return ModelReply.call(call, reasoning=why, usage=session.usage)

    async def _answer(self, request: ModelRequest, turn: Turn, session: _Session) -> ModelReply:
        cap = request.settings.max_tokens
        body = {
            "prompt": chat_prompt(request.instructions, turn, self._room()),
            "max_tokens": min(cap or _MAX_TOKENS, self._context // 2),
            "temperature": 0.2 if request.settings.temperature is None else request.settings.temperature,
            "repeat_penalty": 1.1,
            "seed": 1,
            "stop": ["<|im_end|>", "<|im_start|>"],
            **_ANSWERS,
            **request.settings.extra,
        }
        told = _Told(session.emit, whole=cap is None)
        answer = await session.complete(body, told.come)
        cut = answer.finish == "length"
        text = told.end(cut=cut)
        if not text:
            return _say("I have no answer to that.", session, "nothing came")
        finish = "length" if cut and cap else "stop"
        return ModelReply((Text(text),), usage=session.usage, finish=finish, model=PACKAGED.name)

    async def _structured(self, request: ModelRequest, turn: Turn, session: _Session) -> ModelReply:
        assert request.output is not None
        asked = f"{request.instructions}\nAnswer as JSON: {shortened(canonical.dumps(dict(request.output.schema)), 800)}"
        body = {
            "prompt": chat_prompt(asked, turn, self._room()),
            "max_tokens": min(request.settings.max_tokens or 400, self._context // 2),
            "temperature": 0,
            "json_schema": _with_definitions(request.output.schema),
            **_ANSWERS,
        }
        answer = await session.complete(body, lambda text: session.emit(Delta("text", text)))
        return ModelReply((Text(answer.text.strip()),), usage=session.usage, finish=answer.finish, model=PACKAGED.name)

    def _room(self) -> int:
        return self._context // 2 * _CHARACTERS_A_TOKEN

    def _load(self) -> Runtime:
        with self._loading:
            if self._runtime is None:
                path = self._path or installed()
                if path is None:
                    raise ModelError("not_found", missing())
                try:
                    self._runtime = Runtime(path, self._settings, small=True)
                except MissingExtra as error:
                    raise ModelError("not_found", str(error)) from error
            return self._runtime


def provider(environ: Mapping[str, str], embedder: Callable[[], Embedder] | None) -> Callable[[str], LocalModel | OwnModel]:
    """What makes the models of ``local:``: the packaged one, or, of a path, that of a file.

    The maker raises ConfigurationError when the packaged model is not installed, or nothing is given to route with.
    """

    def make(name: str) -> LocalModel | OwnModel:
        if name not in ("", NAME):
            return OwnModel(name)
        if embedder is None:
            raise ConfigurationError("local: needs an embedder: name it on an Agent, or make LocalModel(MiniLM())")
        path = installed(environ=environ)
        if path is None:
            raise ConfigurationError(f"{missing()}; or name another model")
        if importlib.util.find_spec("xllamacpp") is None or importlib.util.find_spec("onnxruntime") is None:
            raise MissingExtra("the offline demo model", "local")
        return LocalModel(embedder(), path=path)

    return make


class _Told:
    """An answer on its way out: what streams is the beginning of what is told in the end, no more and no less.

    With ``whole``, sentences stream once they have ended, since one that is cut off will not be told.
    """

    def __init__(self, emit: Emit, *, whole: bool) -> None:
        self._emit, self._whole = emit, whole
        self._text, self._out = "", 0

    def come(self, piece: str) -> None:
        """Take a piece, and let go of what is certain."""
        self._text = (self._text + piece).lstrip()
        sure = self._sentences() if self._whole else len(self._text.rstrip())
        self._let_go(self._text[:sure].rstrip())

    def end(self, *, cut: bool) -> str:
        """Let go of the rest, and give the whole; ``cut`` says that the last sentence lacks its end."""
        ended = self._sentences() if self._whole and cut else 0
        text = self._text[: ended or None].rstrip()
        self._let_go(text)
        return text

    def _sentences(self) -> int:
        """Where the last whole sentence ends; a few characters, such as "1.", are none."""
        end = max(self._text.rfind(mark) for mark in ".!?\n") + 1
        return end if end > _SENTENCE else 0

    def _let_go(self, text: str) -> None:
        if len(text) > self._out:
            self._emit(Delta("text", text[self._out :]))
            self._out = len(text)


class _Picker:
    """Has the model pick one of several values for a parameter."""

    def __init__(self, session: _Session) -> None:
        self._session = session

    async def pick(self, text: str, spec: ToolSpec, filled: dict[str, Any], parameter: Parameter, options: Sequence[Any]) -> int:
        """The index of the value that the model continues the arguments with."""
        labels = [option if not isinstance(option, str) else plain(option)[:_LABEL] for option in options]
        unique = list({canonical.dumps(label): label for label in labels}.values())
        body = {
            "prompt": argument_prompt(text, spec, filled, parameter),
            "max_tokens": 48,
            "temperature": 0,
            "json_schema": {"enum": unique},
            **_ARGUMENTS,
        }
        answer = await self._session.complete(body)
        try:
            return labels.index(canonical.loads(answer.text))
        except ValueError:  # cut off, or not constrained after all: the likeliest comes first
            return 0


def _human(turn: Turn, specs: Sequence[ToolSpec], session: _Session) -> ModelReply:
    tool = next((spec for spec in specs if spec.name in _HUMAN_TOOLS), None)
    if tool is None:
        return _say(_NO_HUMAN, session, "a human is asked for")
    names = list(tool.input_schema.get("properties", {}))[:1]
    arguments = canonical.dumps({name: shortened(turn.ask, 400) for name in names})
    return ModelReply.call(ProposedCall(tool.name, arguments), reasoning="a human is asked for", usage=session.usage)


def _about(specs: Sequence[ToolSpec]) -> str:
    """What the model says of itself; left to its own words it makes up a person."""
    mine = "I am an offline demo model: small, without a network, better with tools than with words."
    told = [f"{spec.name} ({about(spec).rstrip('.')})" if spec.description else spec.name for spec in specs[:12]]
    return f"{mine} My tools: {', '.join(told)}." if told else f"{mine} I have no tools here."


def _remembered(turn: Turn) -> str:
    """What long-term memory gave the conversation, where nothing else was said in it; the model would make up the rest."""
    told = [line for message in turn.before for line in lines(message.text)]
    if not told or any(message.role == "assistant" for message in turn.before):
        return ""
    return "\n".join(["From our earlier conversations:", *(f"{_SPEAKERS.get(who, who)}: {said}" for _, who, said in told)])


def _say(text: str, session: _Session, why: str) -> ModelReply:
    session.emit(Delta("text", text))
    return ModelReply((Reasoning(why), Text(text)), usage=session.usage, model=PACKAGED.name)


def _with_definitions(schema: Any) -> dict[str, Any]:
    definitions = {key: bounded(value) for key, value in schema.get("$defs", {}).items()}
    return {**bounded(schema), **({"$defs": definitions} if definitions else {})}


def _silent(_: str) -> None:
    pass
