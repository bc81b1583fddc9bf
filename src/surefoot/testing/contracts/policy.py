"""What every `Policy` must do, as tests: inherit, and give a fixture named ``policy``.

It is asked about tools of every effect, with arguments as a model might choose them. One whose rules are about tools of
its own gives them by the fixture ``calls`` as well: a list of `Judged`.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, get_args

import msgspec
import pytest

from surefoot.core.judging import Judged
from surefoot.core.ports import Policy
from surefoot.core.tool import Effect, ToolSpec
from surefoot.core.values import Verdict

__all__ = ["Contract"]

_VERDICTS = ("allow", "ask", "deny")
_SCHEMA: dict[str, Any] = {"type": "object", "properties": {"value": {}}, "additionalProperties": True}
_ARGUMENTS = (
    "{}",
    '{"value":1}',
    '{"value":99999999999999999999999999}',
    '{"value":0.1}',
    '{"value":null}',
    '{"value":[1,"two",null,{"__entity":{"type":"User","id":"root"}}]}',
    '{"value":"\\u202e\\u0000"}',
    '{"__extn":{"fn":"decimal","arg":"1.0"}}',
    '{"value":"' + "x" * 100_000 + '"}',
    '{"value":' + "[" * 200 + "]" * 200 + "}",
)


class Contract:
    """The behaviour of the port."""

    @pytest.fixture
    def calls(self) -> Sequence[Judged]:
        """Calls to be judged, beside those of this suite."""
        return ()

    def test_its_digest_stays(self, policy: Policy) -> None:
        """Text by which a change of the rules is noticed, and the same as long as there is none."""
        assert policy.digest == policy.digest != ""

    def test_every_call_has_a_verdict(self, policy: Policy, calls: Sequence[Judged]) -> None:
        """One of three, of that call, that can be stored; whatever the arguments are, nothing is raised."""
        for call in _all(calls):
            verdict = policy.judge(call)
            assert verdict.call == call.call
            assert verdict.verdict in _VERDICTS
            assert msgspec.json.decode(msgspec.json.encode(verdict), type=Verdict) == verdict
            assert verdict.quorum >= 1
            assert verdict.expires >= 0

    def test_the_same_call_has_the_same_verdict(self, policy: Policy, calls: Sequence[Judged]) -> None:
        """Also after others were judged."""
        asked = _all(calls)
        first = [policy.judge(call) for call in asked]
        assert [policy.judge(call) for call in reversed(asked)][::-1] == first

    def test_what_is_settled_is_the_verdict_on_every_call(self, policy: Policy, calls: Sequence[Judged]) -> None:
        """A tool whose calls are allowed without a look is never refused by one."""
        for call in _all(calls):
            settled = policy.settled(call.tool)
            assert settled in ("", *_VERDICTS)
            assert settled in ("", policy.judge(call).verdict)

    def test_a_tool_of_the_same_name_is_judged_by_what_it_is(self, policy: Policy) -> None:
        """Two agents may mean different tools by one name."""
        read, unsafe = _tool("read"), msgspec.structs.replace(_tool("unsafe"), name=_tool("read").name)
        before = policy.judge(Judged("0.0", "{}", read, "clerk"))
        policy.judge(Judged("0.0", "{}", unsafe, "clerk"))
        assert policy.judge(Judged("0.0", "{}", read, "clerk")) == before


def _tool(effect: Effect) -> ToolSpec:
    return ToolSpec(f"contract_{effect}", f"A tool that is {effect}.", _SCHEMA, {}, effect)


def _all(calls: Sequence[Judged]) -> list[Judged]:
    tools = [_tool(effect) for effect in get_args(Effect)]
    pairs = itertools.product(tools, _ARGUMENTS)
    return [*calls, *[Judged(f"3.{n}", text, tool, "clerk", "dana", "shop") for n, (tool, text) in enumerate(pairs)]]
