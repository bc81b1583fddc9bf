"""What an answer to a question is worth: who may give it, whose voices are still missing, and the events it makes. Pure.

A question demands something for each rule that asked: somebody with one of its roles, or several. Anyone who counts for one
of them can refuse. `settled` gives the events of an answer, or raises what is wrong with it; the store's compare-and-set
does the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from surefoot.core import events as ev
from surefoot.core.errors import AlreadyDecided, ConfigurationError, MayNotDecide
from surefoot.core.request import Request
from surefoot.core.values import Verdict

__all__ = ["Actor", "Answer", "RolesOf", "delegated", "may_edit", "missing", "named_lists", "roles_of", "settled"]

#: Who may decide where no rule names a role, once an application knows roles: a call or an answer, and anything else.
APPROVERS = frozenset({"approver", "admin"})
OPERATORS = APPROVERS | {"operator"}

#: A user's roles.
RolesOf = Callable[[str], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who decides. ``how`` says how that is known: ``asserted``, ``account``, ``link``, ``token``; ``roles`` is None where an
    application knows of none.
    """

    name: str = ""
    how: str = "asserted"
    roles: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What is decided: ``word`` is approve, deny, answer, ask, done, retry or give_up; ``arguments`` and ``digest`` an edit's."""

    word: str
    reason: str = ""
    result: str | None = None
    arguments: str = ""
    digest: str = ""
    sticky: str = ""


def roles_of(text: str) -> RolesOf | None:
    """Roles as a setting says them: ``dana=approver,admin; joe=viewer``. None for nothing. Raises ConfigurationError."""
    known = named_lists(text)
    return (lambda name: known.get(name, ())) if known else None


def named_lists(text: str) -> dict[str, tuple[str, ...]]:
    """Names with what belongs to each: ``a=b,c; d=e``. Raises ConfigurationError."""
    known: dict[str, tuple[str, ...]] = {}
    for part in filter(None, map(str.strip, text.split(";"))):
        name, equals, roles = part.partition("=")
        if not equals or not name.strip():
            raise ConfigurationError(f"{part!r} does not say who has which roles; write dana=approver,admin; joe=viewer")
        known[name.strip()] = tuple(role.strip() for role in roles.split(",") if role.strip())
    return known


def settled(request: Request, answer: Answer, actor: Actor, now: int) -> tuple[ev.Event, ...]:
    """The events of an answer, at ``now``. Raises MayNotDecide; AlreadyDecided when its time is over."""
    if request.expires_at and request.expires_at <= now:
        raise AlreadyDecided(request.id, "expired", "")
    _fits(request, answer)
    needs = _needs(request, actor)
    counts = [need for need in needs if _counts(need, request, actor)]
    if not counts:
        raise MayNotDecide(request.id, _why_not(needs, request, actor))
    decided = ev.ApprovalDecided(
        request.id, answer.word, actor.name, actor.how, answer.reason, answer.arguments, answer.result,
        answer.digest or request.digest, actor.roles or (), answer.sticky,
    )  # fmt: skip
    if answer.word != "approve" or (len(needs) == 1 and needs[0].quorum == 1):
        return (decided,)
    if not actor.name:
        raise MayNotDecide(request.id, "several must agree, so each must say who they are: by=…")
    if any(vote.by == actor.name and vote.digest == decided.digest for vote in request.votes):
        raise MayNotDecide(request.id, f"{actor.name} has agreed already, and more must agree: {missing(request)}")
    vote = ev.ApprovalVoted(
        request.id, True, actor.name, actor.how, answer.reason, actor.roles or (), answer.arguments, decided.digest
    )
    return (vote, decided) if _met(needs, request, (*request.votes, vote), decided.digest) else (vote,)


def delegated(request: Request, to: str, actor: Actor, reason: str, now: int) -> ev.ApprovalDelegated:
    """The event by which somebody who may decide lets another decide for them. Raises as `settled`."""
    if request.expires_at and request.expires_at <= now:
        raise AlreadyDecided(request.id, "expired", "")
    if not actor.name or not to or to == actor.name:
        raise MayNotDecide(request.id, "say who decides for whom: by=… and the name of somebody else")
    needs = _needs(request, actor)
    if not any(_alone(need, request, actor) for need in needs):  # what was left to somebody, they cannot pass on
        raise MayNotDecide(request.id, _why_not(needs, request, actor))
    return ev.ApprovalDelegated(request.id, to, actor.name, actor.how, reason, actor.roles or ())


def missing(request: Request) -> str:
    """What is still to be met, in words: ``2 of approver or admin, legal``; empty when anyone may decide alone."""
    words = []
    for need in _needs(request, Actor()):
        have = len(_voices(need, request, request.votes, request.digest))
        left = need.quorum - have
        if left > 0 and (need.roles or need.quorum > 1):
            words.append((f"{left} of " if left > 1 or need.quorum > 1 else "") + (" or ".join(need.roles) or "anyone"))
    return ", ".join(words)


