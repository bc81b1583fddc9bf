"""Types to JSON Schema, and JSON text to values and back, by way of pydantic.

`arguments_of` makes the `Form` of a function's parameters, `form_of` that of any type. A form has a small JSON Schema
(2020-12), turns a model's text into canonical text, once, and canonical text into values.

This is the only file of the folder that imports pydantic, and it is imported on first use of a schema.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, NotRequired, Required, get_args, get_origin

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaWarningKind
from typing_extensions import TypedDict, Unpack, get_type_hints

from surefoot.core import canonical
from surefoot.core.errors import UnsupportedAnnotation
from surefoot.tools.mistakes import difference, explain, held_in_strings, path_text, printable
from surefoot.tools.repair import Unreadable, unquote
from surefoot.tools.signature import EMPTY, Docs, Parameter, Signature
from surefoot.tools.tidy import sort_sets, tidy

__all__ = ["Form", "arguments_of", "form_of"]

#: What these are read as is written and read again as the same.
_PLAIN = (bool, float, int, str)
_CONFIG = ConfigDict(allow_inf_nan=False, validate_default=True)


class Form:
    """A type as JSON: its schema, and text to value and back. A ``plain`` one has no validators but JSON's own types."""

    def __init__(self, adapter: TypeAdapter[Any], schema: dict[str, Any], *, plain: bool = False) -> None:
        self.schema = schema
        self._plain = plain
        self.serializer = adapter.serializer
        self._known = tuple(schema.get("properties", ()))
        self._sets = '"uniqueItems": true' in json.dumps(schema, default=str)
        self._check = adapter.validator.validate_json
        self._dump = adapter.serializer.to_python

    def canonical(self, text: str, value: Any) -> str:
        """The canonical text of valid JSON ``text``, whose parsed form is ``value``; defaults are filled in.

        Raises ValueError with a text for the model: where it is wrong, or which field does not settle, that is, comes
        out differently when its own canonical text is read again.
        """
        try:
            first = self._dumped(text)
            settled = _text(first)
        except ValidationError as error:
            return self._mended(error, value)
        except Exception as error:  # a type's own validators and serializers may raise anything
            raise ValueError(_raised(error)) from error
        if settled != text and not self._plain:
            self._settle(settled, first)
        return settled

    def load(self, text: str) -> Any:
        """The value of a canonical text. Raises ValueError with a text for the model."""
        try:
            return self._check(text)
        except ValidationError as error:
            raise ValueError(self._why(error, canonical.loads(text))) from None

    def _mended(self, error: ValidationError, value: Any) -> str:
        """Once more, with arrays and objects that were written as strings read. Raises ValueError."""
        places = held_in_strings(error, value)
        try:
            mended = unquote(value, places) if places else None
        except Unreadable:
            mended = None
        if mended is None:
            raise ValueError(self._why(error, value)) from None
        return self.canonical(canonical.dumps(mended), mended)

    def _dumped(self, text: str) -> Any:
        value = self._check(text)
        if self._plain:  # is JSON as it is
            return value
        value = self._dump(value, mode="json", by_alias=True, warnings=False, round_trip=True)
        return sort_sets(value, self.schema) if self._sets else value

    def _settle(self, settled: str, first: Any) -> None:
        try:
            second = self._dumped(settled)
            if repr(second) == repr(first) or _text(second) == settled:
                return
            where, why = difference(first, second), "it is read differently every time"
        except ValidationError as error:
            where, why = "", self._why(error, first)
        except Exception as error:  # noqa: BLE001  a type's own validators and serializers may raise anything
            where, why = "", _raised(error)
        place = f"{where}: " if where else ""
        raise ValueError(f"{place}the value does not settle: its own canonical form {settled[:200]} is refused ({why})")

    def _why(self, error: ValidationError, value: Any) -> str:
        if error.errors(include_url=False)[0]["type"] in ("json_invalid", "string_unicode"):
            # The text was read once, so this is what pydantic's parser cannot take; we have the better word for it.
            _text(value)
        return explain(error, value, self._known)


def arguments_of(signature: Signature, docs: Docs, tool: str, namespace: Mapping[str, Any]) -> Form:
    """The form of a function's arguments: an object with a key for each parameter.

    Raises UnsupportedAnnotation, naming the tool, the parameter and what to do.
    """
    plain = signature.extra is EMPTY and all(map(_is_plain, signature.parameters))
    try:
        return _form(_typed_dict(signature, docs, tool), namespace, plain=plain)
    except Exception as error:  # whatever pydantic raises while it reads annotations
        for parameter in signature.parameters:
            _try(parameter, tool, namespace)
        raise UnsupportedAnnotation(f"tool {tool!r}: its parameters have no JSON Schema: {_first_line(error)}") from error


def _is_plain(parameter: Parameter) -> bool:
    return any(parameter.annotation is kind for kind in _PLAIN) and not isinstance(parameter.default, FieldInfo)


def form_of(kind: Any, namespace: Mapping[str, Any], mode: JsonSchemaMode = "validation") -> Form:
    """The form of any type. Raises UnsupportedAnnotation."""
    try:
        return _form(kind, namespace, mode)
    except Exception as error:  # whatever pydantic raises while it reads annotations
        raise UnsupportedAnnotation(f"{_name_of(kind)} has no JSON Schema: {_first_line(error)}. {_ADVICE}") from error


