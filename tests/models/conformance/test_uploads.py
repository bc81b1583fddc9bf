"""Large images and files are given to the vendor once, and named after that; each through the vendor's package over HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest

from surefoot.core.errors import ModelError
from surefoot.core.messages import File, Image, Message, Part, Text, text_of
from surefoot.core.model import ModelReply, ModelRequest
from surefoot.core.ports import Model
from surefoot.models.uploads import Given, Inline, Uploads
from tests.models.conformance.dialects import Dialect, Said, base64_of
from tests.models.wire import Answer, Wire, whole

# What the vendors' packages give to their transport in one piece.
pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body")

PAPER = b"%PDF-" + bytes(range(256)) * 20_000


def taken(dialect: Dialect, wire: Wire, number: int) -> list[Answer]:
    """How the vendor answers who gives it a file."""
    if dialect.name == "gemini":
        kept = {"name": f"files/f{number}", "uri": f"https://example.com/files/f{number}", "mimeType": "application/pdf"}
        done = whole({"file": {**kept, "state": "ACTIVE"}}, x_goog_upload_status="final")
        return [whole({}, x_goog_upload_url=f"{wire.url}/upload"), done]
    return [whole({"id": f"f{number}", "object": "file", "type": "file", "filename": "a.pdf", "bytes": len(PAPER)})]


async def told(model: Model, *parts: Part) -> ModelReply:
    return await model.request(ModelRequest([Message("user", (Text("see"), *parts))]), lambda delta: None)


def large(asked: Any) -> bool:
    """Whether a request holds the paper itself."""
    body = asked.body if isinstance(asked.body, bytes) else json.dumps(asked.body).encode()
    return PAPER in body or base64_of(PAPER).encode() in body


@pytest.mark.parametrize("part", [File(PAPER, "application/pdf", "a.pdf"), Image(PAPER, "image/png")], ids=["file", "image"])
async def test_what_is_large_is_given_once_and_named_after_that(wire: Wire, dialect: Dialect, part: Part) -> None:
    model = dialect.model(wire.url, stream=False)
    wire.answers += [*taken(dialect, wire, 1), *[whole(dialect.whole(Said(("ok",))))] * 3]
    for _ in range(2):
        assert text_of((await told(model, part)).parts) == "ok"
    assert [large(asked) for asked in wire.asked].count(True) == 1
    assert all("f1" in json.dumps(asked.body) for asked in wire.asked[-2:])
    await told(model, Image(b"small", "image/png"))
    assert base64_of(b"small") in json.dumps(wire.asked[-1].body), "what is small stays in the request"


async def test_a_file_that_the_vendor_lost_is_given_anew(wire: Wire, dialect: Dialect) -> None:
    model = dialect.model(wire.url, stream=True)
    gone = whole({"error": {"message": "File f1 was not found or has expired", "code": 404, "status": "NOT_FOUND"}}, 404)
    answers = [whole(dialect.whole(Said(("ok",))))] * 2
    wire.answers += [*taken(dialect, wire, 1), answers[0], gone, *taken(dialect, wire, 2), answers[1]]
    paper = File(PAPER, "application/pdf", "a.pdf")
    await told(model, paper)
    await told(model, paper)
    assert "f2" in json.dumps(wire.asked[-1].body)
    assert wire.answers == []


async def test_another_failure_is_not_the_files(wire: Wire, dialect: Dialect) -> None:
    status, body = dialect.failures["overloaded"]
    wire.answers += [*taken(dialect, wire, 1), whole(body, status)]
    with pytest.raises(ModelError) as caught:
        await told(dialect.model(wire.url, stream=False), File(PAPER, "application/pdf", "a.pdf"))
    assert caught.value.kind == "overloaded"
    assert wire.answers == []


async def test_a_server_that_keeps_no_files_is_sent_them(wire: Wire, dialect: Dialect) -> None:
    model = dialect.model(wire.url, stream=False)
    wire.answers += [whole({"detail": "Not Found"}, 404), *[whole(dialect.whole(Said(("ok",))))] * 2]
    for _ in range(2):
        await told(model, File(PAPER, "application/pdf", "a.pdf"))
        assert large(wire.asked[-1])
    assert len(wire.asked) == 3, "it is asked once whether it keeps files"


async def test_a_file_that_cannot_be_given_fails_with_its_reason(wire: Wire, dialect: Dialect) -> None:
    status, body = dialect.failures["auth"]
    wire.answers.append(whole(body, status))
    with pytest.raises(ModelError) as caught:
        await told(dialect.model(wire.url, stream=False), File(PAPER, "application/pdf", "a.pdf"))
    assert caught.value.kind == "auth"


async def test_a_file_beyond_what_the_vendor_takes_is_said_to_be() -> None:
    async def put(data: bytes, kind: str, name: str) -> Given:
        pytest.fail("it is given nothing")

    named: list[str] = []
    paper = Inline(base64_of(PAPER), "application/pdf", "a.pdf", named.append)
    with pytest.raises(ModelError, match=r"a\.pdf has 5 MB, and the provider takes 1 MB; send a part of it") as caught:
        await Uploads(put, 1_000_000).lighten(iter([paper]))
    assert caught.value.kind == "invalid_request"
    assert named == []
