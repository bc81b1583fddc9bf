"""`surefoot show`: one run with everything that happened in it, as a tree, as lines to search, or as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from surefoot.cli.bars import Bars
from surefoot.cli.documents import story_document
from surefoot.cli.loop import complete
from surefoot.cli.place import AgentsOption, StoreOption, place_of
from surefoot.cli.screen import Screen
from surefoot.cli.seen import print_seen, seen_in
from surefoot.cli.story import CallStory, Note, StepStory, Story, tell
from surefoot.cli.words import call_line
from surefoot.cli.writing import block, cost, count, duration, line, moment, safe_json, tokens
from surefoot.core.run import Run
from surefoot.runs.documents import answerable, to_json

if TYPE_CHECKING:
    from rich.tree import Tree

__all__ = ["Branch", "Format", "add", "branches", "lines", "tree"]

_LOUD = {
    "run.failed": "red", "run.cancelled": "red", "tool.failed": "red", "tool.denied": "red", "model.failed": "yellow",
    "run.warned": "yellow", "tool.indeterminate": "yellow", "approval.requested": "yellow", "output.rejected": "yellow",
}  # fmt: skip
#: How the notes of `show --format text` are called where the event's tag says too little.
_PLAIN = {"run.claimed": "worker", "run.warned": "warning", "run.suspended": "waiting", "message.received": "message"}


#: Microseconds of waiting from which on it is told.
_WORTH_TELLING = 1_000


class Format(StrEnum):
    """How a run is shown."""

    TREE = "tree"
    TEXT = "text"
    JSON = "json"


def add(program: typer.Typer) -> None:
    """Add the command."""
    program.command("show")(show)


def show(
    context: typer.Context,
    *,
    run: Annotated[str, typer.Argument(metavar="RUN", help="The run's id, or the id its caller gave it.")],
    step: Annotated[
        int | None, typer.Option("--step", min=0, metavar="N", help="One step: all the model was told, and its whole answer.")
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="A tree, lines to search, or one JSON object.")] = Format.TREE,
    store: StoreOption = None,
    agents: AgentsOption = None,
) -> None:
    """Show a run: every step with its model, reasoning, calls, questions, retries, tokens, cost and time."""
    app = place_of(context, store, agents).reading()
    if step is not None:
        print_seen(complete(seen_in(app, run, step=step)), json=form is Format.JSON)
    else:
        complete(_show(app, run, form))


async def _show(app: Any, name: str, form: Format) -> None:  # noqa: ANN401  an App; typer reads annotations at run time
    async with app:
        run: Run[Any] = await app.get(name)
        story = tell(await app.events(run.id))
    screen = Screen()
    if form is Format.JSON:
        screen.json(story_document(story, run), indent=2 if screen.terminal else None)
    elif form is Format.TEXT:
        for text in lines(story, run):
            screen.line(text)
    else:
        screen.show(tree(branches(story, run)))


class Branch:
    """A line of the tree, with what hangs on it."""

    __slots__ = ("below", "style", "text")

    def __init__(self, text: str, style: str = "", below: list[Branch] | None = None) -> None:
        self.text, self.style, self.below = text, style, below or []


def branches(story: Story, run: Run[Any]) -> Branch:
    """The tree of a run."""
    root = Branch(f"run {run.id} · {line(run.agent)} · {run.status}", "bold")
    root.below = [Branch(text, "dim") for text in _head(story, run)]
    root.below.append(Branch(f"input: {story.input}"))
    bars = Bars(story.spans)
    for item in story.items:
        root.below.append(_step_branch(item, bars) if isinstance(item, StepStory) else _note_branch(item))
    for request in answerable(run):
        root.below.append(Branch(f"waiting: {request} [{request.id}]", "yellow"))
    if run.status == "done":
        root.below.append(Branch(f"output: {answer(run)}", "green"))
    return root


def answer(run: Run[Any], *, indent: int | None = 2) -> str:
    """A run's output as text: as it is, or as JSON."""
    return run.output if isinstance(run.output, str) else safe_json(to_json(run.output), indent=indent)


def _head(story: Story, run: Run[Any]) -> Iterator[str]:
    about = [("id", run.key), ("session", run.session), ("user", run.user), ("tenant", run.tenant), ("parent", run.parent)]
    about += [("tags", ", ".join(run.tags)), ("trace", run.trace_id)]
    yield f"started {moment(run.created_at)}, last event {moment(run.updated_at)}, worked {duration(story.state.worked)}"
    waited = [(story.times.queued, "queued"), (story.times.human, "waited for humans"), (story.times.waited, "waited otherwise"),
              (story.times.lost, "lost with a worker")]  # fmt: skip
    if told := [f"{word} {duration(micros)}" for micros, word in waited if micros >= _WORTH_TELLING]:
        yield ", ".join(told)
    yield totals(run)
    for name, value in about:
        if value:
            yield f"{name}: {line(value)}"


