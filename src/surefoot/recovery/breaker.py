"""A breaker for each model and, where a tool asks for one, each tool: whoever fails too often is left alone for a while.

`Breaker` is the pure part, given the time. It opens when the share of failures of the last half minute passes a limit and
there were enough of them to tell, or at once when somebody says until when he cannot be asked (``Retry-After``). Once that
time is over, one probe goes through while the others wait for what becomes of it. Errors of the caller's own (a wrong key,
a prompt too long) never open it: see `core.taxonomy.Kind.breaker`. The pattern is Nygard's, "Release It!" (2007).
`GuardedModel` and `GuardedTool` put one around a model and around a tool.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from surefoot.core.errors import ModelError, ToolFailed
from surefoot.core.events import BreakerChanged
from surefoot.core.model import Emit, ModelReply, ModelRequest
from surefoot.core.ports import Clock, Model, Tool
from surefoot.core.tool import Done, NotDone, ToolContext, ToolOutput, ToolSpec
from surefoot.recovery.backoff import wished
from surefoot.recovery.classify import Taxonomy
from surefoot.recovery.window import Window

__all__ = ["Breaker", "GuardedModel", "GuardedTool", "Rules", "Tell"]

#: Told of every change of a breaker's state; must neither wait nor raise.
Tell = Callable[[BreakerChanged], None]

#: Whoever says when he can be asked again is believed, if it is one of these.
_CLOSED_UNTIL = ("rate_limited", "quota_exhausted", "overloaded")
#: Seconds after which a request without a timeout of its own is cut short; see the loop.
_PATIENCE = 600.0


@dataclass(frozen=True, slots=True)
class Rules:
    """When a breaker opens, and for how long. Times are in seconds.

    It opens when at least ``share`` of at least ``least`` requests in ``window`` failed, for ``pause``, which is doubled up
    to ``longest`` while probes fail.
    """

    share: float = 0.5
    least: int = 20
    window: float = 30.0
    pause: float = 5.0
    longest: float = 60.0


class Breaker:
    """The state of one breaker: ``closed``, ``open`` or ``half_open``; times are seconds of one monotonic clock."""

    def __init__(self, subject: str, rules: Rules, taxonomy: Taxonomy, clock: Clock, tell: Tell) -> None:
        self.subject = subject
        self.state = "closed"
        self.reason = ""
        self.until = 0.0
        self._rules, self._taxonomy, self._clock, self._tell = rules, taxonomy, clock, tell
        self._window = Window(rules.window)
        self._pause = rules.pause
        self._probe: asyncio.Future[None] | None = None

    def left(self) -> float:
        """Seconds until whoever is behind it may be asked; 0 for now."""
        return max(0.0, self.until - self._clock.monotonic()) if self.state == "open" else 0.0

    async def admit(self, *, wait: bool) -> bool:
        """Whether a request may go; the first after a pause is a probe, and with ``wait`` others wait for what becomes of it."""
        while self.state != "closed":
            if self.left() > 0:
                return False
            if self._probe is None:
                self._probe = asyncio.get_running_loop().create_future()
                self._change("half_open")
                return True
            if not wait:
                return False
            await asyncio.shield(self._probe)
        return True

    def succeeded(self) -> None:
        """A request was answered."""
        if self.state == "closed":
            self._window.add(self._clock.monotonic(), 1, 0)
        elif self.state == "half_open":
            self._close()

    def failed(self, kind: str, wish: float | None = None) -> None:
        """A request failed, and somebody may have said how long to wait."""
        now, asked = self._clock.monotonic(), wished(wish)
        counts = self._taxonomy.of(kind).breaker
        if self.state == "closed" and counts:
            self._window.add(now, 0, 1)
        if asked and kind in _CLOSED_UNTIL:
            self._open(kind, asked)
        elif self.state == "half_open":
            if counts:
                self._pause = min(self._pause * 2, self._rules.longest)
                self._open(kind, self._pause)
            else:
                self._close()  # whoever can refuse is well
        elif self.state == "closed" and counts:
            good, bad = self._window.totals(now)
            if good + bad >= self._rules.least and bad >= self._rules.share * (good + bad):
                self._open(kind, self._pause)

    def abandoned(self) -> None:
        """A request was cut short by its caller, and says nothing."""
        if self.state == "half_open":
            self.until = self._clock.monotonic()
            self._change("open")
            self._release()

    def _close(self) -> None:
        self._pause = self._rules.pause
        self._window.clear()
        self._change("closed")
        self._release()

    def _open(self, kind: str, seconds: float) -> None:
        until = self._clock.monotonic() + seconds
        if self.state == "open" and until <= self.until:
            return
        self.reason, self.until = kind, until
        self._change("open", seconds)
        self._release()

    def _change(self, state: str, seconds: float = 0.0) -> None:
        self.state = state
        good, bad = self._window.totals(self._clock.monotonic())
        until = self._clock.now() + int(seconds * 1e6) if seconds else 0
        self._tell(BreakerChanged(self.subject, state, self.reason, until, bad, good + bad))

    def _release(self) -> None:
        if self._probe is not None:
            self._probe.set_result(None)
            self._probe = None


class GuardedModel:
    """A model behind a breaker."""

    def __init__(self, inner: Model, breaker: Breaker, clock: Clock) -> None:
        self.inner = inner
        self.name = inner.name
        self.breaker = breaker
        self._clock = clock

    @property
    def context_window(self) -> int:
        """The model's own."""
        return self.inner.context_window

    async def request(self, request: ModelRequest, emit: Emit) -> ModelReply:
        """Ask, unless the breaker is open: then ModelError, of the kind it opened for, with the time that is left."""
        breaker = self.breaker
        if breaker.state != "closed" and not await breaker.admit(wait=not request.elsewhere):
            raise self._refusal()
        began = self._clock.monotonic()
        try:
            reply = await self.inner.request(request, emit)
        except ModelError as error:
            if error.sent:
                breaker.failed(error.kind, error.retry_after)
            else:
                breaker.abandoned()
            raise
        except asyncio.CancelledError:
            # Whoever waits for an answer cuts it short when its time is up, which is the model's fault.
            if request.settings.timeout is None and self._clock.monotonic() - began >= 0.99 * _PATIENCE:
                breaker.failed("timeout")
            else:
                breaker.abandoned()
            raise
        except BaseException:
            breaker.failed("server")
            raise
        breaker.succeeded()
        return reply

    def _refusal(self) -> ModelError:
        left, why = self.breaker.left(), self.breaker.reason or "server"
        text = f"{self.name} is not asked for {left:.3g} s: it failed too often lately ({why}), or asked to be left alone"
        return ModelError(why, text, retry_after=left, sent=False)


