"""Questions to a human: what asks, who may answer, and what an answer is worth."""

from surefoot.approvals.layers import Lists, allow, ask, deny

__all__ = ["Lists", "allow", "ask", "deny"]
