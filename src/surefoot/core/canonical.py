"""Canonical JSON: one text for one value, so that what is stored, digested, shown and run is the same.

Keys are sorted by code point, integers have all their digits, floats their shortest form (`repr`), separators carry no
space, text is valid UTF-8 and not escaped beyond what JSON demands; NaN and infinities are refused.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, NoReturn

__all__ = ["blob_id", "digest", "dumps", "loads", "sound"]


_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_decode = json.JSONDecoder(parse_constant=_refuse).decode


def dumps(value: Any) -> str:  # noqa: ANN401  any JSON value
    """The canonical text of a JSON value. Raises ValueError for what JSON or UTF-8 cannot say."""
    try:
        text = _encode(value)
        if not text.isascii():
            text.encode()
    except UnicodeEncodeError:
        raise ValueError("text with a lone surrogate is not valid UTF-8") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except TypeError as error:
        raise ValueError(str(error)) from None
    return text


def loads(text: str | bytes) -> Any:  # noqa: ANN401  any JSON value
    """Parse JSON; NaN and infinities are refused. Raises ValueError."""
    try:
        # Made once, where `json.loads` makes one for each text.
        return _decode(text) if isinstance(text, str) else json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def digest(*parts: str) -> str:
    """SHA-256, as hex, of the parts; lengths are included, so no two different lists have one digest by shifting text."""
    sha = hashlib.sha256()
    for part in parts:
        data = part.encode(errors="surrogatepass")
        sha.update(b"%d:" % len(data))
        sha.update(data)
    return sha.hexdigest()


def blob_id(data: bytes) -> str:
    """What a blob is called: the SHA-256 of its bytes, as hex."""
    return hashlib.sha256(data).hexdigest()


def sound(text: str) -> str:
    """Text as UTF-8 can hold it: surrogates are joined to the character they mean, lone ones become U+FFFD."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
