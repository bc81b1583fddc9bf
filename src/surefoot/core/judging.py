"""What a policy is asked, and what a guard notices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from surefoot.core.tool import ToolSpec

if TYPE_CHECKING:
    from surefoot.core.state import State

__all__ = ["Finding", "Judged"]


class Judged(msgspec.Struct, frozen=True, gc=False):
    """A call to be judged, with what a policy may look at."""

    call: str
    arguments: str
    tool: ToolSpec
    agent: str
    user: str = ""
    tenant: str = ""
    session: str = ""
    context: Mapping[str, Any] = {}
    state: State | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """What a guard noticed. ``action`` is warn, nudge (the model reads the message) or stop."""

    kind: str
    message: str
    action: str = "warn"
    data: Mapping[str, Any] = field(default_factory=dict)
