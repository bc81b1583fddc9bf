"""Structured output, however a server can be asked for it: by schema, by a tool whose arguments are the answer, by prompt.

`Forms` tries a provider's forms in order, best first, and remembers what a server takes. The reply's text is the JSON in
every case, brought back to what the agent's own schema says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Generic, Literal, Protocol, TypeVar

from surefoot.core.errors import ModelError
from surefoot.core.messages import Text, text_of
from surefoot.core.model import Delta, Emit, ModelReply, OutputSchema

__all__ = ["ANSWER", "Beyond", "Form", "Forms", "answer_about", "merged", "prompt_for", "visible_to"]

#: How an answer of a shape is asked for: the provider's strict mode, its plain JSON Schema, a tool whose arguments are
#: the answer, the prompt.
Form = Literal["strict", "schema", "tool", "prompt"]
#: The tool a model calls to answer where the server has no structured output.
ANSWER = "final_answer"


class Beyond(Exception):
    """A form cannot say what a schema says."""


class _Shape(Protocol):
    def restored(self, text: str) -> str: ...


Shaped = TypeVar("Shaped", bound=_Shape)


class Forms(Generic[Shaped]):
    """Asks one model for answers of a shape.

    Args:
        forms: what the provider knows, best first.
        shape: makes a schema ready to be sent in a form; raises Beyond where that is impossible, but for the last form.
        refusal: what servers say that do not take a form; they are asked by the next.
    """

    def __init__(
        self, forms: Sequence[Form], shape: Callable[[Mapping[str, Any], Form], Shaped], refusal: re.Pattern[str]
    ) -> None:
        self._forms = tuple(forms)
        self._shape = shape
        self._refusal = refusal
        # Some servers take a form only where no tools are given.
        self._first = {False: 0, True: 0}
        self._made: tuple[OutputSchema, Form, Shaped] | None = None

    async def ask(self, output: OutputSchema, ask: Callable[[Form, Shaped], Awaitable[ModelReply]], *, tools: bool) -> ModelReply:
        """The reply to ``ask``, in the first form that the server takes. Raises ModelError."""
        best = True
        for index in range(self._first[tools], len(self._forms)):
            form = self._forms[index]
            try:
                shape = self._shaped(output, form)
                reply = await ask(form, shape)
            except Beyond:  # only this schema: others may be asked for in this form
                best = False
            except ModelError as error:
                refused = error.kind == "invalid_request" and self._refusal.search(str(error))
                if form == self._forms[-1] or not refused:
                    raise
            else:
                if best:
                    self._first[tools] = max(index, self._first[tools])
                return _answered(reply, shape, form)
        raise AssertionError("the last form either answers or raises")

    def _shaped(self, output: OutputSchema, form: Form) -> Shaped:
        made = self._made
        if made is None or made[0] is not output or made[1] != form:
            self._made = made = (output, form, self._shape(output.schema, form))
        return made[2]


def answer_about(output: OutputSchema) -> str:
    """What the tool that stands for the answer says of itself."""
    said = "Give the final answer. Call this once, alone, when you have everything the answer needs."
    return f"{output.description} {said}".strip()


def prompt_for(schema: Mapping[str, Any]) -> str:
    """What is added to the instructions where only the prompt can say the shape."""
    return (
        "Your final answer must be one JSON value that meets this JSON Schema, with no other text and no code fence:\n"
        + json.dumps(schema, ensure_ascii=False)
    )


def visible_to(emit: Emit, form: Form | None) -> Emit:
    """Hide the tool that stands for the answer from those who watch."""
    if form != "tool":
        return emit

    def send(delta: Delta) -> None:
        if not (delta.kind == "call" and delta.text == ANSWER):
            emit(delta)

    return send


def merged(body: dict[str, Any], extra: Mapping[str, Any]) -> None:
    """Add the caller's own fields: objects are merged, None removes a field, anything else replaces it.

    A vendor's own tools, such as one that makes images, come beside the agent's.
    """
    for key, value in extra.items():
        if value is None:
            body.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(body.get(key), dict):
            body[key] = {**body[key], **value}
        elif key == "tools" and isinstance(value, list | tuple):
            body[key] = [*body.get(key, ()), *value]
        else:
            body[key] = value


def _answered(reply: ModelReply, shape: _Shape, form: Form) -> ModelReply:
    """The reply with its structured answer as text, whichever way it came."""
    calls = reply.calls
    parts = reply.parts
    if form == "tool":
        answers = [call for call in calls if call.name == ANSWER]
        calls = tuple([call for call in calls if call.name != ANSWER])
        # An answer given together with calls came too early: the model has not seen their results.
        if answers and not calls:
            parts = (*[part for part in parts if type(part) is not Text], Text(answers[0].arguments))
    finish = "stop" if reply.finish == "tool_calls" and not calls else reply.finish
    text = text_of(parts)
    if not calls and text:
        restored = shape.restored(text)
        if restored != text:
            parts = (*[part for part in parts if type(part) is not Text], Text(restored))
    return ModelReply(parts, calls, reply.usage, finish, reply.model, reply.request_id, reply.first_token, reply.extra)
