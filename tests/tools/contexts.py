"""A context for tools that are called without an application."""

from __future__ import annotations

from typing import Any

from surefoot.core.tool import ToolContext


def context(deps: Any = None) -> ToolContext[Any]:
    return ToolContext(run_id="r1", call_id="1.0", agent="clerk", idempotency_key="r1:1.0", fencing_token=3, attempt=2, deps=deps)
