"""llama.cpp in this process, through xllamacpp: load one GGUF, complete prompts and chats, stop when told.

The runtime brings an HTTP server along. It listens on a socket in a private folder that is deleted before the first
request, with a key nobody knows, so that no one can connect to it; requests are made by function calls only.
"""

from __future__ import annotations

import os
import platform
import secrets
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import anyio.to_thread

from surefoot.core.errors import MissingExtra, ModelError
from surefoot.core.messages import Usage
from surefoot.models.local_gguf import Gguf, read_gguf

__all__ = ["Answer", "LocalSettings", "Runtime", "lacking", "off_loop"]

T = TypeVar("T")

#: What the Linux build of the runtime is compiled for; without these the process would be killed, not told.
_NEEDED = ("avx2", "bmi2", "f16c", "fma")


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """How the embedded runtime works. 0 leaves the choice to it.

    ``threads`` generate and ``batch_threads`` read the prompt: by default one and two for the packaged model, which is
    so small that threads spend their time waiting for each other, and the machine's cores, at most eight, for others.
    ``context`` is the window in tokens: by default 2,048 for the packaged model, 8,192 for others, or the model's own
    where that is less.
    """

    threads: int = 0
    batch_threads: int = 0
    context: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the runtime gave: text, tool calls as the chat format has them, why it stopped, and tokens."""

    text: str
    calls: tuple[tuple[str, str, str], ...] = ()
    finish: str = "stop"
    usage: Usage = Usage()


class Runtime:
    """One loaded model. Everything here blocks: call it in a thread. Requests from several threads take turns.

    Raises:
        ModelError: not_found for a file that is not there, invalid_request for one that is no model or a processor that
            is too old, server for a runtime that fails.
        MissingExtra: xllamacpp is not installed.
    """

    def __init__(self, path: Path, settings: LocalSettings = LocalSettings(), *, small: bool = False) -> None:
        self.gguf: Gguf = read_gguf(path)
        usual = 2048 if small else 8192
        self.context = settings.context or min(usual, self.gguf.context or usual)
        cores = min(8, os.cpu_count() or 1)
        threads = settings.threads or (1 if small else cores)
        batch = settings.batch_threads or (min(2, cores) if small else cores)
        # The packaged model keeps two prompts in memory, one for arguments and one for answers: reading the unchanging
        # part of one again, after the other, is most of what a request costs.
        self._server = _serve(path, threads, batch, self.context, slots=2 if small else 1)
        self._turn = threading.Lock()

    def complete(self, body: dict[str, Any], say: Callable[[str], None], stop: threading.Event) -> Answer:
        """Continue ``body["prompt"]``; each piece of text goes to ``say``, and nothing follows once ``stop`` is set."""
        return self._ask(self._server.handle_completions, body, say, stop)

    def chat(self, body: dict[str, Any], say: Callable[[str], None], stop: threading.Event) -> Answer:
        """Answer ``body["messages"]`` in the model's own chat format, with ``body["tools"]`` where it knows them."""
        return self._ask(self._server.handle_chat_completions, body, say, stop)

    def _ask(self, handle: Any, body: dict[str, Any], say: Callable[[str], None], stop: threading.Event) -> Answer:
        reader = _Reader(say, stop)
        with self._turn:
            if stop.is_set():
                return Answer("")
            try:
                given = handle({"cache_prompt": True, **body, "stream": True}, reader.take)
            except Exception as error:  # whatever the runtime throws
                raise ModelError("server", f"the embedded runtime failed: {error}") from error
        if isinstance(given, dict):
            reader.take(given)
        return reader.answer()