@dataclass(frozen=True, slots=True)
class _Need:
    roles: tuple[str, ...]
    quorum: int
    distinct: bool
    known: bool


def _needs(request: Request, actor: Actor) -> list[_Need]:
    """What each rule wants. A rule that wants several never counts the run's own user."""
    verdict = request.verdict or Verdict(request.call, "ask")
    roles = verdict.roles or ((),)
    quorums = verdict.quorums or (verdict.quorum,) * len(roles)
    known = actor.roles is not None
    return [_Need(names, many, verdict.distinct or many > 1, known) for names, many in zip(roles, quorums, strict=True)]


def _counts(need: _Need, request: Request, actor: Actor) -> str:
    """Whose voice somebody's word is, for a need: their own, or that of whoever lets them decide; empty for nobody's."""
    if _alone(need, request, actor):
        return actor.name or "somebody"
    if need.distinct and (not actor.name or actor.name == request.user):
        return ""
    for given in request.delegates:
        if given.to == actor.name:
            giver = Actor(given.by, given.how, given.roles if need.known or given.roles else None)
            if _alone(need, request, giver):
                return given.by
    return ""


def _alone(need: _Need, request: Request, actor: Actor) -> bool:
    own = not actor.name or actor.name == request.user
    if need.distinct and own:
        return False
    if need.roles:
        return not set(need.roles).isdisjoint(actor.roles or ())
    if actor.roles is None or (own and actor.name):
        return True
    return not (APPROVERS if request.kind in ("call", "answer") else OPERATORS).isdisjoint(actor.roles)


def _why_not(needs: Sequence[_Need], request: Request, actor: Actor) -> str:
    who = actor.name or "whoever gives no name"
    if any(need.distinct for need in needs) and (not actor.name or actor.name == request.user):
        return f"{who} started the run or could have, and this needs somebody else"
    wanted = " or ".join(dict.fromkeys(role for need in needs for role in need.roles)) or "approver or admin"
    known = "" if actor.roles is not None else "; no roles are known here: set SUREFOOT_ROLES, or give App(roles=…)"
    return f"{who} may not decide it; it takes {wanted}{known}"


def _voices(need: _Need, request: Request, votes: Sequence[ev.ApprovalVoted], digest: str) -> set[str]:
    """Whose voices agree to exactly this call, and count for a need."""
    voices = [
        _counts(need, request, Actor(vote.by, vote.how, vote.roles if need.known or vote.roles else None))
        for vote in votes
        if vote.approve and vote.digest == digest
    ]
    return set(filter(None, voices))


def _met(needs: Sequence[_Need], request: Request, votes: Sequence[ev.ApprovalVoted], digest: str) -> bool:
    return all(len(_voices(need, request, votes, digest)) >= need.quorum for need in needs)


def _fits(request: Request, answer: Answer) -> None:
    """Raise MayNotDecide for an answer that does not answer the question."""
    if request.kind == "outcome":
        fits = answer.word in ("done", "retry", "give_up")
        hint = "settle it: done, retry or give_up"
    else:
        words = {"answer": ("approve", "deny", "ask"), "warning": ("approve", "deny")}
        fits = answer.word in words.get(request.kind, ("approve", "deny", "ask", "answer"))
        hint = "approve or deny it"
    if not fits:
        raise MayNotDecide(request.id, f"{answer.word!r} does not answer it; {hint}")
    if answer.sticky and (request.kind != "call" or answer.word != "approve" or answer.sticky not in ("call", "rule")):
        raise MayNotDecide(request.id, "only the approval of a call can hold for more: sticky='call' or sticky='rule'")
    verdict = request.verdict
    if answer.sticky == "rule" and (verdict is None or not verdict.rules or max(verdict.quorums, default=verdict.quorum) > 1):
        raise MayNotDecide(request.id, "what several must agree to is asked each time; leave sticky out")
    if answer.arguments and (request.kind == "outcome" or answer.word != "approve"):
        raise MayNotDecide(request.id, "only an approval can change the arguments")


def may_edit(request: Request, changed: Mapping[str, object]) -> None:
    """Raise MayNotDecide when the rules do not let these arguments be changed."""
    allowed = request.verdict.may_edit if request.verdict else None
    wrong = sorted(changed.keys() - set(allowed)) if allowed is not None else []
    if wrong:
        only = f"only {', '.join(allowed or ())} may be" if allowed else "nothing may be"
        raise MayNotDecide(request.id, f"{wrong[0]} may not be changed; {only}")
