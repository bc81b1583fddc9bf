"""The reference conversation on the real embedded model: sums and products, asked in many ways, among small talk.

Numbers, wordings and their order are drawn anew each time (`--seed` repeats a draw). At least nine in ten must use the
right tool with the right arguments and give a true answer, and none of the wordings may stand in the package.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from surefoot import Agent, App, tool
from surefoot.core.messages import ToolCall
from surefoot.core.state import fold
from tests.components import require
from tests.package.source import PACKAGE

SUMS = (
    "What is {a} plus {b}?",
    "what's {a} + {b}",
    "How much is {a} and {b} together?",
    "Add {a} and {b}.",
    "Could you add {b} to {a}, please?",
    "{a} plus {b} equals?",
    "I have {a} apples and get {b} more. How many apples are that in total?",
    "Please work out the sum of {a} and {b}",
    "Sum up {a} and {b} for me",
    "If you put {a} and {b} together, what do you get?",
    "Tell me what {a} plus {b} makes",
    "calculate {a}+{b}",
    "What do I get when I add {a} to {b}?",
    "What is the total of {a} and {b}?",
)
PRODUCTS = (
    "What is {a} times {b}?",
    "what's {a} * {b}",
    "Multiply {a} by {b}.",
    "Could you multiply {a} with {b}, please?",
    "{a} times {b} equals?",
    "How much is {a} multiplied by {b}?",
    "Please work out the product of {a} and {b}",
    "Give me {a} x {b}",
    "calculate {a}*{b}",
    "Tell me what {a} times {b} makes",
    "What do I get when I multiply {a} and {b}?",
    "There are {a} boxes of {b} eggs each; multiply to get the number of eggs",
    "What is the product of {a} and {b}?",
)
SMALL_TALK = (
    "Hello!",
    "Good morning, how are you?",
    "Thanks a lot!",
    "You are very kind.",
    "What is your name?",
    "Tell me something nice.",
    "Well done.",
    "Bye!",
)
BEYOND = (
    "What is the capital of France?",
    "Who painted the Mona Lisa?",
    "Why is grass green?",
    "What did I have for breakfast?",
    "How do birds fly?",
    "Which team won last night?",
    "Can you book me a flight?",
    "What does the word ephemeral mean?",
)


@tool(effect="read")
def add(a: float, b: float) -> float:
    """Add two numbers."""
    return a + b


@tool(effect="read")
def multiply(a: float, b: float) -> float:
    """Multiply two numbers."""
    return a * b


@dataclass(frozen=True, slots=True)
class Turn:
    """What is said, and what must come of it: a call, or no call."""

    text: str
    name: str = ""
    numbers: tuple[int, int] = (0, 0)

    @property
    def answer(self) -> float:
        """The true answer."""
        first, second = self.numbers
        return first + second if self.name == "add" else first * second


def drawn(chance: random.Random, rounds: int) -> Iterator[Turn]:
    """Conversations of four turns: a sum, a product, and between them small talk or what no tool can answer."""
    sums, products = list(SUMS), list(PRODUCTS)
    for number in range(rounds):
        if number % len(sums) == 0:
            chance.shuffle(sums)
        if number % len(products) == 0:
            chance.shuffle(products)
        for name, wordings in (("add", sums), ("multiply", products)):
            a, b = chance.randint(2, 999), chance.randint(2, 99)
            text = wordings[number % len(wordings)].format(a=a, b=b)
            yield Turn(text, name, (a, b))
        if number % 3 == 0:
            yield Turn(chance.choice(SMALL_TALK if number % 2 else BEYOND))


async def hit(app: App, agent: Agent[None, str], turn: Turn, session: str) -> bool:
    """Whether one turn went as it should."""
    run = await app.run(agent, turn.text, session=session)
    state = fold(await app.events(run))
    calls = [part for message in state.messages for part in message.parts if isinstance(part, ToolCall)]
    if not turn.name:
        good = run.status == "done" and not calls and bool(run.output.strip())
    else:
        given = [(call.name, sorted(float(value) for value in re.findall(r"-?\d+(?:\.\d+)?", call.arguments))) for call in calls]
        good = given == [(turn.name, sorted(map(float, turn.numbers)))] and float(run.output) == turn.answer
    if not good:
        print(f"missed: {turn.text!r} called {[(call.name, call.arguments) for call in calls]}, said {run.output!r}")
    return good


@pytest.mark.timeout(300)
async def test_sums_and_products_in_any_words(seed: int, proof: bool) -> None:
    require("embeddings", "xllamacpp", "weights")
    turns = list(drawn(random.Random(seed), 200 if proof else 15))
    agent: Agent[None, str] = Agent("reference", model="local:", tools=[add, multiply], instructions="Be helpful and brief.")
    async with App("memory:", agents=[agent]) as app:
        hits = [await hit(app, agent, turn, f"conversation-{index // 5}") for index, turn in enumerate(turns)]
    print(f"hit rate: {sum(hits)} of {len(hits)}")
    assert sum(hits) >= 0.9 * len(hits)


def test_no_wording_stands_in_the_package() -> None:
    texts = [" ".join(path.read_text(encoding="utf-8").casefold().split()) for path in PACKAGE.rglob("*.py")]
    for wording in (*SUMS, *PRODUCTS, *SMALL_TALK, *BEYOND):
        pattern = re.compile(re.escape(wording.casefold()).replace(r"\{a\}", r"\d+").replace(r"\{b\}", r"\d+"))
        bare = wording.casefold().partition("{")[0].strip()
        # A word or two, such as a greeting, belong to nobody.
        assert len(wording.split()) < 3 or not any(pattern.search(text) for text in texts), wording
        assert len(bare.split()) < 4 or not any(bare in text for text in texts), wording
    assert len(SUMS) >= 12
    assert len(PRODUCTS) >= 12
