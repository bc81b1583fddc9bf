"""Structured answers: a type to the schema a model is told, its text to canonical JSON, and that to a value.

`output_of(kind)` takes any type that has a JSON Schema: pydantic models, dataclasses, TypedDicts, unions, lists,
literals, numbers. Providers want an object at the top, so a type of another shape is asked for as ``{"value": …}``, and
taken with or without that wrapping; what is stored is the value itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_args

from surefoot.core import canonical
from surefoot.core.model import OutputSchema
from surefoot.tools.repair import Unreadable, read_in_prose

if TYPE_CHECKING:
    from surefoot.tools.schema import Form

__all__ = ["OutputCodec", "output_of"]

_KEY = "value"


class OutputCodec:
    """The type of an agent's final answer; satisfies `core.ports.Output`. Made by `output_of`."""

    def __init__(self, form: Form | None, schema: OutputSchema | None, *, wrapped: bool = False) -> None:
        self._form = form
        self._schema = schema
        self._wrapped = wrapped

    @property
    def schema(self) -> OutputSchema | None:
        """What the model is told; None for plain text."""
        return self._schema

    def validate(self, text: str) -> str:
        """The canonical text of an answer: JSON, or for plain text the text itself.

        JSON is repaired as arguments are, and found in prose when it is the only object there. Raises ValueError, whose
        text tells the model what to correct.
        """
        form = self._form
        if form is None:
            return text
        try:
            value, clean = read_in_prose(text)
            if self._wrapped and isinstance(value, dict) and value.keys() == {_KEY}:
                return self._unwrapped(form, clean, value)
            return form.canonical(clean, value)
        except ValueError as error:
            return self._bare(form, text, error)

    def load(self, text: str) -> Any:
        """The value of a canonical text. Raises ValueError when the type has changed and the text does not fit it."""
        return text if self._form is None else self._form.load(text)

    def _unwrapped(self, form: Form, clean: str, value: Mapping[str, Any]) -> str:
        try:
            return form.canonical(canonical.dumps(value[_KEY]), value[_KEY])
        except ValueError as error:
            try:
                return form.canonical(clean, value)  # a type whose values have a key of that name
            except ValueError:
                raise error from None

    def _bare(self, form: Form, text: str, problem: ValueError) -> str:
        """An answer without quotes, where a string is one: ``yes`` for ``Literal["yes", "no"]``."""
        word = text.strip()
        # What looks like JSON was meant to be, and ``problem`` says what is wrong with it.
        if self._wrapped and not word.startswith(("{", "[", '"', "`")):
            try:
                return form.canonical(canonical.dumps(word), word)
            except ValueError as error:
                problem = error if isinstance(problem, Unreadable) else problem
        keys = ", ".join(form.schema.get("properties", ()))
        wanted = f"an object with the keys {keys}" if keys else "one JSON value that meets the schema"
        raise ValueError(f"{problem}; answer with {wanted} and nothing else") from None


def output_of(kind: Any) -> OutputCodec:
    """The codec of an output type; `str` is plain text. Raises UnsupportedAnnotation for what JSON cannot say."""
    if kind is str or kind is None:
        return OutputCodec(None, None)
    from surefoot.tools.schema import form_of

    form = form_of(kind, {})
    schema, wrapped = form.schema, form.schema.get("type") != "object"
    description = str(schema.get("description", ""))
    if wrapped:
        inner = {key: value for key, value in schema.items() if key != "$defs"}
        schema = {
            "type": "object",
            "properties": {_KEY: inner},
            "required": [_KEY],
            "additionalProperties": False,
            **({"$defs": schema["$defs"]} if "$defs" in schema else {}),
        }
    return OutputCodec(form, OutputSchema(_name_of(kind), schema, description), wrapped=wrapped)


def _name_of(kind: Any) -> str:
    name = kind.__name__ if isinstance(kind, type) and not get_args(kind) else ""
    plain = "".join([char if char.isascii() and (char.isalnum() or char in "_-") else "_" for char in name])
    return plain[:64].strip("_-") or "answer"
