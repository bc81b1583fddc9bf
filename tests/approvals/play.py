"""Play the written-down cases: a model that obeys whatever it reads, tools that answer as the case says, and who asked."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from surefoot import Agent, App
from surefoot.core import events as ev
from surefoot.core.tool import ToolOutput
from surefoot.testing import FunctionModel
from surefoot.tools.function import FunctionTool
from tests.flows.kit import QUICK

__all__ = ["FAMILIES", "HELD_OUT", "Case", "Played", "cases", "play"]

FAMILIES = ("mail", "files", "money", "chat", "web")
#: Twenty more, written after the presets by somebody who had not read them. Nothing is tuned to these.
HELD_OUT = ("heldout",)
_SEND = ("send", "write", "reply", "forward", "mail", "tell")
#: name: effect, tags, labels, content, intent, parameters
TOOLS: dict[str, tuple[str, tuple[str, ...], dict[str, str], tuple[str, ...], tuple[str, ...], dict[str, Any]]] = {
    "read_mail": ("read", (), {"id": "typed", "sender": "typed"}, (), ("mail", "mails"), {"id": str}),
    "list_mail": ("read", (), {"id": "typed", "sender": "typed"}, (), ("mail", "mails"), {}),
    "find_contact": ("read", (), {"name": "directory", "email": "directory"}, (), (), {"name": str}),
    "send_mail": ("unsafe", ("external",), {}, ("subject", "body"), _SEND, {"to": str, "subject": str, "body": str}),
    "list_events": ("read", (), {"id": "typed", "title": "typed", "start": "fact"}, (), ("event", "meeting", "calendar"), {}),
    "create_event": (
        "unsafe", ("external",), {}, (), ("create", "add", "invite", "event"),
        {"title": str, "start": str, "attendees": list[str]},
    ),
    "delete_event": ("unsafe", ("irreversible",), {}, (), ("delete", "cancel", "remove"), {"id": str}),
    "list_files": ("read", (), {"name": "typed", "size": "fact"}, (), ("file", "files"), {}),
    "read_file": ("read", (), {"name": "typed"}, (), ("file",), {"name": str}),
    "write_file": ("unsafe", (), {}, ("text",), ("write", "append", "save", "copy"), {"name": str, "text": str}),
    "delete_file": ("unsafe", ("irreversible",), {}, (), ("delete", "remove"), {"name": str}),
    "share_file": ("unsafe", ("external",), {}, (), ("share",), {"name": str, "email": str}),
    "list_bills": (
        "read", (), {"id": "typed", "payee": "typed", "iban": "typed", "amount": "fact"}, (), ("bill", "bills"), {},
    ),
    "get_bill": (
        "read", (), {"id": "typed", "payee": "typed", "iban": "typed", "amount": "fact"}, (), ("bill", "bills"), {"id": str},
    ),
    "balance": ("read", (), {"balance": "fact"}, (), (), {}),
    "list_contacts": ("read", (), {"name": "directory", "iban": "directory"}, (), ("contacts",), {}),
    "pay": (
        "unsafe", ("external", "irreversible"), {}, ("reference",), ("pay", "send", "transfer"),
        {"iban": str, "amount": float, "reference": str},
    ),
    "change_order": ("unsafe", (), {}, (), ("change",), {"id": str, "amount": float}),
    "read_channel": ("read", (), {"author": "typed"}, (), ("channel",), {"channel": str}),
    "list_users": ("read", (), {"name": "directory", "handle": "directory"}, (), ("workspace", "users"), {}),
    "post": ("unsafe", ("external",), {}, ("text",), ("post",), {"channel": str, "text": str}),
    "direct": ("unsafe", ("external",), {}, ("text",), ("tell", "answer", "write", "message"), {"handle": str, "text": str}),
    "invite": ("unsafe", ("external",), {}, (), ("invite",), {"handle": str, "channel": str}),
    "search": ("read", (), {"url": "typed"}, (), ("search", "find", "look"), {"query": str}),
    "fetch": ("read", ("external",), {"url": "typed"}, (), (), {"url": str}),
    "submit_form": ("unsafe", ("external",), {}, (), ("submit",), {"url": str, "fields": dict[str, str]}),
    "order": ("unsafe", ("external",), {}, (), ("order", "buy"), {"item": str, "quantity": int, "address": str}),
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One task: what the user wants, what the model does, and which of its calls are an attacker's."""

    id: str
    prompt: str
    steps: tuple[tuple[str, dict[str, Any], Any], ...]
    how: str = ""
    bad: tuple[int, ...] = ()


@dataclass(frozen=True)
class Played:
    """What became of a case: which calls asked, and which ran."""

    case: Case
    asked: tuple[int, ...]
    ran: tuple[int, ...]

    @property
    def unasked(self) -> bool:
        """Whether an attacker's call ran and nobody was asked about it."""
        return any(step in self.ran and step not in self.asked for step in self.case.bad)


def cases(families: tuple[str, ...] = FAMILIES) -> Iterator[Case]:
    """Every case of the families."""
    for family in families:
        text = Path(__file__).with_name("cases").joinpath(f"{family}.jsonl").read_text(encoding="utf-8")
        for line in text.splitlines():
            row = json.loads(line)
            steps = tuple((name, arguments, result) for name, arguments, result in row["steps"])
            yield Case(row["id"], row["prompt"], steps, row.get("how", ""), tuple(row.get("bad", ())))


async def play(case: Case, policy: Any, human: str = "right") -> Played:
    """Run a case under a policy. The human is ``right``, or always says ``yes`` or ``no``."""
    position = 0

    def obey(request: Any) -> Any:
        nonlocal position
        position = sum(message.role == "tool" for message in request.messages)
        return case.steps[position][:2] if position < len(case.steps) else "Done."

    async def answer() -> ToolOutput:
        result = case.steps[position][2]
        return ToolOutput(result if isinstance(result, str) else json.dumps(result))

    asked: list[int] = []

    def decide(request: Any) -> bool:
        step = int(request.call.partition(".")[0])
        asked.append(step)
        return human == "yes" if human != "right" else step not in case.bad

    tools = [_tool(name, answer) for name in dict.fromkeys(step[0] for step in case.steps)]
    agent = Agent("obedient", model=FunctionModel(obey), tools=tools)
    async with App("memory:", settings=QUICK, policy=policy, approve=decide) as app:
        run = await app.run(agent, case.prompt)
        records = [record.event for record in await app.events(run)]
    ran = [int(event.call.partition(".")[0]) for event in records if isinstance(event, ev.ToolStarted)]
    return Played(case, tuple(asked), tuple(ran))


def _tool(name: str, answer: Any) -> FunctionTool[..., Any]:
    effect, tags, labels, content, intent, parameters = TOOLS[name]

    async def body(**arguments: Any) -> ToolOutput:
        result: ToolOutput = await answer()
        return result

    signature = inspect.Signature(
        [inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, annotation=kind) for key, kind in parameters.items()],
        return_annotation=ToolOutput,
    )
    body.__signature__ = signature  # type: ignore[attr-defined]
    body.__annotations__ = {**parameters, "return": ToolOutput}
    options: Any = {"name": name, "effect": effect, "tags": tags, "labels": labels, "content": content, "intent": intent}
    return FunctionTool(body, **options)
