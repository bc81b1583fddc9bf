"""Requests that hold several wishes, point back at something said, or give values of many kinds, on the embedded model."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from surefoot.core.messages import Message, Text, ToolCall, ToolResult, text_of
from surefoot.core.model import ModelRequest
from surefoot.core.tool import ToolSpec
from surefoot.embed.minilm import MiniLM
from surefoot.models.local import LocalModel
from surefoot.tools.function import tool
from tests.components import require

Function = Callable[..., Any]
Calls = list[tuple[str, dict[str, Any]]]


@pytest.fixture(scope="module")
def model() -> LocalModel:
    require("embeddings", "xllamacpp", "weights")
    return LocalModel(MiniLM())


def find_book(title: str) -> str:
    """Search the library for a book."""
    return f"{title}: shelf 4"


def lend_book(title: str, card: int) -> str:
    """Lend a book to the holder of a card."""
    return f"{title} lent to {card}"


def reverse(text: str) -> str:
    """Reverse the letters of a text."""
    return text[::-1]


def get_order(order: int) -> str:
    """Look up an order."""
    return f"order {order} is packed"


def cancel_order(order: int) -> str:
    """Cancel an order."""
    return f"order {order} is cancelled"


def find_person(name: str) -> str:
    """Look up a person in the address book."""
    return f"{name}, room 7"


def send_message(to: str, text: str) -> str:
    """Send a text message to a person."""
    return f"to {to}: {text}"


def add_to_list(items: list[str]) -> str:
    """Add items to the shopping list."""
    return ", ".join(items)


def order_pizza(toppings: list[Literal["cheese", "ham", "olives"]]) -> str:
    """Order a pizza with toppings."""
    return " ".join(toppings)


def open_hours(day: Literal["monday", "tuesday", "wednesday"]) -> str:
    """Tell the opening hours on a day."""
    return day


def convert(value: float, source: str, target: str) -> str:
    """Convert a value from one unit to another.

    Args:
        value: the number to convert
        source: the unit to convert from
        target: the unit to convert to
    """
    return f"{value:g} {source} {target}"


def square(x: float) -> float:
    """Square a number."""
    return x * x


def halve(x: float) -> float:
    """Halve a number."""
    return x / 2


def divide(a: float, b: float) -> float:
    """Divide a by b."""
    return a / b


def count_words(text: str) -> int:
    """Count the words of a text."""
    return len(text.split())


def birthday(person: str, day: date) -> str:
    """Note the birthday of a person."""
    return f"{person} {day}"


def look_up_part(number: Annotated[str, Field(pattern=r"^[A-Z]{2}\d{3}$")]) -> str:
    """Look up a spare part by its number."""
    return number


def fetch(url: str) -> str:
    """Download a web page."""
    return url


def heating(on: bool) -> str:
    """Turn the heating on or off."""
    return str(on)


def ping(mode: Literal["quick"], level: int | float | None = None) -> str:
    """Ping the server."""
    return f"{mode} {level}"


class Size(StrEnum):
    SMALL = "small"
    LARGE = "large"


def order_coffee(size: Size, sugar: int | None = None) -> str:
    """Order a coffee in a size."""
    return f"{size} {sugar}"


class Address(BaseModel):
    street: str


def register(who: str, address: Address) -> str:
    """Register a new customer."""
    return f"{who} {address}"


async def walk(model: LocalModel, text: str, *functions: Function) -> tuple[Calls, str]:
    """Go through a whole turn, running the tools; the calls, and the answer."""
    specs = [tool(effect="read")(one).spec for one in functions]
    by_name = {one.__name__: one for one in functions}
    messages = [Message("user", (Text(text),))]
    calls: Calls = []
    while len(calls) < 9:
        reply = await model.request(ModelRequest(messages, tools=specs), lambda _: None)
        if not reply.calls:
            return calls, text_of(reply.parts)
        (call,) = reply.calls
        calls.append((call.name, json.loads(call.arguments)))
        result = by_name[call.name](**calls[-1][1])
        key = f"{len(calls)}.0"
        said = result if isinstance(result, str) else json.dumps(result)
        messages += [
            Message("assistant", (ToolCall(key, call.name, call.arguments),)),
            Message("tool", (ToolResult(key, call.name, said),)),
        ]
    raise AssertionError(f"it does not stop: {calls}")


@pytest.mark.parametrize(
    ("text", "functions", "calls"),
    [
        (
            "Find the book Ulysses and lend it to card 12",
            (find_book, lend_book),
            [("find_book", {"title": "Ulysses"}), ("lend_book", {"title": "Ulysses", "card": 12})],
        ),
        (
            'Reverse "abc", then reverse the result again.',
            (reverse, count_words),
            [("reverse", {"text": "abc"}), ("reverse", {"text": "cba"})],
        ),
        (
            "Look up order 77 and then cancel it.",
            (get_order, cancel_order),
            [("get_order", {"order": 77}), ("cancel_order", {"order": 77})],
        ),
        (
            'Look up Olga in the address book, then send her the message "call me".',
            (find_person, send_message),
            [("find_person", {"name": "Olga"}), ("send_message", {"to": "Olga", "text": "call me"})],
        ),
        ("Square 6 and then halve it.", (square, halve), [("square", {"x": 6}), ("halve", {"x": 36})]),
        (
            "Square 6, then divide the result by 4.",
            (square, divide),
            [("square", {"x": 6}), ("divide", {"a": 36, "b": 4})],
        ),
        ("Square 3 and halve 8.", (square, halve), [("square", {"x": 3}), ("halve", {"x": 8})]),
        (
            "What are the opening hours on Monday and on Wednesday?",
            (open_hours, get_order),
            [("open_hours", {"day": "monday"}), ("open_hours", {"day": "wednesday"})],
        ),
        ("Look up order 5, and order 6.", (get_order, cancel_order), [("get_order", {"order": 5}), ("get_order", {"order": 6})]),
        (
            "Search the library for Emma. What about Dune?",
            (find_book, square),
            [("find_book", {"title": "Emma"}), ("find_book", {"title": "Dune"})],
        ),
        ("We need eggs, add them to the shopping list", (add_to_list, square), [("add_to_list", {"items": ["eggs"]})]),
    ],
)
async def test_wishes_are_met_in_order(model: LocalModel, text: str, functions: tuple[Function, ...], calls: Calls) -> None:
    assert (await walk(model, text, *functions))[0] == calls


@pytest.mark.parametrize(
    ("text", "function", "arguments"),
    [
        ("Add milk, rye bread and eggs to the shopping list", add_to_list, {"items": ["milk", "rye bread", "eggs"]}),
        ('Put "olive oil" and "salt" on the list', add_to_list, {"items": ["olive oil", "salt"]}),
        ("A pizza with ham and olives please", order_pizza, {"toppings": ["ham", "olives"]}),
        ("How many kilometers are 26 miles?", convert, {"value": 26, "source": "miles", "target": "kilometers"}),
        ("Convert 5 pounds into grams", convert, {"value": 5, "source": "pounds", "target": "grams"}),
        ("Count the words: one for all and all for one", count_words, {"text": "one for all and all for one"}),
        ("Count the words of “déjà vu”", count_words, {"text": "déjà vu"}),
        ("Note the birthday of Ann: 1990-05-17", birthday, {"person": "Ann", "day": "1990-05-17"}),
        ("Look up the spare part QX113 please", look_up_part, {"number": "QX113"}),
        ("Please download https://example.org/a?b=c.", fetch, {"url": "https://example.org/a?b=c"}),
        ("A large coffee please", order_coffee, {"size": "large"}),
        ("Ping the server", ping, {"mode": "quick"}),
        ("Look up order number 4711", get_order, {"order": 4711}),
        ("Square two hundred and five", square, {"x": 205}),
        ("Square a dozen", square, {"x": 12}),
        ("Divide three thousand by twenty-five", divide, {"a": 3000, "b": 25}),
        ("What is 2.5e3 divided by 5?", divide, None),
    ],
)
async def test_values_of_many_kinds(model: LocalModel, text: str, function: Function, arguments: dict[str, Any] | None) -> None:
    others = [one for one in (square, find_person) if one is not function]
    specs = [tool(effect="read")(one).spec for one in (function, *others)]
    reply = await model.request(ModelRequest([Message("user", (Text(text),))], tools=specs), lambda _: None)
    if arguments is None:  # whatever it makes of it, it must not fail
        return
    (call,) = reply.calls
    assert (call.name, json.loads(call.arguments)) == (function.__name__, arguments)


def total(first: int | float, second: int | float) -> int | float:
    """Add up two numbers."""
    return first + second


@pytest.mark.parametrize(("text", "result"), [("Add up 7.5 and 2", "9.5"), ("Add up 7 and 2", "9")])
async def test_whole_and_broken_numbers_may_both_be_taken(model: LocalModel, text: str, result: str) -> None:
    assert (await walk(model, text, total, find_book))[1] == result


async def test_schemas_of_others_are_read_as_well(model: LocalModel) -> None:
    # As servers of other makers send them: references, alternatives, constants, unions with null first.
    schema = {
        "type": "object",
        "$defs": {"Grind": {"enum": ["fine", "coarse"], "type": "string"}, "Loop": {"$ref": "#/$defs/Loop"}},
        "properties": {
            "grind": {"$ref": "#/$defs/Grind"},
            "grams": {"anyOf": [{"type": "null"}, {"type": "integer"}]},
            "unit": {"const": "g"},
            "seconds": {"type": ["null", "number"]},
            "odd": {"$ref": "#/$defs/Loop"},
            "absent": {"$ref": "#/$defs/Nothing"},
            "label": {"type": "string", "pattern": "(["},
        },
        "required": ["grind", "grams", "unit"],
    }
    grinder = ToolSpec("grind_coffee", "Grind coffee beans.", schema)
    asked = [Message("user", (Text("Grind 250 grams of coffee, coarse please"),))]
    reply = await model.request(ModelRequest(asked, tools=[grinder]), lambda _: None)
    assert json.loads(reply.calls[0].arguments) == {"grind": "coarse", "grams": 250, "unit": "g"}


async def test_a_yes_or_no_is_chosen(model: LocalModel) -> None:
    specs = [tool(effect="read")(heating).spec]
    reply = await model.request(ModelRequest([Message("user", (Text("Turn the heating on"),))], tools=specs), lambda _: None)
    assert json.loads(reply.calls[0].arguments)["on"] in (True, False)


async def test_what_cannot_be_filled_is_left_to_the_tool_to_refuse(model: LocalModel) -> None:
    specs = [tool(effect="read")(register).spec]
    asked = [Message("user", (Text("Register the new customer Bo Lind"),))]
    reply = await model.request(ModelRequest(asked, tools=specs), lambda _: None)
    given = json.loads(reply.calls[0].arguments)
    assert given == {"who": "Bo Lind", "address": {}}
