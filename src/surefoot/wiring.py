"""The composition root: settings and definitions in, wired parts out; the only file that knows engine and adapters."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing, nullcontext, suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from typing_extensions import get_protocol_members

from surefoot.approvals.layers import PolicyChoice
from surefoot.approvals.policy import CedarPolicy
from surefoot.approvals.protocol import protocol
from surefoot.approvals.queue import RolesOf, named_lists, roles_of
from surefoot.catalogue import memory_tools
from surefoot.clock import SystemClock
from surefoot.core import canonical
from surefoot.core.agent import Agent, ToolChoice
from surefoot.core.errors import ConfigurationError, DuplicateTool, JournalError, MissingExtra, UnknownPrice
from surefoot.core.memory import Memory
from surefoot.core.ports import Clock, Embedder, Model, Sink, Store, Tool, Toolset
from surefoot.core.tool import FINAL_ANSWER
from surefoot.core.values import Limits
from surefoot.embed.files import has_packaged
from surefoot.engine.plan import Plan, Rules
from surefoot.gating import check_policies, policy_for, policy_of, record_policies, tightened
from surefoot.journal import SqliteStore, live_of, open_store
from surefoot.journal.database import Own, connect
from surefoot.journal.owner import new_owner
from surefoot.journal.sqlite import Settings as SqliteSettings
from surefoot.memory import Connect, Derive, Recollection, Table, Weights
from surefoot.models import Models
from surefoot.models.pricing import has_price, price
from surefoot.models.tokens import counter
from surefoot.recovery.backoff import Backoff
from surefoot.recovery.options import Recovery
from surefoot.recovery.retry import Policy as RetryPolicy
from surefoot.recovery.stack import Stack
from surefoot.settings import Settings
from surefoot.telemetry.cursor import Cursor
from surefoot.telemetry.follower import Follower
from surefoot.telemetry.logs import Logs, quiet, show
from surefoot.telemetry.pulse import Pulse, Timed
from surefoot.tools.function import as_tool
from surefoot.tools.output import output_of
from surefoot.tools.readback import ReadBack
from surefoot.tools.toolset import Tools

if TYPE_CHECKING:
    from surefoot.approvals.slack import Slack

__all__ = ["Parts", "assemble", "check_price", "plan_of", "slack_of"]

#: Rules of runs whose plans an agent keeps.
_TIGHTENED = 32
#: What every store has.
_STORE = get_protocol_members(Store)


class Parts:
    """What an application is made of, ready to be opened."""

    def __init__(
        self,
        store: str | Store,
        settings: Settings,
        clock: Clock | None = None,
        policy: PolicyChoice | None = None,
        sinks: Sequence[Sink] = (),
        recovery: Recovery | None = None,
    ) -> None:
        self.settings = settings
        self.clock: Clock = clock or SystemClock()
        self.policy = policy_of(policy, settings)
        self._recording: asyncio.Task[None] | None = None
        self._tables: Connect | None = None
        self._derive: Derive | None = None
        if isinstance(store, str):
            store, self._tables, self._derive = _store(store, settings, self.clock)
        elif not all(hasattr(store, name) for name in _STORE):  # a wrapper may give them by `__getattr__`
            raise ConfigurationError(f"{store!r:.100} is no store; use 'sqlite:agent.db' (a file), 'memory:', or a Store")
        self.store: Store = store
        self.live = live_of(self.store, self.clock)
        self.models = Models(embedder=_minilm)
        self.owner = new_owner()
        self._memories: dict[object, Recollection] = {}
        sinks = (*_sinks(settings), *sinks)
        self._followers = [_follower(self.store, sink) for sink in sinks]
        observers = [observe for sink in sinks if (observe := getattr(sink, "observe", None)) is not None]
        self._pulse = Pulse(observers) if observers else None
        self.worked = self.store if self._pulse is None else cast("Store", Timed(self.store, self._pulse))
        self.recovery = Stack(recovery or Recovery(), self.clock, self.store)

    def follow(self, plans: Mapping[str, Plan]) -> None:
        """Let telemetry follow the store, which is open, and have other rules than before written down."""
        self._recording = asyncio.create_task(record_policies(self.store, self.policy, plans))
        for follower in self._followers:
            follower.begin()
        if self._pulse is not None:
            self._pulse.begin()

    async def farewell(self) -> None:
        """Let telemetry and models end, before the store is closed."""
        if self._pulse is not None:
            self._pulse.end()
        if self._recording is not None:
            with suppress(JournalError):  # who cannot write has other troubles
                await self._recording
        await self.recovery.notes.told()
        await asyncio.gather(*[follower.close() for follower in self._followers])
        for memory in self._memories.values():
            memory.close()
        await self.models.aclose()

    def roles(self, given: Mapping[str, Sequence[str]] | RolesOf | None) -> RolesOf | None:
        """Who has which roles: what is given, else what the settings say; None for no roles at all."""
        if given is None:
            return roles_of(self.settings.roles)
        return given if callable(given) else lambda name: given.get(name, ())

    def plan_of(self, agent: Agent[Any, Any], learned: Callable[[Plan], None]) -> Plan:
        """See `plan_of`."""
        return plan_of(agent, self, learned)

    def check_policies(self, plans: Mapping[str, Plan]) -> None:
        """See `check_policies`."""
        check_policies(plans)

    def memory(self, settings: Memory) -> Recollection:
        """The long-term memory of an agent with these settings. Raises ConfigurationError where the store has none."""
        if self._tables is None:
            raise ConfigurationError("this store was made without long-term memory; give App its name, such as 'sqlite:agent.db'")
        key = settings.embedder, settings.rerank, tuple(sorted(settings.weights.items()))
        found = self._memories.get(key)
        if found is None:
            name = settings.embedder
            own = _minilm() if name == "auto" and has_packaged() else None
            embedder = self.models.embedder(name) if ":" in name else own
            weights, derive = Weights.given(settings.weights), self._derive
            found = self._memories[key] = Recollection(
                self.store, self._tables, self.clock, weights=weights, embedder=embedder, derive=derive, rerank=settings.rerank
            )
        return found

    def check_price(self, plan: Plan, limits: Limits | None) -> None:
        """See `check_price`."""
        check_price(plan, limits)


def assemble(
    store: str | Store,
    settings: Settings | None,
    clock: Clock | None,
    policy: PolicyChoice | None,
    sinks: Sequence[Sink] = (),
    recovery: Recovery | None = None,
) -> Parts:
    """The parts for a store; settings come from the environment when none are given."""
    return Parts(store, settings or Settings.from_env(), clock, policy, sinks, recovery)


def _sinks(settings: Settings) -> list[Sink]:
    """What telemetry the settings ask for. Raises MissingExtra, ConfigurationError."""
    sinks: list[Sink] = []
    if settings.trace_dir:
        from surefoot.telemetry.files import TraceFiles
        from surefoot.telemetry.privacy import mask

        folder = Path(settings.trace_dir)
        sinks.append(TraceFiles(folder, content=settings.trace_content, redact=mask(), days=settings.trace_days))
    if settings.log:
        show(settings.log)
        sinks.append(Logs())
    else:
        quiet()
    if settings.otel:
        from surefoot.telemetry.otel import Otel

        sinks.append(Otel(version=settings.semconv) if settings.semconv else Otel())
    if settings.webhook or settings.approvals_webhook:
        from surefoot.approvals import notices

        sinks += notices.posts(
            settings.webhook, settings.approvals_webhook, settings.webhook_secret, settings.url, settings.deciders
        )
    if settings.slack_token:
        from surefoot.approvals.notices import Notices

        sinks.append(Notices(slack_of(settings)))
    return sinks


def slack_of(settings: Settings) -> Slack:
    """The Slack channel of the settings. Raises MissingExtra, ConfigurationError."""
    try:
        from surefoot.approvals.slack import Slack
    except ModuleNotFoundError:
        raise MissingExtra("questions in Slack", "slack") from None
    if not (settings.slack_channel and settings.slack_secret):
        raise ConfigurationError("a Slack bot needs a channel and a secret: set SUREFOOT_SLACK_CHANNEL and SUREFOOT_SLACK_SECRET")
    users = {name: found[0] for name, found in named_lists(settings.slack_users).items() if found}
    return Slack(settings.slack_token, settings.slack_channel, settings.slack_secret, users=users)


def _follower(store: Store, sink: Sink) -> Follower:
    """A sink's follower, whose cursor lies beside a journal that is a file."""
    path = getattr(store, "path", "")
    return Follower(store, sink, Cursor(Path(f"{path}.{canonical.digest(sink.name)[:8]}.cursor") if path else None))


