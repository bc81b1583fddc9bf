"""A GGUF file of one's own: its own tool calls where its template knows them, the action protocol where it does not."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from surefoot.core.errors import ModelError
from surefoot.core.messages import Image, Message, Text, ToolCall, ToolResult, text_of
from surefoot.core.model import Delta, ModelReply, ModelRequest, ModelSettings, OutputSchema
from surefoot.core.tool import ToolSpec
from surefoot.models import model_from
from surefoot.models.local_gguf import read_gguf
from surefoot.models.local_own import OwnModel
from surefoot.models.local_runtime import LocalSettings
from surefoot.models.local_weights import installed
from tests.components import require

NUMBER = {"type": "number"}
PAIR = {"type": "object", "properties": {"a": NUMBER, "b": NUMBER}, "required": ["a", "b"], "additionalProperties": False}
TOOLS = [ToolSpec("add", "Add two numbers.", PAIR), ToolSpec("multiply", "Multiply two numbers.", PAIR)]
EXACT = ModelSettings(temperature=0, max_tokens=80)
WITH_TOOLS = """\
{%- if tools %}<|im_start|>system
# Tools
{% for t in tools %}{{ t | tojson }}
{% endfor %}For each function call, return a json object within <tool_call></tool_call> XML tags.<|im_end|>
{% endif %}{% for m in messages %}{% if m.role == "tool" %}<|im_start|>user
<tool_response>
{{ m.content }}
</tool_response><|im_end|>
{% else %}<|im_start|>{{ m.role }}
{% if m.content %}{{ m.content }}{% endif %}{% for c in m.tool_calls or [] %}
<tool_call>
{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}
</tool_call>{% endfor %}<|im_end|>
{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


@pytest.fixture(scope="module")
def packaged() -> Path:
    require("xllamacpp", "weights")
    path = installed()
    assert path is not None
    return path


@pytest.fixture(scope="module")
def with_tools(packaged: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the packaged model with another chat template, one that knows tools."""
    data = packaged.read_bytes()
    old = read_gguf(packaged).template.encode()
    at = data.index(old)
    assert struct.unpack("<Q", data[at - 8 : at]) == (len(old),)
    # Tensors are aligned to 32 bytes, so the head may grow by a multiple of that.
    new = WITH_TOOLS.encode()
    new = b"{#" + b"." * (28 + (len(old) - len(new)) % 32) + b"#}" + new
    path = tmp_path_factory.mktemp("gguf") / "with-tools.gguf"
    path.write_bytes(data[: at - 8] + struct.pack("<Q", len(new)) + new + data[at + len(old) :])
    return path


async def ask(model: OwnModel, messages: Sequence[Message], **options: Any) -> tuple[ModelReply, str]:
    deltas: list[Delta] = []
    reply = await model.request(ModelRequest(messages, settings=EXACT, **options), deltas.append)
    return reply, "".join([delta.text for delta in deltas])


def said(text: str) -> list[Message]:
    return [Message("user", (Text(text),))]


def example(number: int, a: int, b: int) -> list[Message]:
    """Make a turn in which a sum was asked for and a tool called."""
    return [
        *said(f"What is {a} plus {b}?"),
        Message("assistant", (ToolCall(f"{number}.0", "add", f'{{"a":{a},"b":{b}}}'),)),
        Message("tool", (ToolResult(f"{number}.0", "add", str(a + b)),)),
        Message("assistant", (Text(str(a + b)),)),
    ]


async def test_it_answers_in_its_own_words(packaged: Path) -> None:
    model = OwnModel(packaged)
    reply, streamed = await ask(model, said("What is the capital of France?"))
    assert streamed == text_of(reply.parts) != ""
    assert model.name == f"local:{packaged.name}"
    assert model.context_window == 8192
    assert reply.usage.input > 0 < reply.usage.output


async def test_without_a_template_for_tools_it_acts_by_protocol(packaged: Path) -> None:
    reply, streamed = await ask(OwnModel(packaged), said("What is 5 plus 3?"), tools=TOOLS)
    (call,) = reply.calls
    assert call.name in ("add", "multiply")
    assert json.loads(call.arguments).keys() == {"a", "b"}
    assert streamed == ""
    after = [
        *said("What is 5 plus 3?"),
        Message("assistant", (ToolCall("0.0", call.name, call.arguments),)),
        Message("tool", (ToolResult("0.0", call.name, "8"),)),
    ]
    reply, _ = await ask(OwnModel(packaged), after, tools=TOOLS)
    assert reply.calls or text_of(reply.parts)


async def test_with_a_template_for_tools_it_calls_in_its_own_way(with_tools: Path) -> None:
    turns = [*example(0, 1, 2), *example(1, 4, 4), *example(2, 10, 7)]
    reply, streamed = await ask(OwnModel(with_tools), [*turns, *said("What is 5 plus 3?")], tools=TOOLS)
    (call,) = reply.calls
    assert (call.name, json.loads(call.arguments)) == ("add", {"a": 5, "b": 3})
    assert call.provider_id
    assert reply.finish == "tool_calls"
    assert "tool_call" not in streamed


@pytest.mark.parametrize("file", ["packaged", "with_tools"])
async def test_an_answer_in_shape_is_json_of_that_shape(file: str, request: pytest.FixtureRequest) -> None:
    output = OutputSchema("n", {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]})
    reply, _ = await ask(OwnModel(request.getfixturevalue(file)), said("What is 5 plus 3?"), output=output)
    assert json.loads(text_of(reply.parts)).keys() == {"n"}


@pytest.mark.parametrize(
    ("action", "answer"),
    [
        ({"action": "human", "reason": "ask Bo"}, "ask Bo"),
        ({"action": "final", "answer": "done"}, "done"),
        ({"action": "final", "answer": {"n": 3}}, '{"n":3}'),
    ],
)
async def test_each_action_has_its_answer(packaged: Path, action: dict[str, Any], answer: str) -> None:
    # The schema leaves the model no choice.
    forced = ModelSettings(temperature=0, extra={"json_schema": {"const": action}})
    deltas: list[Delta] = []
    reply = await OwnModel(packaged).request(ModelRequest(said("Well?"), tools=TOOLS, settings=forced), deltas.append)
    assert text_of(reply.parts) == answer
    assert [delta.text for delta in deltas] == [answer]


async def test_it_gives_up_in_time(packaged: Path) -> None:
    model = OwnModel(packaged)
    await ask(model, said("Hi"))
    late = ModelSettings(temperature=0, max_tokens=900, timeout=0.2)
    with pytest.raises(ModelError) as caught:
        await model.request(ModelRequest(said("Tell me a very long story."), settings=late), lambda _: None)
    assert caught.value.kind == "timeout"


async def test_what_is_too_long_is_an_overflow(packaged: Path) -> None:
    with pytest.raises(ModelError) as caught:
        await ask(OwnModel(packaged, settings=LocalSettings(context=256)), said("word " * 2_000))
    assert caught.value.kind == "context_overflow"


async def test_it_reads_text_only(packaged: Path) -> None:
    with pytest.raises(ModelError, match="text only") as caught:
        await ask(OwnModel(packaged), [Message("user", (Text("what is this?"), Image(url="https://example.org/a.png")))])
    assert caught.value.kind == "invalid_request"


async def test_an_action_that_is_cut_off_is_malformed(packaged: Path) -> None:
    request = ModelRequest(said("What is 5 plus 3?"), tools=TOOLS, settings=ModelSettings(temperature=0, max_tokens=3))
    with pytest.raises(ModelError) as caught:
        await OwnModel(packaged).request(request, lambda _: None)
    assert caught.value.kind == "malformed_output"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (None, "not_found"),
        (b"", "invalid_request"),
        (b"<html>not a model</html>" * 100, "invalid_request"),
        (b"GGUF\x03\x00\x00\x00" + b"\xff" * 100, "invalid_request"),
        (b"GGUF\x03\x00\x00\x00" + bytes(8) + b"\x01" + bytes(7) + b"\xff" * 8, "invalid_request"),
        (b"GGUF\x01\x00\x00\x00" + bytes(100), "invalid_request"),
    ],
    ids=["absent", "empty", "html", "garbage", "endless", "old"],
)
async def test_a_file_that_is_no_model_says_so(tmp_path: Path, content: bytes | None, kind: str) -> None:
    path = tmp_path / "mine.gguf"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=r"mine\.gguf") as caught:
        await ask(OwnModel(path), said("Hello!"))
    assert caught.value.kind == kind
    assert not caught.value.retryable


def test_a_path_is_a_model_by_name(tmp_path: Path) -> None:
    assert model_from(f"local:{tmp_path}/mine.gguf").name == "local:mine.gguf"
