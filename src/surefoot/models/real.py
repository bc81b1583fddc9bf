"""The switch that forbids requests to real models, honoured by every provider's adapter.

Tests enter `forbid_real_models`, or set ``SUREFOOT_FORBID_MODELS=1``; adapters call `require_real_models` before
anything leaves the process.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from surefoot.core.errors import ConfigurationError

__all__ = ["forbid_real_models", "require_real_models"]

_forbidden: ContextVar[bool] = ContextVar("surefoot_forbid_real_models", default=False)


@contextmanager
def forbid_real_models() -> Iterator[None]:
    """Forbid requests to real models in this context and in every task and call started from it.

    Workers that were running before do not see it: enter it before the application is opened, or set
    ``SUREFOOT_FORBID_MODELS=1`` for the whole process.
    """
    token = _forbidden.set(True)
    try:
        yield
    finally:
        _forbidden.reset(token)


def require_real_models(model: str) -> None:
    """Raise ConfigurationError, naming ``model``, where requests to real models are forbidden."""
    if _forbidden.get() or os.environ.get("SUREFOOT_FORBID_MODELS", "").strip().lower() not in ("", "0", "false", "no"):
        raise ConfigurationError(
            f"{model} was about to be asked, and requests to real models are forbidden here (forbid_real_models() or "
            f"SUREFOOT_FORBID_MODELS); give the agent a model of surefoot.testing, such as ScriptedModel"
        )
