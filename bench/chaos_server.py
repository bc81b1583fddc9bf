"""A model server on loopback, in a process of its own, that answers rightly or, as often as it is told, in every wrong way.

``python -m bench.chaos_server SEED SHARE`` prints its port. It speaks chat completions, streamed and whole, and is a model
whose every task is the same: record 0, 1 and 2, pay, and say "done"; it sees from the results of the calls how far it is, and
asks again for what failed. Which request fails how is drawn from the seed, in the order of arrival. ``GET /counts`` gives the
figures.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections import Counter
from typing import Any

FAULTS = ("429", "429 after", "500", "529", "dropped", "cut", "garbage", "slow")
SLOW = 3.0
STEPS = [("record", {"n": 0}), ("record", {"n": 1}), ("record", {"n": 2}), ("pay", {})]


def plan(messages: list[dict[str, Any]]) -> tuple[str, Any]:
    """What the model does next."""
    fine = sum(message["role"] == "tool" and str(message["content"]).startswith("ok") for message in messages)
    return ("call", STEPS[fine]) if fine < len(STEPS) else ("say", "done")


def chunks(messages: list[dict[str, Any]]) -> list[str]:
    what, value = plan(messages)
    if what == "say":
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": value}]
    else:
        function = {"name": value[0], "arguments": json.dumps(value[1])}
        deltas = [{"role": "assistant", "tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": function}]}]
    made = [
        {"id": "x", "object": "chat.completion.chunk", "model": "m", "choices": [{"index": 0, "delta": one}]} for one in deltas
    ]
    finish = "stop" if what == "say" else "tool_calls"
    made.append({**made[0], "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    made.append({**made[0], "choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}})
    return [f"data: {json.dumps(one)}\n\n" for one in made] + ["data: [DONE]\n\n"]


def completion(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """The same in one piece, for clients that do not stream."""
    what, value = plan(messages)
    said: dict[str, Any] = {"role": "assistant", "content": value if what == "say" else None}
    if what == "call":
        function = {"name": value[0], "arguments": json.dumps(value[1])}
        said["tool_calls"] = [{"id": f"c{len(messages)}", "type": "function", "function": function}]
    finish = "stop" if what == "say" else "tool_calls"
    return {
        "id": "x", "object": "chat.completion", "created": 0, "model": "m",
        "choices": [{"index": 0, "message": said, "finish_reason": finish}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    }  # fmt: skip


class Server:
    def __init__(self, seed: int, share: float) -> None:
        self.chance = random.Random(seed)
        self.share = share
        self.counts: Counter[str] = Counter()

    async def serve(self) -> None:
        server = await asyncio.start_server(self.accept, "127.0.0.1", 0, backlog=2048)
        print(server.sockets[0].getsockname()[1], flush=True)
        async with server:
            await server.serve_forever()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self.answer(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = next((int(row.split(":")[1]) for row in head.splitlines() if row.startswith("content-length")), 0)
        body = await reader.readexactly(length)
        if head.startswith("get"):
            whole(writer, 200, json.dumps(self.counts), {})
            return True
        fault = self.chance.choice(FAULTS) if self.chance.random() < self.share else "fine"
        self.counts[fault] += 1
        self.counts["all"] += 1
        match fault:
            case "dropped":
                return False
            case "slow":
                await asyncio.sleep(SLOW)
            case "garbage":
                whole(writer, 200, "<html><title>welcome to the hotel's network</title></html>", {})
                return True
            case "500" | "529" | "429" | "429 after":
                headers = {"Retry-After": "1"} if fault == "429 after" else {}
                whole(writer, int(fault[:3]), json.dumps({"error": {"message": "no", "type": "", "code": ""}}), headers)
                return True
        asked = json.loads(body)
        if not asked.get("stream"):
            text = json.dumps(completion(asked["messages"]))
            if fault == "cut":
                writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n".encode())
                writer.write(text[:20].encode())
                return False
            whole(writer, 200, text, {})
            return True
        pieces = chunks(asked["messages"])
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in pieces[: 1 if fault == "cut" else None]:
            writer.write(f"{len(piece.encode()):x}\r\n{piece}\r\n".encode())
        if fault == "cut":
            return False
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True


def whole(writer: asyncio.StreamWriter, status: int, body: str, headers: dict[str, str]) -> None:
    named = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    kind = "text/html" if body.startswith("<") else "application/json"
    writer.write(f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{named}\r\n{body}".encode())


if __name__ == "__main__":
    asyncio.run(Server(int(sys.argv[1]), float(sys.argv[2])).serve())
