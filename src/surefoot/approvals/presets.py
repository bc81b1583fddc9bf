"""Two policies to begin with, as Cedar text: `guarded` asks where strangers' text may have chosen a value, `content` also
where it may have chosen words.
"""

from __future__ import annotations

__all__ = ["content", "guarded"]

_EFFECTS = (
    'action in [Action::"effect:idempotent", Action::"effect:reconcilable", Action::"effect:unsafe", Action::"tag:external"]'
)

#: Effects run when the user or trusted data chose all that matters in them, and before strangers' text was read.
guarded = f"""
@id("guarded") @reason("after strangers' text was read, a value that matters comes neither from the user nor from trusted data")
@ask
forbid(principal, {_EFFECTS}, resource)
when {{ context.tainted && !context.doubts.isEmpty() }};

@id("guarded-run")
permit(principal, {_EFFECTS}, resource);
"""

#: As `guarded`, and free text with words that are not the user's asks as well.
content = f"""{guarded}
@id("content") @reason("after strangers' text was read, the call says more than the user said")
@ask
forbid(principal, {_EFFECTS}, resource)
when {{ context.tainted && !context.unsaid.isEmpty() }};
"""
