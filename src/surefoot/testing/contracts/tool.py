"""What every `Tool` must do, as tests: inherit, and give fixtures named ``tool`` and ``arguments``.

::

    class TestMine(Contract):
        @pytest.fixture
        def tool(self) -> Tool:
            return Mine()

        @pytest.fixture
        def arguments(self) -> str:
            return '{"city": "Bern"}'

``arguments`` is a JSON object that the tool accepts and that can be run several times, also at once. A tool that needs
dependencies gets them from the fixture ``deps``.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, get_args

import pytest

from surefoot.core import canonical
from surefoot.core.errors import InvalidArguments
from surefoot.core.messages import File, Image, Text
from surefoot.core.ports import Tool
from surefoot.core.tool import Done, Effect, NotDone, ToolContext, ToolOutput, ToolSpec

__all__ = ["Contract", "context"]

#: Texts that are no JSON object, or not clearly one.
_BROKEN = (
    "[1, 2]",
    "3",
    '"word"',
    "{",
    '{"a": 1',
    '{"a": 1, "a": 2}',
    '{"a": NaN}',
    "word",
    "[" * 10_000,
    '{"a": ' + "9" * 5_000 + "}",
    '{"a": "\\ud800"}',
    '{"a": "\ud800"}',
)
_SECONDS = 5


def context(deps: Any = None, call: str = "1.0") -> ToolContext[Any]:  # noqa: ANN401  whatever the tool depends on
    """What a call is given when no application makes it."""
    return ToolContext(
        run_id="contract",
        call_id=call,
        agent="contract",
        idempotency_key=f"contract:{call}",
        fencing_token=1,
        deps=deps,
    )


class Contract:
    """The behaviour of the port."""

    @pytest.fixture
    def deps(self) -> Any:  # noqa: ANN401  whatever the tool depends on
        """What the tool finds in its context."""
        return None

    async def test_says_what_it_is(self, tool: Tool) -> None:
        """A name, a known effect, and schemas that are JSON; the same every time."""
        spec = tool.spec
        assert tool.name == spec.name == spec.name.strip() != ""
        assert spec == tool.spec
        assert isinstance(spec, ToolSpec)
        assert spec.effect in get_args(Effect)
        assert spec.input_schema["type"] == "object"
        canonical.dumps([spec.input_schema, spec.output_schema])
        assert spec.description == spec.description.strip()

    async def test_arguments_become_canonical_once(self, tool: Tool, arguments: str) -> None:
        """One text for one meaning, which stays when it is read again."""
        text = tool.validate(arguments)
        assert text == canonical.dumps(canonical.loads(text))
        assert tool.validate(text) == text
        assert tool.validate(json.dumps(json.loads(arguments), indent=2)) == text
        assert tool.validate(f"```json\n{arguments}\n```") == text
        assert isinstance(json.loads(text), dict)

    @pytest.mark.parametrize("text", _BROKEN, ids=lambda text: ascii(text[:16]))
    async def test_what_is_no_object_is_refused(self, tool: Tool, text: str) -> None:
        """A complaint the model can read and the journal can store."""
        with pytest.raises(InvalidArguments) as caught:
            tool.validate(text)
        assert str(caught.value).strip()
        assert str(caught.value).encode()

    async def test_an_unknown_argument_is_refused(self, tool: Tool, arguments: str) -> None:
        """Where the schema allows no others."""
        if tool.spec.input_schema.get("additionalProperties", True) is not False:
            return
        with pytest.raises(InvalidArguments, match="no_such_argument"):
            tool.validate(json.dumps({**json.loads(arguments), "no_such_argument": 1}))

    async def test_a_missing_argument_is_named(self, tool: Tool, arguments: str) -> None:
        """Each that the schema requires."""
        given = json.loads(arguments)
        for name in tool.spec.input_schema.get("required", ()):
            with pytest.raises(InvalidArguments) as caught:
                tool.validate(json.dumps({key: value for key, value in given.items() if key != name}))
            assert name in str(caught.value)

    async def test_it_runs(self, tool: Tool, arguments: str, deps: Any) -> None:  # noqa: ANN401  as above
        """On canonical arguments, it gives text that can be stored, and parts."""
        async with asyncio.timeout(_SECONDS):
            output = await tool.call(tool.validate(arguments), context(deps))
        assert isinstance(output, ToolOutput)
        assert isinstance(output.text, str)
        output.text.encode()
        assert all(isinstance(part, Text | Image | File) for part in output.parts)

    async def test_calls_at_once_all_end(self, tool: Tool, arguments: str, deps: Any) -> None:  # noqa: ANN401  as above
        """Several calls are under way together, and all end."""
        text = tool.validate(arguments)
        async with asyncio.timeout(_SECONDS):
            outputs = await asyncio.gather(*[tool.call(text, context(deps, f"1.{number}")) for number in range(8)])
        assert all(isinstance(output, ToolOutput) for output in outputs)

    async def test_a_probe_answers_or_raises(self, tool: Tool) -> None:
        """A reconcilable tool says whether a call happened; another must not pretend to know."""
        if tool.spec.effect == "reconcilable":
            async with asyncio.timeout(_SECONDS):
                assert isinstance(await tool.probe("contract:never-used"), Done | NotDone)
            return
        with pytest.raises(Exception, match=r"."):
            await tool.probe("contract:never-used")
