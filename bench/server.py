"""The server on loopback, in a process of its own: starting runs, events to many clients, a long run's page, memory.

The model is scripted and takes no time; the store is a SQLite file. Clients are raw connections in this process, so what they
take is not the server's. Latency of events is from the journal's own time stamp to the arrival at each client.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.report import Figure, at_most
from bench.steps import UNLIMITED, Counting, add

RATE, SECONDS, CLIENTS, MANY, EVENTS = 100, 5, 200, 500, 2_000


def serve(path: str, descriptor: int) -> None:
    from surefoot import Agent, App
    from surefoot.server.app import create
    from surefoot.server.listening import listen

    class Quick(Counting):
        async def request(self, request, emit):  # type: ignore[no-untyped-def]
            self.steps = int(request.messages[0].text)
            self.at = sum(message.role == "assistant" for message in request.messages)
            return await super().request(request, emit)

    agent = Agent("bench", model=Quick(0), tools=[add], limits=UNLIMITED)
    with socket.socket(fileno=descriptor) as bound:
        asyncio.run(listen(create(App(f"sqlite:{path}", agents=[agent]), rate=1e6), bound))


class Client:
    """One connection that is kept."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def ask(self, method: str, path: str, body: object = None) -> tuple[bytes, float]:
        """The body of an answer, and seconds to its first byte."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        data = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n"
        began = time.perf_counter()
        writer.write(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
        first = await reader.read(1)
        taken = time.perf_counter() - began
        answer = first + await reader.read()
        writer.close()
        return answer.partition(b"\r\n\r\n")[2], taken

    async def listen(self, after: int, lags: list[float], ready: asyncio.Semaphore) -> None:
        """Follow all events after a position; the seconds from each one's time to its arrival."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(f"GET /api/events?after={after} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        ready.release()
        try:
            while line := await reader.readline():
                if line.startswith(b"data: {"):
                    event = json.loads(line[6:])
                    if "time" in event:
                        lags.append(time.time() - _seconds(event["time"]))
        finally:
            writer.close()


def _seconds(stamp: object) -> float:
    from datetime import datetime

    return stamp / 1e6 if isinstance(stamp, int) else datetime.fromisoformat(str(stamp)).timestamp()


def _p95(values: list[float]) -> float:
    return sorted(values)[int(0.95 * (len(values) - 1))]


def _rss(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return float("nan")


async def measured(port: int, pid: int) -> list[Figure]:
    client = Client(port)
    start = {"agent": "bench", "input": "1"}
    for _ in range(20):
        await client.ask("POST", "/api/runs", start)
    taken: list[float] = []

    async def one() -> None:
        body, seconds = await client.ask("POST", "/api/runs", start)
        assert b'"id"' in body, body
        taken.append(seconds)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(RATE * SECONDS):
            await asyncio.sleep(max(0.0, began + number / RATE - time.perf_counter()))
            group.create_task(one())
    rate = len(taken) / (time.perf_counter() - began)
    figures = [
        Figure("runs started a second, as asked for", rate, "a second"),
        at_most("start of a run, p95", _p95(taken) * 1e3, "ms", 30),
    ]
    run = json.loads((await client.ask("POST", "/api/runs", {**start, "wait": 5}))[0])["id"]
    after = max(record["position"] for record in json.loads((await client.ask("GET", f"/api/runs/{run}/events"))[0]))
    lags: list[float] = []
    ready = asyncio.Semaphore(0)
    listeners = [asyncio.create_task(client.listen(after, lags, ready)) for _ in range(CLIENTS)]
    for _ in listeners:
        await ready.acquire()
    await asyncio.sleep(1)
    lags.clear()
    for _ in range(20):
        await client.ask("POST", "/api/runs", start)
        await asyncio.sleep(0.1)
    await asyncio.sleep(1)
    figures += [
        Figure(f"events that {CLIENTS} clients got", len(lags), ""),
        at_most(f"an event to each of {CLIENTS} clients, p95", _p95(lags) * 1e3, "ms", 150),
    ]
    listeners += [asyncio.create_task(client.listen(after, [], ready)) for _ in range(MANY - CLIENTS)]
    for _ in range(MANY - CLIENTS):
        await ready.acquire()
    figures.append(at_most(f"the process with {MANY} clients", _rss(pid), "MiB", 200 * 1e6 / 2**20))
    for listener in listeners:
        listener.cancel()
    await asyncio.gather(*listeners, return_exceptions=True)
    steps = EVENTS // 4
    body, _ = await client.ask("POST", "/api/runs", {"agent": "bench", "input": str(steps), "wait": 30})
    long = json.loads(body)
    assert long["status"] == "done", long
    firsts = [(await client.ask("GET", f"/runs/{long['id']}"))[1] for _ in range(5)]
    figures.append(at_most(f"page of a run of {EVENTS:,} events, to its first byte", sorted(firsts)[2] * 1e3, "ms", 300))
    return figures


def figures() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0), backlog=2048) as bound:
        bound.set_inheritable(True)
        code = "import sys; from bench.server import serve; serve(sys.argv[1], int(sys.argv[2]))"
        command = [sys.executable, "-c", code, f"{folder}/agent.db", str(bound.fileno())]
        with subprocess.Popen(command, env=dict(os.environ), close_fds=False, stderr=subprocess.DEVNULL) as server:
            try:
                return asyncio.run(measured(bound.getsockname()[1], server.pid))
            finally:
                server.kill()
