"""Every setting, typed, with its default; `Settings.from_env` reads them from ``SUREFOOT_…`` variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, cast

from surefoot.core.errors import ConfigurationError

__all__ = ["Settings"]

#: No number passes this, in seconds some thirty years: times in microseconds stay far from what a store can hold.
_MOST = 1_000_000_000
#: The numbers that must be above zero, and those that may be zero.
_ABOVE_ZERO = ("lease", "poll", "tool_timeout")
_AT_LEAST_ONE = ("concurrency", "agent_concurrency", "model_tries", "parallel", "result_cap")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How an application behaves.

    Attributes:
        model: the model of agents that name none, ``provider:name``; empty: chosen from the keys that are set.
        lease: seconds a worker keeps a run without renewing it; another worker takes over after that.
        poll: seconds between looks for due runs when nothing stirs.
        concurrency: runs that one process drives at once.
        agent_concurrency: runs of one agent that one process drives at once.
        adopt: whether this process takes up runs that others left, and those that become due.
        grace: seconds that runs in work may go on when the application closes.
        durable: flush every commit to the disk, not only those that must survive a power cut.
        model_tries: times a model is asked before its failure ends the run.
        answer_tries: times an answer that does not fit its type may be given again.
        tool_timeout: seconds a tool may take that sets none itself.
        parallel: tool calls of one step that run at once.
        result_cap: characters kept of a tool's result; more is cut off.
        context_budget: estimated tokens of a prompt; 0 takes three quarters of the model's window.
        summary_model: who summarises what a long conversation's prompt has no room for: ``own`` for the agent's own model,
            ``provider:name``, or empty for nobody: earlier turns are then left out without a summary.
        backoff: seconds of the first delay before another try, doubled each time, with full jitter.
        backoff_cap: seconds no delay passes.
        policy: files or folders of Cedar rules that hold for every agent, separated as in ``PATH``.
        roles: who has which roles: ``dana=approver,admin; joe=viewer``.
        hide_denied: do not show a model the tools whose calls a policy always denies.
        trace_dir: the folder in which each run is written as ``trace_{run}.jsonl`` while it happens; empty: none is.
        trace_content: whether those files hold what was said.
        trace_days: days after which such a file is deleted; 0 keeps them.
        otel: whether traces, metrics and logs are sent to an OpenTelemetry collector, which the standard variables name.
        webhook: the address that is told, by a signed POST, when a run ends or waits for a human; empty: none is.
        approvals_webhook: the address that is told, by a signed POST, of each question to a human; empty: none is.
        deciders: whom that address may hand a link to decide with, ``dana, joe``; needs ``url``.
        url: this server's address as people reach it, which links begin with.
        webhook_secret: what the posts are signed with, and the links, which takes 16 bytes at least.
        slack_token: the token of a Slack bot that posts each question to a human; empty: none does.
        slack_channel: where it posts.
        slack_secret: the signing secret of its app, whose buttons the server then answers under ``/slack/actions``.
        slack_users: who is who there: ``dana=U024BE7LH; joe=U0G9QF9C6``.
        log: ``json`` or ``pretty`` prints what happens to standard error; empty: nothing is printed.
        semconv: the version of the semantic conventions whose names are sent; empty: the newest that is known.

    Raises ConfigurationError for a value that cannot work, with the setting's name and its variable's.
    """

    model: str = ""
    lease: float = 30.0
    poll: float = 1.0
    concurrency: int = 1_000
    agent_concurrency: int | None = None
    adopt: bool = True
    grace: float = 10.0
    durable: bool = False
    model_tries: int = 10
    answer_tries: int = 2
    tool_timeout: float = 600.0
    parallel: int = 16
    result_cap: int = 16 * 1024 * 1024
    context_budget: int = 0
    summary_model: str = "own"
    backoff: float = 0.5
    backoff_cap: float = 60.0
    policy: str = ""
    roles: str = ""
    hide_denied: bool = True
    trace_dir: str = ""
    trace_content: bool = True
    trace_days: float = 0.0
    otel: bool = False
    webhook: str = ""
    approvals_webhook: str = ""
    deciders: str = ""
    url: str = ""
    webhook_secret: str = ""
    slack_token: str = ""
    slack_channel: str = ""
    slack_secret: str = ""
    slack_users: str = ""
    log: str = ""
    semconv: str = ""

    def __post_init__(self) -> None:
        for field in fields(self):
            fault = _fault(field.name, str(field.type), getattr(self, field.name))
            if fault:
                given = f"{field.name}={getattr(self, field.name)!r:.100} ({_variable(field.name)})"
                raise ConfigurationError(f"the setting {given} must be {fault}; leave it out for its default")

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Settings from ``SUREFOOT_LEASE=10`` and the like; what is not set keeps its default.

        Raises ConfigurationError for a value that does not fit, with the variable's name.
        """
        env = os.environ if environ is None else environ
        values: dict[str, Any] = {}
        for field in fields(cls):
            name = _variable(field.name)
            if name in env:
                values[field.name] = _parse(name, env[name], str(field.type))
        return cls(**values)


def _variable(name: str) -> str:
    return f"SUREFOOT_{name.upper()}"


def _fault(name: str, kind: str, value: object) -> str:
    """What a value should have been; empty when it will do."""
    if kind == "str":
        return "" if isinstance(value, str) else "text"
    if kind == "bool":
        return "" if isinstance(value, bool) else "True or False"
    if value is None and kind.endswith("None"):
        return ""
    least = 1 if name in _AT_LEAST_ONE else 0
    whole = kind.startswith("int")
    fits = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
    # Not a number is within no bounds.
    if fits and least <= cast("float", value) <= _MOST and (value or name not in _ABOVE_ZERO):
        return ""
    span = f"above 0 and at most {_MOST}" if name in _ABOVE_ZERO else f"from {least} to {_MOST}"
    return f"a {'whole ' if whole else ''}number {span}"


def _parse(name: str, text: str, kind: str) -> Any:  # noqa: ANN401  the field's type
    try:
        if kind == "bool":
            return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[text.strip().lower()]
        if kind.startswith("int"):
            return int(text)
        return float(text) if kind == "float" else text
    except (KeyError, ValueError):
        raise ConfigurationError(f"{name}={text!r} is not a valid {kind.split(maxsplit=1)[0]}; unset it or correct it") from None
