"""Dialogues for the memory benchmark: dated sessions with planted facts, updates, contradictions, distractors and questions.

`make(seed)` gives worlds. A world is one user's conversations with an assistant over a year, and questions about them. The
same facts are told of many people, so that the person's word alone finds nothing, and questions are put in other words
than the facts, so that rare words in common do not either. Written before any weight was looked at.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

__all__ = ["SEEDS", "TUNING", "Question", "Turn", "World", "make"]

#: What may be looked at, and what is judged on. Seeds that were judged on once, and whose results led to a change, may be looked
#: at from then on, and two new ones are drawn: 20,261 and 20,262 showed that short turns that are alike hid each other; 31,415
#: and 92,653 that the answer to a question was not read with the question.
TUNING = (1, 20_261, 20_262, 31_415, 92_653)
SEEDS = (48_271, 16_807)

_DAY = 86_400_000_000
_START = 1_735_689_600_000_000
_WHO = (
    "my cousin", "my neighbour", "my boss", "my sister", "my brother", "my uncle", "my aunt", "my flatmate", "my coach",
    "my dentist", "my landlord", "my teacher", "my best friend", "my grandmother",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Topic:
    """What can be true of somebody: how it is told, what the assistant may ask of it, and how it is asked for."""

    told: tuple[str, ...]
    cue: str
    asked: tuple[str, ...]
    values: tuple[str, ...]
    kind: str = "plain"


_TOPICS = (
    Topic(
        ("{who} just got a {value} from the shelter.", "There is a {value} at {who}'s place since last night."),
        "Who keeps them company at home?",
        ("Which animal lives with {who}?", "What sort of pet did {who} take in?"),
        ("puppy", "kitten", "parrot", "rabbit", "tortoise", "hamster", "goat"),
    ),
    Topic(
        ("{who} has been practising the {value} every evening.", "I heard {who} play the {value} on stage."),
        "Do they perform anything on stage?",
        ("What does {who} make music on?", "Which instrument belongs to {who}?"),
        ("cello", "oboe", "trumpet", "accordion", "harp", "banjo", "clarinet"),
    ),
    Topic(
        ("{who} breaks out in a rash from {value}.", "One bite of {value} and {who} needs a doctor."),
        "Is there anything I should leave out of the dinner for them?",
        ("What must {who} not eat?", "Which food is {who} allergic to?"),
        ("peanuts", "shellfish", "strawberries", "celery", "walnuts", "eggs", "sesame"),
    ),
    Topic(
        ("{who} started out as a {value} last Monday.", "They hired {who} as a {value}."),
        "What are they up to for work?",
        ("How does {who} earn a living?", "What is the profession of {who}?"),
        ("plumber", "nurse", "tram driver", "translator", "baker", "surveyor", "florist"),
    ),
    Topic(
        ("{who} carried the last boxes up to a flat in {value}.", "{who} signed the lease for a place in {value}."),
        "Where are they settling down?",
        ("In which town does {who} have a home now?", "Where does {who} live these days?"),
        ("Porto", "Ghent", "Tampere", "Graz", "Leeds", "Bergen", "Turin"),
        "update",
    ),
    Topic(
        ("{who} drove up in an old {value} today.", "The {value} in the driveway is {who}'s."),
        "How did they come all the way?",
        ("What vehicle does {who} own?", "Which car would I see {who} in?"),
        ("Volvo", "pickup", "Fiat", "camper van", "Saab", "minibus", "Beetle"),
        "update",
    ),
    Topic(
        ("{who} flew off to {value} this morning.", "I waved {who} off, {value} awaits."),
        "Are they getting away at all?",
        ("When did {who} go on holiday?", "When was {who} leaving for a trip?"),
        ("Madeira", "Iceland", "Kyoto", "Malta", "Peru", "Crete", "Oman"),
        "when",
    ),
    Topic(
        ("{who} broke a {value} on the stairs.", "{who} is in plaster, it is the {value}."),
        "I heard about the accident, what happened exactly?",
        ("What got hurt when {who} fell?", "Which injury does {who} have?"),
        ("wrist", "collarbone", "ankle", "thumb", "rib", "elbow", "toe"),
    ),
    Topic(
        ("{who} spends every Saturday on {value}.", "{who} talks of nothing but {value} any more."),
        "What do they do with their free time?",
        ("What is the hobby of {who}?", "What does {who} do for fun?"),
        ("beekeeping", "pottery", "fencing", "origami", "kite flying", "model railways", "bouldering"),
    ),
    Topic(
        ("{who} sent out {value} invitations for the big party.", "{who} counts on {value} guests."),
        "How large is the celebration going to be?",
        ("How many people did {who} ask to come?", "How many are expected at the feast of {who}?"),
        ("forty", "sixty", "85", "120", "35", "95", "seventy"),
        "count",
    ),
    Topic(
        ("{who} signed up for lessons in {value}.", "{who} greets everybody in {value} lately."),
        "Are they studying something new?",
        ("Which foreign tongue is {who} learning?", "What language does {who} study?"),
        ("Greek", "Welsh", "Korean", "Arabic", "Danish", "Swahili", "Basque"),
    ),
    Topic(
        ("{who} handed me a {value} with a ribbon around it.", "The {value} on my desk comes from {who}."),
        "Did they bring you anything for your birthday?",
        ("What present did I receive from {who}?", "Which gift was from {who}?"),
        ("fountain pen", "teapot", "globe", "scarf", "lantern", "chess set", "barometer"),
    ),
    Topic(
        ("{who} rolled {value} all over the kitchen walls.", "Everything is {value} at {who}'s, even the ceiling."),
        "How does the place look after the renovation?",
        ("Which colour did {who} paint the rooms?", "What shade did {who} decorate with?"),
        ("turquoise", "ochre", "lilac", "scarlet", "olive", "indigo", "apricot"),
    ),
    Topic(
        ("{who} paid {value} euros to the garage.", "The repair cost {who} {value} euros."),
        "Was the bill very bad?",
        ("How much money did {who} spend on the mechanic?", "How much did {who} owe the workshop?"),
        ("310", "870", "1,240", "95", "460", "2,100", "640"),
        "count",
    ),
)
_FILLER = (
    ("The trains were late again.", "That happens a lot on this line."),
    ("Can you suggest a film for tonight?", "Something light, perhaps a comedy."),
    ("I could not sleep well.", "Try to put the phone away earlier."),
    ("It rained the whole afternoon.", "Good for the garden, at least."),
    ("I burnt the rice.", "A thicker pot helps."),
    ("What goes well with lentils?", "Carrots, cumin and a little vinegar."),
    ("The printer is jammed.", "Open the back and pull the paper out slowly."),
    ("My inbox is overflowing.", "Sort it by sender first."),
    ("I need a title for my talk.", "Keep it short and put the result first."),
    ("The lift is out of order.", "Then it is a day for the stairs."),
    ("Should I take an umbrella?", "Clouds are coming from the west."),
    ("I finally watered the plants.", "They will thank you for it."),
    ("How do I fold a fitted sheet?", "Tuck the corners into each other."),
    ("The bakery was closed.", "It is shut on Wednesdays."),
    ("I forgot the password once more.", "A manager would keep it for you."),
    ("There is a hole in my sock.", "A few stitches will do."),
)
_OPEN = (
    "Spoke to {who} on the phone today.",
    "Ran into {who} at the market.",
    "A long message from {who} came in.",
    "Had lunch with {who}.",
)
_BRIEF = ("It is {value}.", "{value}, would you believe it.", "Oh, {value}.", "{value} this time.")


@dataclass(frozen=True, slots=True)
class Turn:
    """One thing said. ``time`` is Unix microseconds."""

    id: str
    session: str
    author: str
    text: str
    time: int


@dataclass(frozen=True, slots=True)
class Question:
    """A question, its type, and the turns that answer it; none for what was never said."""

    text: str
    kind: str
    evidence: frozenset[str]


@dataclass(slots=True)
class World:
    """One user's year."""

    user: str
    turns: list[Turn] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    now: int = _START + 366 * _DAY