def totals(run: Run[Any]) -> str:
    """Steps, calls, tokens and cost in one line."""
    spent = cost(run.cost)
    return f"{count(run.steps, 'step')}, {count(run.tool_calls, 'tool call')}, tokens {tokens(run.usage)}, {spent}"


def _step_branch(step: StepStory, bars: Bars) -> Branch:
    branch = Branch(_with(f"step {step.step} · {_figures(step)}", bars.of_step(step.step)), "bold")
    branch.below = [_note_branch(note) for note in step.notes]
    if step.reasoning:
        branch.below.append(Branch(f"reasoning: {step.reasoning}", "italic dim"))
    if step.text:
        branch.below.append(Branch(f"text: {step.text}"))
    branch.below += [_call_branch(call, bars) for call in step.calls]
    return branch


def _figures(step: StepStory) -> str:
    figures = [line(step.model)]
    if step.finish:
        figures += [duration(step.duration), f"tokens {tokens(step.usage)}"]
        figures += [cost(None if step.cost is None else step.cost / 1e6)] if step.cost or step.cost is None else []
        figures += [line(step.finish)] if step.finish not in ("stop", "tool_calls") else []
    else:
        figures.append("no reply yet")
    if step.attempts > 1:
        figures.append(f"try {step.attempts}")
    return " · ".join(figures)


def _call_branch(call: CallStory, bars: Bars) -> Branch:
    effect = f" · {line(call.effect)}" if call.effect else ""
    branch = Branch(_with(f"call {call.id} {call_line(call.name, call.arguments)}{effect}", bars.of_call(call.id)), "cyan")
    if call.invalid:
        branch.below.append(Branch(f"invalid: {call.invalid}", "red"))
    branch.below += [_note_branch(note) for note in call.notes]
    if call.result is not None:
        branch.below.append(Branch(f"result after {duration(call.duration)}: {call.result}"))
    elif call.status != "closed":
        branch.below.append(Branch(f"open: {call.status}", "yellow"))
    return branch


def _with(text: str, bar: str) -> str:
    return f"{text} · {bar}" if bar else text


def _note_branch(note: Note) -> Branch:
    return Branch(f"{_word(note.kind)}: {note.text} ({moment(note.time)})", _LOUD.get(note.kind, "dim"))


def _word(kind: str) -> str:
    """``approval.decided`` as a reader says it: ``approval decided``."""
    return _PLAIN.get(kind, line(kind).replace(".", " ").replace("_", " "))


def tree(branch: Branch) -> Tree:
    """A branch and what hangs on it, as rich draws it."""
    from rich.text import Text
    from rich.tree import Tree

    drawn = Tree(Text(block(branch.text), style=branch.style), highlight=False)
    for below in branch.below:
        drawn.add(tree(below))
    return drawn


def lines(story: Story, run: Run[Any]) -> Iterator[str]:
    """The story as lines that can be searched: each says by itself which step and which call it belongs to."""
    yield f"run {run.id} agent={line(run.agent)} status={run.status}"
    yield from (f"run {text}" for text in _head(story, run))
    yield f"input: {line(story.input)}"
    for item in story.items:
        yield from _step_lines(item) if isinstance(item, StepStory) else [_note_line("", item)]
    for request in answerable(run):
        yield f"waiting: {request} [{request.id}]"
    if run.status == "done":
        yield f"output: {line(answer(run))}"


def _step_lines(step: StepStory) -> Iterator[str]:
    name = f"step {step.step}"
    yield f"{name} {_figures(step)}"
    yield from (_note_line(f"{name} ", note) for note in step.notes)
    if step.reasoning:
        yield f"{name} reasoning: {line(step.reasoning)}"
    if step.text:
        yield f"{name} text: {line(step.text)}"
    for call in step.calls:
        yield from _call_lines(f"{name} call {call.id}", call)


def _call_lines(name: str, call: CallStory) -> Iterator[str]:
    effect = f" effect={line(call.effect)}" if call.effect else ""
    yield f"{name} {call_line(call.name, call.arguments)}{effect} status={call.status}"
    if call.invalid:
        yield f"{name} invalid: {line(call.invalid)}"
    yield from (_note_line(f"{name} ", note) for note in call.notes)
    if call.result is not None:
        yield f"{name} result after {duration(call.duration)}: {line(call.result)}"


def _note_line(name: str, note: Note) -> str:
    return f"{name}{_word(note.kind)}: {note.text} ({moment(note.time)})"
