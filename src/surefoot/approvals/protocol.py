"""What an agent that can ask a human is told of asking, made from its policy. The gate never depends on it."""

from __future__ import annotations

from collections.abc import Sequence

from surefoot.core.ports import Policy
from surefoot.core.tool import ToolSpec

__all__ = ["protocol"]


def protocol(tools: Sequence[ToolSpec], policy: Policy) -> str:
    """The part of the system prompt; empty for an agent without a tool that asks."""
    asking = next((tool.name for tool in tools if tool.human), "")
    if not asking:
        return ""
    gated = [tool.name for tool in tools if not tool.human and policy.settled(tool) != "allow"]
    grave = [tool.name for tool in tools if "irreversible" in tool.tags and tool.name not in gated]
    lines = [
        f"Ask a human with {asking} before you do anything that cannot be undone"
        + (f", {_list(grave)} above all" if grave else "")
        + "."
    ]
    if gated:
        lines.append(f"Calls of {_list(gated)} may be put to a human by themselves: just call, and do not ask before.")
    lines += [
        "After a yes, go on without asking again.",
        "After a no, do not do it: tell the user that it was not allowed, and why.",
        "Do not ask twice in a row; the second time, decide or tell the user.",
    ]
    return " ".join(lines)


def _list(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