class _Reader:
    """Puts a stream together. What is raised inside the runtime's callback is lost there, so it is kept here."""

    def __init__(self, say: Callable[[str], None], stop: threading.Event) -> None:
        self._say = say
        self._stop = stop
        self._text: list[str] = []
        self._calls: dict[int, list[str]] = {}
        self._finish = "stop"
        self._usage = Usage()
        self._error: Exception | None = None

    def take(self, chunk: dict[str, Any]) -> bool:
        """Add one piece; True tells the runtime to stop."""
        try:
            self._take(chunk)
        except Exception as error:  # noqa: BLE001  raised again by `answer`
            self._error = self._error or error
        return self._error is not None or self._stop.is_set()

    def answer(self) -> Answer:
        """The whole. Raises what went wrong."""
        if self._error is not None:
            raise self._error
        calls = tuple((name, arguments, key) for name, arguments, key in self._calls.values())
        return Answer("".join(self._text), calls, self._finish, self._usage)

    def _take(self, chunk: dict[str, Any]) -> None:
        if error := chunk.get("error"):
            raise _refused(error)
        if timings := chunk.get("timings"):
            cached, read = int(timings.get("cache_n", 0)), int(timings.get("prompt_n", 0))
            self._usage = Usage(input=cached + read, cached=cached, output=int(timings.get("predicted_n", 0)))
        for choice in chunk.get("choices", ()):
            delta = choice.get("delta") or choice.get("message") or {}
            if text := choice.get("text") or delta.get("content"):
                self._text.append(text)
                self._say(text)
            for piece in delta.get("tool_calls") or ():
                call = self._calls.setdefault(int(piece.get("index", len(self._calls))), ["", "", ""])
                function = piece.get("function") or {}
                call[0] += function.get("name") or ""
                call[1] += function.get("arguments") or ""
                call[2] = piece.get("id") or call[2]
            self._finish = choice.get("finish_reason") or self._finish


async def off_loop(work: Callable[[], T]) -> T:
    """Do blocking work in a thread; a caller that is cancelled leaves it to end by itself."""
    return await anyio.to_thread.run_sync(work, abandon_on_cancel=True)


def lacking(cpuinfo: str) -> list[str]:
    """What a processor lacks that the runtime needs, by the text of ``/proc/cpuinfo``; nothing where it does not say."""
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "flags":
            return [flag for flag in _NEEDED if flag not in value.split()]
    return []


def _serve(path: Path, threads: int, batch: int, context: int, *, slots: int) -> Any:
    _check_processor()
    # Read once, when the runtime's thread library is loaded: waiting threads must sleep, not spin. On busy cores that is
    # 4 seconds a task instead of 50.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        import xllamacpp
    except ImportError:
        raise MissingExtra("the embedded model", "local") from None
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.verbosity = -1
    params.n_ctx = context * slots
    params.n_parallel = slots
    params.n_gpu_layers = 0
    params.warmup = False
    params.cache_ram_mib = 0
    params.n_batch = params.n_ubatch = 512
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = batch
    params.ui = False
    params.endpoint_slots = False
    params.cors_origins = ""
    params.api_keys = [secrets.token_hex(32)]
    with tempfile.TemporaryDirectory(prefix="surefoot-") as folder:
        params.hostnames = [f"{folder}/closed.sock"] if os.name == "posix" else ["127.0.0.1"]
        try:
            return xllamacpp.Server(params)
        except RuntimeError as error:
            raise ModelError(
                "invalid_request",
                f"{path} cannot be loaded: it is damaged, of a kind this runtime does not know, or too big for the "
                f"memory ({error}). Use another GGUF file, or `surefoot models install --force` for the packaged one",
            ) from error


def _check_processor() -> None:
    if platform.system() != "Linux" or platform.machine() not in ("x86_64", "AMD64"):
        return
    try:
        missing = lacking(Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return
    if missing:
        raise ModelError(
            "invalid_request",
            f"this processor is too old for the embedded model: it lacks {', '.join(missing)}. Use another model: set "
            f"SUREFOOT_MODEL=provider:name, or the key of a provider",
        )


def _refused(error: dict[str, Any]) -> ModelError:
    said = str(error.get("message", error))
    if error.get("type") == "exceed_context_size_error":
        return ModelError("context_overflow", f"{said}. Give the model a larger context, or less to read")
    if error.get("type") == "invalid_request_error":
        return ModelError("invalid_request", said)
    return ModelError("server", f"the embedded runtime failed: {said}")