def plan_of(agent: Agent[Any, Any], parts: Parts, learned: Callable[[Plan], None]) -> Plan:
    """An agent made ready to run; ``learned`` is told what its toolsets have once they are open.

    Raises ConfigurationError for what cannot work: an unknown provider, a missing key, two tools of one name, a type with
    no schema, a cost limit without a price.
    """
    settings = parts.settings
    memory = None if agent.memory is None else parts.memory(agent.memory)
    models = _models(agent, parts)
    model = parts.recovery.model_of(models)
    plan = Plan(
        agent=agent.name,
        digest="",
        model=model,
        models=tuple(one.name for one in models),
        tools={},
        output=output_of(agent.output),
        policy=policy_for(agent, parts.policy),
        retries=RetryPolicy(parts.recovery.taxonomy, Backoff(settings.backoff, settings.backoff_cap)),
        instructions=agent.instructions,
        limits=agent.limits,
        settings=agent.settings,
        deps=agent.deps,
        price=price,
        rules=_rules(settings),
        concurrency=settings.agent_concurrency,
        count=counter(model.name),
        context_budget=settings.context_budget,
        summary=_summary_model(settings.summary_model, model, parts),
        memory=memory,
        remember=agent.memory or Memory(),
    )
    plan = _equipped(plan, agent, parts)
    check_price(plan, agent.limits)

    def equip() -> Plan:
        found = replace(_equipped(plan, agent, parts), equip=equip, tighten=tighten)
        learned(found)
        return found

    def tighten(text: str) -> Plan:
        def again() -> Plan:
            return replace(_equipped(own, agent, parts), equip=again)

        own = replace(plan, policy=tightened(plan.policy, text))
        own = _equipped(own, agent, parts)
        return replace(own, equip=again) if own.toolsets else own

    return replace(plan, equip=equip if plan.toolsets else None, tighten=lru_cache(_TIGHTENED)(tighten))


