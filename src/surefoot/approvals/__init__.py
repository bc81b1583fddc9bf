"""Questions to a human: what asks, who may answer, and what an answer is worth."""

from surefoot.approvals.layers import Lists, allow, ask, deny
from surefoot.approvals.presets import content, guarded
from surefoot.core.tool import Content

__all__ = ["Content", "Lists", "allow", "ask", "content", "deny", "guarded"]
