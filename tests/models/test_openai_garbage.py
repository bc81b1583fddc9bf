"""Whatever a server answers, there is a reply or a ModelError: valid answers with random parts broken, by a seed."""

from __future__ import annotations

import json
import random
from typing import Any, Literal, get_args

import pytest

from surefoot.core.errors import ModelError
from surefoot.core.model import ModelRequest
from surefoot.core.tool import ToolSpec
from surefoot.models.openai import OpenAI
from surefoot.testing.contracts.model import ask
from tests.models.garbage import assert_sound, broken, going_on
from tests.models.wire import Wire, events, whole

pytestmark = pytest.mark.needs("openai")

CALL = {"index": 0, "id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}
USAGE = {"prompt_tokens": 5, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 1}}
CHAT = {
    "id": "x",
    "model": "m",
    "usage": USAGE,
    "choices": [{"finish_reason": "stop", "message": {"content": "hi", "tool_calls": [CALL], "refusal": None}}],
}
CHUNKS = [
    {"choices": [{"delta": {"content": "hi", "reasoning_content": "hm"}}]},
    {"choices": [{"delta": {"tool_calls": [CALL]}, "finish_reason": "tool_calls"}], "usage": USAGE},
]
ITEMS = [
    {"type": "reasoning", "id": "r", "summary": [{"text": "hm"}], "encrypted_content": "s"},
    {"type": "message", "content": [{"type": "output_text", "text": "hi"}], "phase": "commentary"},
    {"type": "function_call", "call_id": "c1", "name": "add", "arguments": '{"a":1}'},
]
RESPONSE = {"id": "x", "status": "completed", "model": "m", "output": ITEMS, "usage": USAGE, "incomplete_details": None}
EVENTS = [
    {"type": "response.output_item.added", "output_index": 0, "item": ITEMS[2]},
    {"type": "response.output_text.delta", "delta": "hi"},
    {"type": "response.output_item.done", "output_index": 1, "item": ITEMS[1]},
    {"type": "response.completed", "response": RESPONSE},
]
Api = Literal["chat", "responses"]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("api", get_args(Api))
async def test_a_broken_answer_is_a_reply_or_an_error(wire: Wire, api: Api, stream: bool, seed: int) -> None:
    chance = random.Random(seed)
    model = OpenAI("m", base_url=wire.url, api=api, stream=stream)
    good: Any = {("chat", True): CHUNKS, ("chat", False): CHAT, ("responses", True): EVENTS}.get((api, stream), RESPONSE)
    for _ in range(150):
        body = broken(good, chance)
        wire.answers.append(events(*[f"data: {json.dumps(item)}\n\n" for item in body]) if stream else whole(body))
        try:
            reply, _deltas = await ask(model, "hi", tools=[ToolSpec("add")])
        except ModelError as error:
            str(error).encode()
            continue
        assert_sound(reply)
        wire.answers.append(whole(CHAT if api == "chat" else RESPONSE))
        await model.request(ModelRequest(going_on(reply)), lambda delta: None)
    await model.aclose()
