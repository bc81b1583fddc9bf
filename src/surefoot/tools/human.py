"""`ask_human`: the tool by which a model itself asks a human. Its body never runs: the answer is the call's result."""

from __future__ import annotations

from typing import Any

from surefoot.core import canonical
from surefoot.core.errors import InvalidArguments, ToolFailed
from surefoot.core.tool import Done, NotDone, ToolContext, ToolOutput, ToolSpec

__all__ = ["AskHuman", "ask_human"]

#: Characters of a question.
_MOST = 4_000
_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "reason": {
            "type": "string",
            "description": "What you want to do or know, and why a human should decide it.",
            "maxLength": _MOST,
        }
    },
    "required": ["reason"],
    "additionalProperties": False,
}
_SPEC = ToolSpec(
    "ask_human",
    "Ask a human to decide or to tell you something. The run waits for the answer.",
    _SCHEMA,
    effect="read",
    examples=("I want to speak to a person", "Ask your boss whether that is all right"),
    human=True,
)


class AskHuman:
    """A question in the queue of approvals; see ``docs/reference/policies.md``."""

    @property
    def name(self) -> str:
        """See `Tool.name`."""
        return _SPEC.name

    @property
    def spec(self) -> ToolSpec:
        """See `Tool.spec`."""
        return _SPEC

    def validate(self, arguments: str) -> str:
        """See `Tool.validate`."""
        try:
            given = canonical.loads(arguments)
        except ValueError as error:
            raise InvalidArguments(f"the arguments are no JSON object: {error}") from None
        reason = given.get("reason") if isinstance(given, dict) else None
        if not isinstance(reason, str) or not reason.strip() or len(reason) > _MOST or set(given) != {"reason"}:
            raise InvalidArguments(f"give reason, a text of 1 to {_MOST} characters, and nothing else")
        return canonical.dumps({"reason": canonical.sound(reason)})

    async def call(self, arguments: str, context: ToolContext[Any]) -> ToolOutput:
        """Never called by a run, whose policy puts the question to a human instead."""
        raise ToolFailed("nobody was asked: a human answers this, not the tool")

    async def probe(self, key: str) -> Done | NotDone:
        """See `Tool.probe`; there is nothing that could have happened."""
        return NotDone()


#: The tool, ready for ``Agent(tools=[…, ask_human])``.
ask_human = AskHuman()
