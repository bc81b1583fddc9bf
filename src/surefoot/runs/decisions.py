"""Deciding questions: what a human says, made into the events it is worth, for exactly the call that was asked about."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypedDict

from surefoot.approvals.policy import CedarPolicy
from surefoot.approvals.queue import Actor, Answer, RolesOf, delegated, may_edit, settled
from surefoot.core import canonical
from surefoot.core import events as ev
from surefoot.core.errors import AlreadyDecided, MayNotDecide, RequestNotFound, RunError, RunNotFound
from surefoot.core.ports import Clock, Judged, Policy, Store
from surefoot.core.request import Request
from surefoot.core.state import ENDED, State
from surefoot.engine.asking import answer_digest
from surefoot.engine.plan import Plan, call_digest
from surefoot.runs.desk import Approve, outside

__all__ = ["DecideOptions", "Decisions"]


class DecideOptions(TypedDict, total=False):
    """What `App.decide` is told; one of approve, answer, ask and delegate.

    Args:
        approve: the call may run, or not. Of an unknown outcome: run it again, or give up.
        edit: with an approval, new values for some arguments; of an answer, ``{"text": …}``.
        answer: the call does not run, and this is its result.
        ask: the call does not run yet; the model reads this question and may call again.
        delegate: who may decide it for whoever says this, by their roles; as one voice with theirs.
        sticky: the approval holds for more of this run: ``call``, the same call again; ``rule``, every call of this tool that
            the same rules ask about.
        by: who decides.
        how: how that is known; ``asserted`` unless a channel has authenticated them.
        reason: why; the model reads it.
        digest: the call it is for, where it was said about one seen before: for another call it is refused.
    """

    approve: bool
    edit: Mapping[str, Any]
    answer: str
    ask: str
    delegate: str
    sticky: Literal["call", "rule"]
    by: str
    how: str
    reason: str
    digest: str


class Decisions:
    """Takes answers for an application: with its roles, and with its agents' tools and rules where they are known."""

    def __init__(
        self, store: Store, clock: Clock, policy: Policy, plan: Callable[[str], Plan | None], roles: RolesOf | None
    ) -> None:
        self._store, self._clock, self._policy = store, clock, policy
        self._plan, self._roles = plan, roles

    async def decide(self, request: Request | str, said: DecideOptions) -> State:
        """Answer a question. Raises RequestNotFound, AlreadyDecided, MayNotDecide, InvalidArguments, TypeError."""
        words = [word for word in ("approve", "answer", "ask", "delegate") if word in said]
        unknown = sorted(said.keys() - DecideOptions.__annotations__.keys())
        if unknown:
            raise TypeError(f"a decision has no {unknown[0]!r}; it has {', '.join(DecideOptions.__annotations__)}")
        if len(words) != 1:
            raise TypeError("say one of approve=True, approve=False, answer='…', ask='…' and delegate='…'")
        if "delegate" in said:
            return await self._delegate(request, said)
        approve = said.get("approve", True)
        if not isinstance(approve, bool):  # nobody's "n" is taken for a yes
            raise TypeError(f"approve must be True or False, not {approve!r:.100}")
        word = words[0] if words[0] != "approve" else "approve" if approve else "deny"
        reason = said["ask"] if word == "ask" else said.get("reason", "")
        result = said["answer"] if word == "answer" else None
        answer = Answer(word, reason, result, sticky=said.get("sticky", ""))
        actor = self._actor(said.get("by", ""), said.get("how", "asserted"))
        return await self._put(request, answer, actor, said.get("edit"), said.get("digest", ""))

    async def _delegate(self, request: Request | str, said: DecideOptions) -> State:
        """Let somebody else decide a question. Raises RequestNotFound, AlreadyDecided, MayNotDecide."""
        name = request if isinstance(request, str) else request.id
        actor = self._actor(said.get("by", ""), said.get("how", "asserted"))

        def made(state: State) -> ev.Event:
            asked = state.requests.get(name)
            if asked is None or (state.status in ENDED and asked.kind != "outcome"):
                raise _no_question(state, name)
            self._permitted(state, asked, actor, "delegate")
            return delegated(asked, said["delegate"], actor, said.get("reason", ""), self._clock.now())

        return await self._outside(name, made)

    async def put_to(self, requests: Iterable[Request], approve: Approve) -> bool:
        """Put questions to a callback; whether it settled any.

        Unknown outcomes are not put to it, for a machine must not repeat such a call. What the callback raises is raised;
        anything but True, False and None raises TypeError, so that nobody's "n" is taken for a yes. What takes somebody else
        to decide stays open.
        """
        any_settled = False
        for request in requests:
            if request.kind == "outcome":
                continue
            said = approve(request)
            if inspect.isawaitable(said):
                said = await said
            if said is None:
                continue
            if not isinstance(said, bool):
                raise TypeError(f"approve must return True, False or None, not {said!r:.100}")
            try:
                await self.decide(request, {"approve": said, "by": "approve callback"})
            except MayNotDecide:
                continue
            except AlreadyDecided:  # somebody else was faster
                pass
            any_settled = True
        return any_settled

    async def settle(self, request: Request | str, outcome: str, by: str, how: str, reason: str, result: str) -> State:
        """Say what became of a call whose outcome is unknown."""
        answer = Answer(outcome, reason, result if outcome == "done" else None)
        return await self._put(request, answer, self._actor(by, how))

    async def revoke(self, request: Request | str, by: str, reason: str) -> State:
        """Take an approval back that was not used yet, or that holds for more of its run. Raises RequestNotFound."""
        name = request if isinstance(request, str) else request.id

        def revoked(state: State) -> ev.Event:
            unused = any(call.request == name and call.status == "approved" for call in state.calls.values())
            if state.status in ENDED or (name not in state.standing and not unused):
                raise RequestNotFound(name)
            return ev.ApprovalRevoked(name, by, reason)

        return await self._outside(name, revoked)

    def _actor(self, by: str, how: str) -> Actor:
        return Actor(by, how, tuple(self._roles(by)) if self._roles else None)

    async def _put(
        self, request: Request | str, answer: Answer, actor: Actor, edit: Mapping[str, Any] | None = None, digest: str = ""
    ) -> State:
        name = request if isinstance(request, str) else request.id

        def decided(state: State) -> tuple[ev.Event, ...]:
            asked = state.requests.get(name)
            if asked is None or (state.status in ENDED and asked.kind != "outcome"):
                raise _no_question(state, name)
            if digest and digest != asked.digest:
                raise MayNotDecide(name, "the decision is for another call than the one that is asked about")
            made = self._edited(state, asked, answer, edit) if edit is not None else answer
            if asked.kind == "outcome":
                word = {"approve": "retry", "deny": "give_up"}.get(made.word, made.word)
                if word == "retry" and state.status in ("cancelled", "done"):
                    raise RunError(f"run {state.id} has ended, so nothing runs again; settle {name} as done or give_up")
                made = Answer(word, made.reason, made.result, made.arguments, made.digest, made.sticky)
            events = settled(asked, made, actor, self._clock.now())
            self._permitted(state, asked, actor, made.word)
            return events

        return await self._outside(name, decided)

    async def _outside(self, name: str, make: Callable[[State], ev.Event | tuple[ev.Event, ...]]) -> State:
        try:
            return await outside(self._store, name.partition(":")[0], make)
        except RunNotFound:
            raise RequestNotFound(name) from None

    def _plan_of(self, state: State) -> Plan | None:
        """The plan of a run's agent, with the run's own rules."""
        plan = self._plan(state.agent)
        return plan.for_run(state.started.policy) if plan and state.started else plan

    def _permitted(self, state: State, asked: Request, actor: Actor, word: str) -> None:
        """Raise MayNotDecide when rules about who decides say no."""
        plan = self._plan_of(state)
        policy = plan.policy if plan else self._policy
        why = policy.bars(asked, actor.name, actor.roles or (), word, state.agent) if isinstance(policy, CedarPolicy) else ""
        if why:
            raise MayNotDecide(asked.id, why)

    def _edited(self, state: State, asked: Request, answer: Answer, edit: Mapping[str, Any]) -> Answer:
        """The answer with the arguments it changes, valid, and not what a rule denies."""
        plan = self._plan_of(state)
        if plan is None or (asked.kind == "call" and asked.tool not in plan.tools):
            raise MayNotDecide(
                asked.id, f"its arguments can only be changed where the agent {state.agent!r} is known, with its tools"
            )
        may_edit(asked, edit)
        if asked.kind not in ("call", "answer"):
            raise MayNotDecide(asked.id, "it has no arguments to change")
        try:
            text = canonical.dumps({**asked.args, **edit})
        except ValueError as error:
            raise TypeError(f"an edit is JSON: {error}") from None
        if asked.kind == "answer":
            given = canonical.loads(text).get("text")
            final = plan.output.validate(given if isinstance(given, str) else "")
            arguments, digest = canonical.dumps({"text": final}), answer_digest(state.agent, final)
            return Answer(answer.word, answer.reason, None, arguments, digest, answer.sticky)
        tool = plan.tools[asked.tool]
        arguments = tool.validate(text)
        started = state.started or ev.RunStarted(state.agent)
        verdict = plan.policy.judge(
            Judged(
                asked.call,
                arguments,
                tool.spec,
                state.agent,
                started.user,
                started.tenant,
                started.session,
                started.context,
                state,
            )
        )
        if verdict.verdict == "deny":
            raise MayNotDecide(asked.id, f"the edited call is denied: {verdict.reason}")
        return Answer(answer.word, answer.reason, None, arguments, call_digest(state.agent, tool.spec, arguments), answer.sticky)


def _no_question(state: State, request: str) -> RunError:
    settled = state.settled.get(request)
    if isinstance(settled, ev.ApprovalDecided):
        return AlreadyDecided(request, settled.decision, settled.by)
    if settled is not None:
        return AlreadyDecided(request, "expired" if isinstance(settled, ev.ApprovalExpired) else "revoked", "")
    if request in state.requests:
        return AlreadyDecided(request, f"the run is {state.status}", "")
    return RequestNotFound(request)
