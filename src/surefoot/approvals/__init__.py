"""Questions to a human: what asks, who may answer, and what an answer is worth."""

from surefoot.approvals.layers import Lists, allow, ask, deny
from surefoot.approvals.presets import content, guarded

__all__ = ["Lists", "allow", "ask", "content", "deny", "guarded"]
