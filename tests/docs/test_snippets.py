"""Every Python block of the README and the docs is a program that runs; links lead somewhere.

A block that does not run by itself is announced: ``<!-- not run: why -->`` on the line above its fence.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.components import require

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"(?:^<!-- not run: (?P<why>[^\n]+) -->\n)?^```python[^\n]*\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)")


@dataclass(frozen=True)
class Block:
    page: Path
    line: int
    code: str
    why: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for found in FENCE.finditer(text):
        line = text.count("\n", 0, found.start("code")) + 1
        yield Block(page, line, found["code"], found["why"] or "")


BLOCKS = [block for page in PAGES for block in blocks(page)]


class Provider(BaseHTTPRequestHandler):
    """A server of chat completions that wants one refund and then is content, for blocks that name no model."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers["content-length"]))
        call = '{"id":"c1","type":"function","function":{"name":"refund","arguments":"{\\"order\\":\\"81\\",\\"cents\\":6200}"}}'
        again = b'"role":"tool"' in asked.replace(b'": "', b'":"')
        message = '"content":"It is refunded."' if again else f'"content":null,"tool_calls":[{call}]'
        body = (
            f'{{"id":"r","object":"chat.completion","created":1,"model":"m","choices":[{{"index":0,"finish_reason":"stop",'
            f'"message":{{"role":"assistant",{message}}}}}]}}'
        ).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base's own name
        """Say nothing."""


@pytest.fixture
def provider() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("block", [block for block in BLOCKS if not block.why], ids=str)
def test_a_block_runs(block: Block, tmp_path: Path, provider: str) -> None:
    needs_model = "asyncio.run" in block.code and "model=" not in block.code
    if needs_model or "openai" in block.code:
        require("openai")
    if ".embed(" in block.code:
        require("embeddings")
    script = tmp_path / "snippet.py"
    script.write_text(block.code, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SUREFOOT_", "OPENAI_"))}
    environment |= {"OPENAI_API_KEY": "none", "OPENAI_BASE_URL": provider, "SUREFOOT_MODEL": "openai:m"}
    environment["PYTHONPATH"] = str(ROOT / "src")
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        cwd=tmp_path, env=environment, input="y\n" * 9, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    if block.page.name == "README.md" and needs_model:
        assert done.stdout.endswith("It is refunded.\n")


def test_every_block_that_does_not_run_says_why() -> None:
    assert [str(block) for block in BLOCKS if block.why.strip(" .") == "" and block.why] == []
    fences = {page: page.read_text(encoding="utf-8").count("\n```python") for page in PAGES}
    assert {page: len(list(blocks(page))) for page in PAGES} == fences


@pytest.mark.parametrize("page", [*PAGES, ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert [link for link in LINK.findall(text) if not (page.parent / link).exists()] == []