def _equipped(plan: Plan, agent: Agent[Any, Any], parts: Parts) -> Plan:
    """The plan with the tools that the agent has now."""
    found, toolsets = _tools(agent, parts)
    tools = {name: parts.recovery.guarded_tool(tool, agent.name) for name, tool in found.items()}
    specs = tuple(tool.spec for tool in tools.values())
    schema = plan.output.schema
    digest = canonical.digest(
        agent.name,
        agent.version,
        *plan.models,
        agent.instructions if isinstance(agent.instructions, str) else _name_of(agent.instructions),
        *[canonical.dumps([spec.name, spec.description, spec.input_schema, spec.effect]) for spec in specs],
        canonical.dumps(schema.schema) if schema else "text",
    )[:16]
    settled = {spec.name: plan.policy.settled(spec) for spec in specs}
    free = {spec.name for spec in specs if spec.repeatable and not spec.human and settled[spec.name] == "allow"}
    told = tuple(spec for spec in specs if not (parts.settings.hide_denied and settled[spec.name] == "deny"))
    read_back = None
    if tools and ReadBack.NAME not in tools:
        tools[ReadBack.NAME] = reading = ReadBack(parts.store)
        read_back = reading.spec
        free.add(ReadBack.NAME)
    return replace(
        plan, tools=tools, toolsets=toolsets, specs=told, free=frozenset(free), digest=digest, read_back=read_back,
        gated=isinstance(plan.policy, CedarPolicy) and plan.policy.settled(FINAL_ANSWER) != "allow",
        guards=parts.recovery.guards_of(agent.name, specs, plan.limits, plan.model.context_window),
        protocol=protocol(specs, plan.policy),
    )  # fmt: skip