_ADVICE = (
    "Use a type that JSON can say: str, int, float, bool, list, dict, an Enum, a Literal, a dataclass, a TypedDict, a "
    "pydantic model; what a model cannot write comes through ToolContext or a closure"
)


class _Schemas(GenerateJsonSchema):
    """JSON Schema without titles of fields, and without defaults that cannot be told."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def emit_warning(self, kind: JsonSchemaWarningKind, detail: str) -> None:
        if kind == "non-serializable-default":
            raise PydanticInvalidForJsonSchema(f"the default cannot be said in JSON ({detail})")


def _form(kind: Any, namespace: Mapping[str, Any], mode: JsonSchemaMode = "validation", *, plain: bool = False) -> Form:
    adapter = _adapter(kind, namespace)
    schema = adapter.json_schema(mode=mode, schema_generator=_Schemas)
    if '"writeOnly": true' in json.dumps(schema, default=str):
        raise TypeError("a secret must not come from a model: take it from the context's dependencies or a closure")
    return Form(adapter, tidy(schema), plain=plain)


def _adapter(kind: Any, namespace: Mapping[str, Any]) -> TypeAdapter[Any]:
    if not namespace:
        return TypeAdapter(kind)
    # Types that were defined inside a function know each other by name only there, and pydantic looks names up in the
    # frame that makes the adapter: this gives it a frame with those names.
    scope = {"__name__": __name__, "TypeAdapter": TypeAdapter}
    adapter: TypeAdapter[Any] = eval("TypeAdapter(kind)", scope, {**namespace, "kind": kind})  # noqa: S307  our own text
    return adapter


def _typed_dict(signature: Signature, docs: Docs, tool: str) -> Any:
    fields = {parameter.name: _field(parameter, docs) for parameter in signature.parameters}
    more: dict[str, Any] = {}
    config = _CONFIG
    if get_origin(signature.extra) is Unpack:
        fields |= _unpacked(get_args(signature.extra)[0])
    elif signature.extra is not EMPTY:
        more["extra_items"] = signature.extra
    if not more:
        config = ConfigDict(**_CONFIG, extra="forbid")
    make: Any = TypedDict  # the functional form, whose arguments are known only now
    made = make(tool, fields, **more)
    made.__pydantic_config__ = config
    return made


def _field(parameter: Parameter, docs: Docs) -> Any:
    """The annotation of a key: the docstring's description first, so that an author's own `Field` wins over it."""
    kind, metadata = parameter.annotation, []
    if get_origin(kind) is Annotated:
        kind, *metadata = get_args(kind)
    if description := docs.parameters.get(parameter.name):
        metadata.insert(0, Field(description=description))
    if isinstance(parameter.default, FieldInfo):
        metadata.append(parameter.default)
    elif parameter.default is not EMPTY:
        metadata.append(Field(default=parameter.default))
    infos = [item for item in metadata if isinstance(item, FieldInfo)]
    for alias in [info.validation_alias for info in infos if info.validation_alias is not None]:
        if not isinstance(alias, str):
            raise TypeError("an argument has one name: give one alias, as text")
        metadata.append(Field(serialization_alias=alias))
    if metadata:
        kind = Annotated[(kind, *metadata)]
    return NotRequired[kind] if any(not info.is_required() for info in infos) else kind


def _unpacked(kind: Any) -> dict[str, Any]:
    """The keys of ``**kwargs: Unpack[SomeTypedDict]``."""
    fields = {}
    for name, annotation in get_type_hints(kind, include_extras=True).items():
        origin: Any = get_origin(annotation)
        inner = get_args(annotation)[0] if origin is NotRequired or origin is Required else annotation
        # Where annotations are text, a TypedDict does not know which of its keys are optional.
        optional = origin is NotRequired or (origin is not Required and name in kind.__optional_keys__)
        fields[name] = NotRequired[inner] if optional else inner
    return fields


def _try(parameter: Parameter, tool: str, namespace: Mapping[str, Any]) -> None:
    """Raise for the parameter that has no schema, if it is this one."""
    alone = Signature((parameter,))
    try:
        _form(_typed_dict(alone, Docs(), tool), namespace)
    except Exception as error:
        where = f"tool {tool!r}, parameter {parameter.name!r}"
        kind = _name_of(parameter.annotation)
        raise UnsupportedAnnotation(f"{where}: {kind} has no JSON Schema: {_first_line(error)}. {_ADVICE}") from error


def _text(value: Any) -> str:
    try:
        return canonical.dumps(value)
    except ValueError as error:
        raise ValueError(f"{error}{_place(value)}") from None


def _place(value: Any) -> str:
    """Where in a value the first thing is that has no canonical text."""
    parts: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in parts:
        try:
            canonical.dumps(item)
        except ValueError:
            return f" (in {path_text([key])})"
    return ""


def _raised(error: Exception) -> str:
    if type(error) is ValueError:
        return printable(str(error))
    return printable(f"the check of this value failed: {type(error).__name__}: {error}")


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")


def _name_of(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) and not get_args(kind) else repr(kind)
