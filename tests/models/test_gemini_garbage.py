"""Whatever Gemini's server answers, there is a reply or a ModelError: valid answers with random parts broken, by a seed."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from surefoot.core.errors import ModelError
from surefoot.core.model import ModelRequest
from surefoot.core.tool import ToolSpec
from surefoot.models.gemini import Gemini
from surefoot.testing.contracts.model import ask
from tests.models.garbage import assert_sound, broken, going_on
from tests.models.wire import Wire, events, whole

pytestmark = pytest.mark.needs("gemini")

PARTS: list[dict[str, Any]] = [
    {"text": "hm", "thought": True, "thoughtSignature": "s"},
    {"text": "hi"},
    {"text": "", "thoughtSignature": "s"},
    {"inlineData": {"mimeType": "image/png", "data": "AQ=="}, "thoughtSignature": "s"},
    {"functionCall": {"id": "c1", "name": "add", "args": {"a": 1}}, "thoughtSignature": "s"},
]
USAGE = {"promptTokenCount": 5, "candidatesTokenCount": 3, "thoughtsTokenCount": 1, "cachedContentTokenCount": 1}
ANSWER: dict[str, Any] = {
    "candidates": [{"content": {"role": "model", "parts": PARTS}, "finishReason": "STOP", "finishMessage": "x"}],
    "promptFeedback": {"blockReason": "", "blockReasonMessage": "x"},
    "usageMetadata": USAGE,
    "modelVersion": "m",
    "responseId": "r",
}
CHUNKS = [
    *[{"candidates": [{"content": {"parts": [part]}}]} for part in PARTS],
    {"candidates": [{"finishReason": "STOP"}], "usageMetadata": USAGE},
]
DETAILS = [{"violations": [{"quotaId": "PerDay"}]}, {"retryDelay": "3s"}, {"reason": "API_KEY_INVALID"}]
ERROR = {"error": {"code": 429, "message": "slow", "status": "RESOURCE_EXHAUSTED", "details": DETAILS}}


@pytest.mark.parametrize("stream", [True, False])
async def test_a_broken_answer_is_a_reply_or_an_error(wire: Wire, stream: bool, seed: int) -> None:
    chance = random.Random(seed)
    model = Gemini("m", base_url=wire.url, stream=stream)
    for _ in range(150):
        body: Any = broken(CHUNKS if stream else ANSWER, chance)
        wire.answers.append(events(*[f"data: {json.dumps(item)}\n\n" for item in body]) if stream else whole(body))
        try:
            reply, _deltas = await ask(model, "hi", tools=[ToolSpec("add")])
        except ModelError as error:
            str(error).encode()
            continue
        assert_sound(reply)
        wire.answers.append(events(*CHUNKS) if stream else whole(ANSWER))
        await model.request(ModelRequest(going_on(reply)), lambda delta: None)
    await model.aclose()


@pytest.mark.parametrize("stream", [True, False])
async def test_a_broken_error_is_an_error(wire: Wire, stream: bool, seed: int) -> None:
    chance = random.Random(seed)
    model = Gemini("m", base_url=wire.url, stream=stream)
    for _ in range(100):
        body = broken(ERROR, chance)
        status = chance.choice((200, 400, 429, 500))
        wire.answers.append(events(f"data: {json.dumps(body)}\n\n") if stream and status == 200 else whole(body, status))
        with pytest.raises(ModelError) as caught:
            await ask(model, "hi")
        str(caught.value).encode()
    await model.aclose()
