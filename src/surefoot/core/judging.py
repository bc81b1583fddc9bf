"""What a policy is asked, and a rule as a tool's author writes one down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from surefoot.core.messages import Message
from surefoot.core.tool import ToolSpec

if TYPE_CHECKING:
    from surefoot.core.state import State

__all__ = ["Judged"]


class Judged(msgspec.Struct, frozen=True, gc=False):
    """A call to be judged, with what a policy may look at; ``past`` is what the session said before the run."""

    call: str
    arguments: str
    tool: ToolSpec
    agent: str
    user: str = ""
    tenant: str = ""
    session: str = ""
    context: Mapping[str, Any] = {}
    state: State | None = None
    past: Sequence[Message] = ()
