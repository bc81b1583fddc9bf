"""Several models as one: when one cannot answer, the next is asked, by the kind of failure.

What another try on the same model may well mend (`after_retry` in `core.taxonomy.KINDS`) is tried there once more first;
what it cannot mend, or what takes long, goes on at once; a prompt that is too long goes to models with a larger context
only, and not before the loop has tried to make it shorter. Once a model has begun to answer, no other is asked in the same
request: nothing that somebody has seen is silently said anew.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from surefoot.core.errors import ModelError
from surefoot.core.model import Delta, Emit, ModelReply, ModelRequest, Tried
from surefoot.core.ports import Clock, Model
from surefoot.recovery.classify import Taxonomy

__all__ = ["Chain"]

_SHOWN = 300


class Chain:
    """Models to be asked in order; its name and its context window are the first one's."""

    def __init__(self, models: Sequence[Model], taxonomy: Taxonomy, clock: Clock) -> None:
        self._models = tuple(models)
        self._taxonomy, self._clock = taxonomy, clock
        self.name = models[0].name
        self.names = tuple(model.name for model in models)

    @property
    def context_window(self) -> int:
        """The first model's."""
        return self._models[0].context_window

    async def request(self, request: ModelRequest, emit: Emit) -> ModelReply:
        """Ask one after the other. Raises the failure that waiting helps most, with what became of each."""
        heard = _Heard(emit)
        failures: list[ModelError] = []
        tried: list[Tried] = []
        least = 0
        models = (*self._models[1:], self._models[0]) if request.aside else self._models
        for index, model in enumerate(models):
            if index and model.context_window <= least:
                continue
            asked = msgspec.structs.replace(request, elsewhere=index + 1 < len(models))
            began = self._clock.monotonic()
            try:
                reply = await self._ask(model, asked, heard)
            except ModelError as error:
                failure = error
            else:
                first = model is self._models[0]
                return reply if first else msgspec.structs.replace(reply, by=model.name, tried=tuple(tried))
            took = int((self._clock.monotonic() - began) * 1e6) if failure.sent else 0
            failures.append(failure)
            tried.append(Tried(model.name, failure.kind, str(failure)[:_SHOWN], took))
            if heard.anything or not self._goes_on(failure, request.attempt):
                failures = [failure]
                failure.again = failure.kind == "context_overflow" and _larger(models, index)
                break
            if failure.kind == "context_overflow":
                least = max(least, model.context_window)
        chosen = min(failures, key=self._hopeless)
        chosen.tried = tuple(tried)
        chosen.sent = any(failure.sent for failure in failures)
        raise chosen

    async def _ask(self, model: Model, request: ModelRequest, emit: Emit) -> ModelReply:
        """One model; whatever it raises is a ModelError."""
        try:
            return await model.request(request, emit)
        except ModelError:
            raise
        except Exception as error:
            raise ModelError("server", f"the model raised {type(error).__name__}: {str(error)[:_SHOWN]}") from error

    def _goes_on(self, failure: ModelError, attempt: int) -> bool:
        """Whether the next model is asked."""
        match self._taxonomy.of(failure.kind).fallback:
            case "at_once":
                return True
            case "after_retry" | "larger":
                return attempt > 1 or not failure.sent
            case _:
                return False

    def _hopeless(self, failure: ModelError) -> tuple[bool, float]:
        """Sorts failures: those that another try may mend first, and of these the one that has to wait least."""
        kind = self._taxonomy.of(failure.kind)
        wait = failure.retry_after
        helps = kind.retryable or (kind.resets and wait is not None)
        return not helps, wait if helps and isinstance(wait, int | float) else 0.0


def _larger(models: Sequence[Model], index: int) -> bool:
    """Whether one of those that are asked later has a larger context."""
    return any(model.context_window > models[index].context_window for model in models[index + 1 :])


class _Heard:
    """Passes pieces of an answer on, and knows whether there were any."""

    __slots__ = ("_emit", "anything")

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self.anything = False

    def __call__(self, delta: Delta) -> None:
        self.anything = True
        self._emit(delta)