def make(seed: int, worlds: int = 4, sessions: int = 70) -> list[World]:
    """The worlds of a seed; always the same for the same."""
    return [_world(random.Random(f"{seed}/{number}"), f"user-{number}", sessions) for number in range(worlds)]


def _world(chance: random.Random, user: str, sessions: int) -> World:
    world = World(user)
    pairs = [(who, topic) for who in _WHO for topic in _TOPICS]
    chance.shuffle(pairs)
    planted, absent = pairs[: len(pairs) * 2 // 3], pairs[len(pairs) * 2 // 3 :]
    todo: list[tuple[str, Topic, str, int]] = []
    for who, topic in planted:
        values = chance.sample(topic.values, 2)
        todo.append((who, topic, values[0], 0))
        if topic.kind == "update" and chance.random() < 0.6:
            todo.append((who, topic, values[1], 1))
    days = sorted(chance.sample(range(365), sessions))
    slots: list[list[tuple[str, Topic, str, int]]] = [[] for _ in days]
    for who, topic, value, order in todo:
        half = len(days) // 2
        low, high = (0, half) if topic.kind == "update" and order == 0 else (half, len(days)) if order else (0, len(days))
        slots[chance.randrange(low, high)].append((who, topic, value, order))
    found: dict[tuple[str, int], tuple[str, str, Topic, int]] = {}
    for number, (day, facts) in enumerate(zip(days, slots, strict=True)):
        _session(world, chance, f"{user}-s{number}", _START + day * _DAY + chance.randrange(8, 20) * 3_600_000_000, facts, found)
    _ask(world, chance, found, absent)
    return world


def _session(world: World, chance: random.Random, name: str, time: int, facts: list, found: dict) -> None:  # type: ignore[type-arg]
    blocks: list[tuple[tuple[str, str], ...]] = [
        (("user", asked), ("assistant", told)) for asked, told in chance.sample(_FILLER, chance.randrange(2, 5))
    ]
    marks: list[tuple[str, Topic, int, str] | None] = [None] * len(blocks)
    for who, topic, value, order in facts:
        if chance.random() < 0.4:
            said = (
                ("user", chance.choice(_OPEN).format(who=who)), ("assistant", topic.cue),
                ("user", chance.choice(_BRIEF).format(value=value)),
            )  # fmt: skip
            kind = "neighbour"
        else:
            said = (
                ("user", chance.choice(topic.told).format(who=who, value=value)),
                ("assistant", "Good to know, thanks for telling me."),
            )
            kind = topic.kind
        at = chance.randrange(len(blocks) + 1)
        blocks.insert(at, said)
        marks.insert(at, (who, topic, order, kind))
    count = 0
    for block, mark in zip(blocks, marks, strict=True):
        for place, (author, text) in enumerate(block):
            turn = Turn(f"{name}-{count}", name, author, text[0].upper() + text[1:], time + count * 20_000_000)
            world.turns.append(turn)
            count += 1
            evidence = 2 if mark and mark[3] == "neighbour" else 0
            if mark and place == evidence:
                found[f"{mark[0]}/{_TOPICS.index(mark[1])}", mark[2]] = (turn.id, mark[3], mark[1], mark[2])


def _ask(world: World, chance: random.Random, found: dict, absent: list[tuple[str, Topic]]) -> None:  # type: ignore[type-arg]
    for (name, order), (turn, kind, topic, _) in sorted(found.items()):
        if order == 0 and (name, 1) in found:
            continue  # no longer true; its newer value is asked for
        who = name.partition("/")[0]
        asked = "update" if order else "plain" if kind == "update" else kind
        world.questions.append(Question(chance.choice(topic.asked).format(who=who), asked, frozenset([turn])))
    for who, topic in chance.sample(absent, 25):
        world.questions.append(Question(chance.choice(topic.asked).format(who=who), "absent", frozenset()))