def _name_of(function: object) -> str:
    name = getattr(function, "__qualname__", type(function).__qualname__)  # a partial has none
    return str(name)


def check_price(plan: Plan, limits: Limits | None) -> None:
    """Raises UnknownPrice for a cost limit that cannot be kept."""
    unknown = [name for name in plan.models if not has_price(name)] if limits is not None and limits.cost is not None else []
    if unknown:
        raise UnknownPrice(
            f"agent {plan.agent!r} has a cost limit, but the price of {unknown[0]} is unknown; "
            "limit tokens instead: Limits(tokens=…)"
        )


def _store(url: str, settings: Settings, clock: Clock) -> tuple[Store, Connect, Derive]:
    """The store that a name stands for, with the table of long-term memory; what opens a connection to read that, and what
    writes beside it.
    """
    if url.partition(":")[0] == "memory":
        own = Own()

        async def derive(work: Callable[[Any], Any]) -> Any:  # noqa: ANN401  whatever the work gives
            return work(own())

        return open_store(url, clock, [Table(own)]), lambda: nullcontext(own()), derive
    path = url.partition(":")[2]
    store = open_store(url, clock, [Table()], SqliteSettings(flush=settings.durable))
    assert isinstance(store, SqliteStore)  # any other name was refused
    return store, lambda: closing(connect(path)), store.derive


def _minilm() -> Embedder:
    """The packaged embedder, imported when the embedded model first wants it."""
    from surefoot.embed.minilm import MiniLM

    return MiniLM()


def _rules(settings: Settings) -> Rules:
    return Rules(
        model_tries=settings.model_tries,
        answer_tries=settings.answer_tries,
        parallel=settings.parallel,
        tool_timeout=settings.tool_timeout,
        result_cap=settings.result_cap,
    )


def _models(agent: Agent[Any, Any], parts: Parts) -> list[Model]:
    """The agent's model, and those to fall back on."""
    choice = agent.model or parts.settings.model
    if not choice:
        return [parts.models.default()]
    choices = [choice] if isinstance(choice, (str, Model)) or not isinstance(choice, Sequence) else choice
    for one in choices:
        if not isinstance(one, (str, Model)):
            raise ConfigurationError(f"agent {agent.name!r}: {one!r:.100} is no model: give a Model, or its 'provider:name'")
    return [parts.models.model(one) if isinstance(one, str) else one for one in choices]


def _summary_model(choice: str, own: Model, parts: Parts) -> Model | None:
    return own if choice == "own" else parts.recovery.model_of([parts.models.model(choice)]) if choice else None


def _tools(agent: Agent[Any, Any], parts: Parts) -> tuple[dict[str, Tool], tuple[Toolset, ...]]:
    """The agent's tools by name, and the toolsets to open."""
    tools: dict[str, Tool] = {}
    toolsets: list[Toolset] = []
    own = memory_tools(agent.memory, parts.memory(agent.memory), parts.clock) if agent.memory is not None else []
    for tool in _flat((*agent.tools, *own), toolsets.append, parts.recovery.revived_tool):
        if tool.name in tools:
            raise DuplicateTool(
                f"agent {agent.name!r} has two tools named {tool.name!r}; rename one: @tool(name=…), or prefix its toolset"
            )
        tools[tool.name] = tool
    return tools, tuple(toolsets)


def _flat(
    choices: Iterable[ToolChoice], found: Callable[[Toolset], None], revived: Callable[[Tool, Toolset], Tool]
) -> Iterable[Tool]:
    for choice in choices:
        if isinstance(choice, Toolset):
            found(choice)
            opens = not isinstance(choice, Tools) or choice.opens
            yield from [revived(tool, choice) if opens else tool for tool in choice.tools()]
        elif isinstance(choice, Tool):
            yield choice
        elif callable(choice):
            yield as_tool(choice)
        else:
            raise ConfigurationError(f"{choice!r} is not a tool: give a function, a @tool, or a toolset")