class GuardedTool:
    """A tool behind a breaker."""

    def __init__(self, inner: Tool, breaker: Breaker, taxonomy: Taxonomy, clock: Clock) -> None:
        self.inner = inner
        self.name = inner.name
        self._breaker, self._taxonomy, self._clock = breaker, taxonomy, clock

    @property
    def spec(self) -> ToolSpec:
        """The tool's own."""
        return self.inner.spec

    def validate(self, arguments: str) -> str:
        """As the tool does."""
        return self.inner.validate(arguments)

    async def call(self, arguments: str, context: ToolContext[Any]) -> ToolOutput:
        """Run it, unless the breaker is open: then ToolFailed, which the model reads."""
        breaker = self._breaker
        if breaker.state != "closed" and not await breaker.admit(wait=False):
            raise ToolFailed(
                f"{self.name} failed too often lately ({breaker.reason}); it can be tried in {breaker.left():.3g} s."
            )
        began = self._clock.monotonic()
        try:
            output = await self.inner.call(arguments, context)
        except asyncio.CancelledError:
            if self._clock.monotonic() - began >= 0.99 * (self.spec.timeout or _PATIENCE):
                breaker.failed("timeout")
            else:
                breaker.abandoned()
            raise
        except Exception as error:
            breaker.failed(self._taxonomy.kind_of(error))
            raise
        except BaseException:
            breaker.abandoned()
            raise
        breaker.succeeded()
        return output

    async def probe(self, key: str) -> Done | NotDone:
        """As the tool does; a probe says nothing of its health."""
        return await self.inner.probe(key)
