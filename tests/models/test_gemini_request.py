"""Gemini's protocol: what is sent, byte by byte, and to whom."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from surefoot.core.errors import MissingKey, ModelError
from surefoot.core.messages import File, Image, Message, Reasoning, Text, ToolCall, ToolResult
from surefoot.core.model import ModelRequest, ModelSettings
from surefoot.core.tool import ToolSpec
from surefoot.models import Models
from surefoot.models.gemini import Connection, Gemini
from surefoot.testing.contracts.model import ask
from tests.models.wire import Wire, events, whole

pytestmark = pytest.mark.needs("gemini")

ADD = ToolSpec("add", "Add.", {"type": "object", "properties": {"a": {"type": "integer", "title": "A"}}, "required": ["a"]})
NEW, OLD = "gemini-3.8-flash", "gemini-2.5-flash"
UNSIGNED = "skip_thought_signature_validator"


def user(*parts: Any) -> Message:
    return Message("user", tuple(Text(part) if isinstance(part, str) else part for part in parts))


def said(text: str) -> dict[str, Any]:
    return {"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": "STOP"}]}


def address(wire: Wire) -> str:
    return wire.url.removesuffix("/v1")


async def sent(wire: Wire, request: ModelRequest, model: str = NEW, **given: Any) -> dict[str, Any]:
    wire.answers.append(whole(said("ok")))
    given = {"api_key": "k", "base_url": address(wire), **given}
    await Gemini(model, stream=False, **given).request(request, lambda delta: None)
    body: dict[str, Any] = wire.asked[-1].body
    return body


async def test_a_request_holds_what_was_asked_for(wire: Wire) -> None:
    settings = ModelSettings(temperature=0.5, max_tokens=9, extra={"generationConfig": {"topK": 3}, "labels": {"a": "b"}})
    body = await sent(wire, ModelRequest([user("hi")], "Be kind.", [ADD, ToolSpec("now")], settings=settings))
    parameters = {
        "type": "object",
        "properties": {"a": {"type": "integer"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    assert body == {
        "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
        "systemInstruction": {"parts": [{"text": "Be kind."}]},
        "tools": [
            {
                "functionDeclarations": [
                    {"name": "add", "description": "Add.", "parametersJsonSchema": parameters},
                    {"name": "now", "description": "now"},
                ]
            }
        ],
        "generationConfig": {"temperature": 0.5, "maxOutputTokens": 9, "topK": 3},
        "labels": {"a": "b"},
    }
    assert wire.asked[-1].headers["x-goog-api-key"] == "k"
    assert wire.asked[-1].path.endswith(f"/models/{NEW}:generateContent")


THINKING: list[tuple[str, str, dict[str, Any]]] = [
    (NEW, "low", {"thinkingLevel": "LOW", "includeThoughts": True}),
    (NEW, "none", {"thinkingLevel": "MINIMAL", "includeThoughts": False}),
    ("gemini-flash-latest", "max", {"thinkingLevel": "HIGH", "includeThoughts": True}),
    (OLD, "medium", {"thinkingBudget": 8_192, "includeThoughts": True}),
    (OLD, "off", {"thinkingBudget": 0, "includeThoughts": False}),
    ("gemini-2.5-pro", "off", {"thinkingBudget": 128, "includeThoughts": False}),
    ("gemma-4-31b-it", "low", {"thinkingBudget": 1_024, "includeThoughts": True}),
]


@pytest.mark.parametrize(("model", "effort", "wanted"), THINKING)
async def test_how_much_to_think_is_said_as_the_model_takes_it(
    wire: Wire, model: str, effort: str, wanted: dict[str, Any]
) -> None:
    body = await sent(wire, ModelRequest([user("hi")], settings=ModelSettings(reasoning=effort)), model)
    assert body["generationConfig"] == {"thinkingConfig": wanted}


async def test_calls_and_results_stay_together(wire: Wire) -> None:
    odd = "crm/get user"
    history = [
        user("go"),
        Message("assistant", (ToolCall("0.0", odd, '{"a":1}', "same"), ToolCall("0.1", odd, "{bad", "same", "not JSON"))),
        Message("tool", (ToolResult("0.0", odd, "one", provider_id="same"), ToolResult("0.1", odd, "two", error=True))),
        Message("assistant", (Text("Gladly."), ToolCall("1.0", odd, "{}", ""), ToolCall("1.1", odd, "{}", ""))),
        Message("tool", (ToolResult("1.0", odd, ""),)),
        user("never mind"),
    ]
    contents = (await sent(wire, ModelRequest(history, tools=[ToolSpec(odd)]), OLD))["contents"]
    assert [content["role"] for content in contents] == ["user", "model", "user", "model", "user", "user"]
    first, second = [part["functionCall"] for part in contents[1]["parts"]]
    name = first["name"]
    assert name.replace("_", "").isalnum()
    assert (first, second) == (
        {"name": name, "args": {"a": 1}, "id": "same"},
        {"name": name, "args": {"invalid_json": "{bad"}},
    )
    assert [part["functionResponse"] for part in contents[2]["parts"]] == [
        {"name": name, "response": {"output": "one"}, "id": "same"},
        {"name": name, "response": {"error": "two"}},
    ]
    # As many results as calls: the vendor refuses anything else.
    assert [part["functionResponse"]["response"] for part in contents[4]["parts"]] == [
        {"output": ""},
        {"error": "[no result]"},
    ]


async def test_calls_that_another_model_made_are_sent_as_such(wire: Wire) -> None:
    calls = (Reasoning("hm", "x", "openai"), ToolCall("0.0", "add", "{}", "c1"), ToolCall("0.1", "add", "{}", "c2"))
    history = [
        user("go"),
        Message("assistant", calls),
        Message("tool", (ToolResult("0.0", "add", "1"), ToolResult("0.1", "add", "2"))),
    ]
    parts = (await sent(wire, ModelRequest(history)))["contents"][1]["parts"]
    assert [part.get("thoughtSignature") for part in parts] == [UNSIGNED, None]
    assert "thoughtSignature" not in str(await sent(wire, ModelRequest(history), OLD))


async def test_a_conversation_begins_with_the_user_and_holds_nothing_empty(wire: Wire) -> None:
    history = [Message("assistant", (Text("Yes?"),)), user(""), user("hi"), user("ho"), Message("assistant", (Text(""),))]
    contents = (await sent(wire, ModelRequest(history, " ")))["contents"]
    assert contents == [
        {"role": "user", "parts": [{"text": "[earlier messages were left out]"}]},
        {"role": "model", "parts": [{"text": "Yes?"}]},
        {"role": "user", "parts": [{"text": "hi"}, {"text": "ho"}]},
    ]
    assert "systemInstruction" not in wire.asked[-1].body


async def test_images_and_files_go_along(wire: Wire) -> None:
    async def load(digest: str) -> bytes:
        return digest.encode()

    def inline(kind: str, data: bytes) -> dict[str, Any]:
        return {"inlineData": {"mimeType": kind, "data": base64.b64encode(data).decode()}}

    parts = (
        "see",
        Image(url="http://example.com/a.png"),
        Image(b"\x01"),
        Image(blob="abc", media_type="image/jpeg"),
        File(b"%PDF", "application/pdf", "a.pdf"),
        File("naïve".encode(), "text/plain", "a.txt"),
        File(b"RIFF", "audio/wav"),
        File(url="gs://bucket/b.mp4", media_type="video/mp4"),
    )
    pieces = (await sent(wire, ModelRequest([user(*parts)], load=load)))["contents"][0]["parts"]
    assert pieces == [
        {"text": "see"},
        {"fileData": {"fileUri": "http://example.com/a.png", "mimeType": "image/png"}},
        inline("image/png", b"\x01"),
        inline("image/jpeg", b"abc"),
        inline("application/pdf", b"%PDF"),
        {"text": "[file a.txt]\nnaïve"},
        inline("audio/wav", b"RIFF"),
        {"fileData": {"fileUri": "gs://bucket/b.mp4", "mimeType": "video/mp4"}},
    ]


async def test_a_blob_that_is_gone_is_said_to_be_gone(wire: Wire) -> None:
    with pytest.raises(ModelError, match="blob abc"):
        await sent(wire, ModelRequest([user(Image(blob="abc"))]))


@pytest.mark.parametrize(("model", "inside"), [(NEW, 1), (OLD, 0)])
async def test_a_result_holds_its_image_or_is_followed_by_it(wire: Wire, model: str, inside: int) -> None:
    result = ToolResult("0.0", "see", "a cat", parts=(Image(b"\x01"), File(b"RIFF", "audio/wav")))
    history = [user("look"), Message("assistant", (ToolCall("0.0", "see", "{}", "c1"),)), Message("tool", (result,))]
    contents = (await sent(wire, ModelRequest(history), model))["contents"]
    answer = contents[2]["parts"][0]["functionResponse"]
    assert answer["response"] == {"output": "a cat"}
    assert len(answer.get("parts", ())) == inside
    assert contents[3]["parts"][0] == {"text": "[what see returned besides its text]"}
    assert len(contents[3]["parts"]) == 3 - inside


async def test_tools_that_are_beyond_the_dialect_are_sent_as_they_are(wire: Wire) -> None:
    both = {"type": "object", "properties": {"a": {"allOf": [{"type": "integer"}, {"minimum": 2}]}}}
    either = {"anyOf": [{"type": "object", "properties": {"a": {}}}]}
    tools = [ToolSpec("one", input_schema=both), ToolSpec("two", input_schema=either)]
    model = Gemini(NEW, api_key="k", base_url=address(wire), stream=False)
    wire.answers += [whole(said("ok"))] * 2
    for _ in range(2):
        await ask(model, "hi", tools=tools)
        declared = wire.asked[-1].body["tools"][0]["functionDeclarations"]
        assert [each["parametersJsonSchema"] for each in declared] == [both, either]


# Whom to ask


async def test_vertex_is_asked_with_a_key(wire: Wire) -> None:
    environ = {"GOOGLE_GENAI_USE_VERTEXAI": "true", "GOOGLE_API_KEY": "k", "GOOGLE_VERTEX_BASE_URL": address(wire)}
    wire.answers.append(events(said("ok"), done=False))
    model = Models(environ).model(f"gemini:{NEW}")
    assert isinstance(model, Gemini)
    await ask(model, "hi")
    await model.aclose()
    assert wire.asked[-1].path.endswith(f"/publishers/google/models/{NEW}:streamGenerateContent?alt=sse")
    assert wire.asked[-1].headers["x-goog-api-key"] == "k"


async def test_vertex_is_asked_in_a_project_with_the_machines_credentials(
    wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    token = {"access_token": "t0ken", "expires_in": 3_600, "token_type": "Bearer"}
    key = rsa.generate_private_key(65_537, 2_048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    credentials = {
        "type": "service_account",
        "client_email": "agent@p.example",
        "private_key_id": "1",
        "private_key": key.decode(),
        "project_id": "p",
        "token_uri": f"{address(wire)}/token",
    }
    path = tmp_path / "credentials.json"
    path.write_text(json.dumps(credentials))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    wire.answers += [whole(token), events(said("ok"), done=False)]
    connection = Connection(base_url=address(wire), vertex=True, project="p", location="europe-west4")
    model = Gemini("meta/llama-4", connection=connection)
    await ask(model, "hi")
    await model.aclose()
    assert wire.asked[0].path == "/token"
    where = "/projects/p/locations/europe-west4/publishers/meta/models/llama-4:streamGenerateContent?alt=sse"
    assert wire.asked[1].path.endswith(where)
    assert wire.asked[1].headers["authorization"] == "Bearer t0ken"


async def test_credentials_that_are_not_there_are_said_to_be_missing(
    wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "gone.json"))
    model = Gemini(connection=Connection(base_url=address(wire), vertex=True, project="p"))
    with pytest.raises(ModelError, match="credentials") as caught:
        await ask(model, "hi")
    assert caught.value.kind == "auth"


def test_whom_to_ask_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GOOGLE_API_KEY", "GEMINI_API_KEY", "GOOGLE_GEMINI_BASE_URL", "GOOGLE_GENAI_USE_VERTEXAI"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(MissingKey, match="GEMINI_API_KEY"):
        Gemini()
    monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", "1")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "p")
    assert Gemini().connection.vertex
    monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", "0")
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", "http://127.0.0.1:1")
    assert repr(Gemini()) == "Gemini('gemini-3.8-flash', base_url='http://127.0.0.1:1')"


@pytest.mark.parametrize("name", ["models/gemini-x", "tunedModels/t1"])
async def test_a_whole_path_is_a_name_too(wire: Wire, name: str) -> None:
    await sent(wire, ModelRequest([user("hi")]), name)
    assert wire.asked[-1].path.endswith(f"/{name}:generateContent")
