"""Whether and when a failed try is followed by another: the one owner of retries, as a pure function of the failure.

The loop asks it for tools and models alike, and writes what it says into the journal as the failure's ``retry_at``: a
delay survives a crash, and tries are counted from events. The vendors' own retries are off.
"""

from __future__ import annotations

from surefoot.core.taxonomy import Trial
from surefoot.recovery.backoff import Backoff, wished
from surefoot.recovery.classify import Taxonomy

__all__ = ["Policy"]


class Policy:
    """The `Retries` of an application."""

    def __init__(self, taxonomy: Taxonomy | None = None, backoff: Backoff | None = None) -> None:
        self._taxonomy = taxonomy or Taxonomy()
        self._backoff = backoff or Backoff()

    def kind_of(self, error: BaseException) -> str:
        """The kind of an exception."""
        return self._taxonomy.kind_of(error)

    def harmless(self, error: BaseException) -> bool:
        """Whether the user's rules vouch that whatever raised this has done nothing."""
        kind = self._taxonomy.ruled(error)
        return kind is not None and self._taxonomy.of(kind).replay_safe

    def delay(self, trial: Trial, chance: float) -> float | None:
        """Seconds until the next try; None when there is none: it cannot help, there were enough, or it would come late."""
        kind = self._taxonomy.of(trial.kind)
        if trial.tries >= trial.most or not (kind.retryable or (kind.resets and wished(trial.wish) is not None)):
            return None
        delay = self._backoff.delay(trial.tries, trial.wish, chance)
        return delay if delay < trial.left else None
