"""The policy that follows from the tools' effects alone: what is unsafe asks, everything else runs."""

from __future__ import annotations

from surefoot.core.ports import Judged
from surefoot.core.tool import ToolSpec
from surefoot.core.values import Verdict

__all__ = ["EffectPolicy"]


class EffectPolicy:
    """Asks a human before every call of an unsafe tool."""

    @property
    def digest(self) -> str:
        """There is only one of these."""
        return "effects-1"

    def settled(self, tool: ToolSpec) -> str:
        """Effects are all that counts."""
        return "ask" if tool.effect == "unsafe" else "allow"

    def judge(self, call: Judged) -> Verdict:
        """Ask for unsafe tools, allow others."""
        if call.tool.effect == "unsafe":
            return Verdict(call.call, "ask", ("effect:unsafe",), "the tool is unsafe: it cannot be undone or repeated")
        return Verdict(call.call, "allow", (f"effect:{call.tool.effect}",))
