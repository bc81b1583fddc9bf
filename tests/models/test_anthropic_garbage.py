"""Whatever Anthropic's server answers, there is a reply or a ModelError: valid answers with random parts broken, by a seed."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from surefoot.core.errors import ModelError
from surefoot.core.model import ModelRequest
from surefoot.core.tool import ToolSpec
from surefoot.models.anthropic import Anthropic
from surefoot.testing.contracts.model import ask
from tests.models.garbage import assert_sound, broken, going_on
from tests.models.wire import Wire, events, whole

pytestmark = pytest.mark.needs("anthropic")

CONTENT = [
    {"type": "thinking", "thinking": "hm", "signature": "s"},
    {"type": "redacted_thinking", "data": "d"},
    {"type": "text", "text": "hi"},
    {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"a": 1}},
]
USAGE = {"input_tokens": 5, "output_tokens": 3, "cache_read_input_tokens": 1, "output_tokens_details": {"thinking_tokens": 1}}
DETAILS = {"type": "refusal", "category": "bio", "explanation": "no"}
MESSAGE = {"id": "m", "model": "c", "content": CONTENT, "stop_reason": "tool_use", "stop_details": DETAILS, "usage": USAGE}
EVENTS = [
    {"type": "message_start", "message": {**MESSAGE, "content": []}},
    *[{"type": "content_block_start", "index": index, "content_block": block} for index, block in enumerate(CONTENT)],
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "s"}},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "text_delta", "text": "hi"}},
    {"type": "content_block_delta", "index": 3, "delta": {"type": "input_json_delta", "partial_json": '{"a":1}'}},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_details": DETAILS}, "usage": USAGE},
]
ERROR = {"type": "error", "error": {"type": "rate_limit_error", "message": "slow", "details": {"a": 1}}, "request_id": "r"}


@pytest.mark.parametrize("stream", [True, False])
async def test_a_broken_answer_is_a_reply_or_an_error(wire: Wire, stream: bool, seed: int) -> None:
    chance = random.Random(seed)
    model = Anthropic("m", base_url=wire.url, stream=stream)
    for _ in range(150):
        body: Any = broken(EVENTS if stream else MESSAGE, chance)
        wire.answers.append(events(*[f"event: x\ndata: {json.dumps(item)}\n\n" for item in body]) if stream else whole(body))
        try:
            reply, _deltas = await ask(model, "hi", tools=[ToolSpec("add")])
        except ModelError as error:
            str(error).encode()
            continue
        assert_sound(reply)
        wire.answers.append(whole(MESSAGE))
        await model.request(ModelRequest(going_on(reply)), lambda delta: None)
    await model.aclose()


async def test_a_broken_error_is_an_error(wire: Wire, seed: int) -> None:
    chance = random.Random(seed)
    model = Anthropic("m", base_url=wire.url)
    for _ in range(100):
        wire.answers.append(whole(broken(ERROR, chance), chance.choice((400, 429, 500))))
        with pytest.raises(ModelError) as caught:
            await ask(model, "hi")
        str(caught.value).encode()
    await model.aclose()
