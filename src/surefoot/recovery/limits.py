"""How many requests a model gets at once, and how many of them may be retries.

`Throttle` adapts to rate limits as TCP does to congestion (Jacobson, "Congestion Avoidance and Control", 1988): there is
no limit until a provider refuses for the number of requests; then the number at once is halved, or, where he asks to be
left alone, begins at one and doubles up to that half; from there it grows by one a round, and is lifted once it is above
what was ever refused. `Budget` keeps retries to a share of the recent requests, with a floor, so that retries cannot
drown a provider that is already in trouble: a retry over it waits for its turn, or goes to another model where there is one.
`LimitedModel` puts both around a model.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from surefoot.core.errors import ModelError
from surefoot.core.model import Emit, ModelReply, ModelRequest
from surefoot.core.ports import Clock, Model
from surefoot.recovery.backoff import wished
from surefoot.recovery.window import Window

__all__ = ["Budget", "LimitedModel", "Rules", "Throttle"]

_FREE = float("inf")
#: Seconds for an answer where nobody says anything else.
_PATIENCE = 600.0


@dataclass(frozen=True, slots=True)
class Rules:
    """Retries may be ``share`` of the requests of the last ``window`` seconds, and always ``floor`` in a tenth of that."""

    share: float = 0.2
    floor: int = 3
    window: float = 10.0


class Budget:
    """The retry budget of one model."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._window = Window(rules.window)

    def spend(self, now: float, *, retry: bool) -> float:
        """Count a request that is about to go, and give 0; or count nothing, and give how long a retry must wait."""
        if not retry:
            self._window.add(now, 1, 0)
            return 0.0
        latest, left = self._window.latest(now)
        if latest >= self._rules.floor:
            first, retries = self._window.totals(now)
            if retries >= self._rules.share * (first + retries):
                return left
        self._window.add(now, 0, 1)
        return 0.0


class Throttle:
    """How many requests may be under way at once."""

    def __init__(self) -> None:
        self.limit = _FREE
        self.running = 0
        self._half = _FREE
        self._most = 0
        self._refused_at = -1
        self._number = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def enter(self) -> int:
        """Wait for room; gives the request's number, for `leave` and `refused`."""
        if self.running >= self.limit or self._waiting:
            room: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(room)
            try:
                await room
            except asyncio.CancelledError:
                if room.done() and not room.cancelled():  # it was let in at the very moment it gave up
                    self.running -= 1
                    self._let_in()
                raise
        else:
            self.running += 1
        self._number += 1
        return self._number

    def leave(self, *, well: bool) -> None:
        """A request is over; ``well`` when it was answered."""
        self.running -= 1
        if self.limit is not _FREE:
            if well:
                self.limit += 1 if self.limit < self._half else 1 / self.limit
                if self.limit > self._most and not self._waiting:
                    self.limit = self._half = _FREE
            self._let_in()

    def refused(self, number: int, *, alone: bool) -> None:
        """A request was refused for the number of requests; ``alone``: with the wish to be left alone for a while.

        Refusals of requests that were under way at the last one say nothing new.
        """
        if number <= self._refused_at:
            return
        self._refused_at = self._number
        self._most = max(self._most, self.running)
        self._half = max(1.0, self.running / 2)
        self.limit = 1.0 if alone else self._half

    def _let_in(self) -> None:
        while self._waiting and self.running < self.limit:
            room = self._waiting.popleft()
            if not room.done():
                self.running += 1
                room.set_result(None)


class LimitedModel:
    """A model with a retry budget and an adaptive number of requests at once."""

    def __init__(self, inner: Model, rules: Rules, clock: Clock) -> None:
        self.inner = inner
        self.name = inner.name
        self.budget = Budget(rules)
        self.throttle = Throttle()
        self._clock = clock

    @property
    def context_window(self) -> int:
        """The model's own."""
        return self.inner.context_window

    async def request(self, request: ModelRequest, emit: Emit) -> ModelReply:
        """Ask, once there is room. A retry over budget waits, or is refused when it may go elsewhere."""
        retry = request.attempt > 1
        while wait := self.budget.spend(self._clock.monotonic(), retry=retry):
            if request.elsewhere:
                raise ModelError("overloaded", f"the retry budget of {self.name} is spent", retry_after=wait, sent=False)
            await self._clock.sleep(wait)
        throttle, well = self.throttle, False
        number = await throttle.enter()
        try:
            reply = await self._ask(request, emit)
            well = True
        except ModelError as error:
            if error.kind == "rate_limited":
                throttle.refused(number, alone=bool(wished(error.retry_after)))
            raise
        finally:
            throttle.leave(well=well)
        return reply

    async def _ask(self, request: ModelRequest, emit: Emit) -> ModelReply:
        """Ask, within the request's time, which begins here: waiting for room is not the model's fault.

        Without a timeout of its own, a request is cut short by whoever waits for it, and needs a timer only where another
        model is to be asked after it.
        """
        seconds = request.settings.timeout or (_PATIENCE if request.elsewhere else None)
        if seconds is None:
            return await self.inner.request(request, emit)
        try:
            async with asyncio.timeout(seconds):
                return await self.inner.request(request, emit)
        except TimeoutError as error:
            raise ModelError("timeout", f"no answer within {seconds:g} s") from error
