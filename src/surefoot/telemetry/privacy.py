"""What may leave the process: every text passes a hook first, and what looks like a secret is masked.

A hook takes a text and gives the text that may leave; it is called for everything that a sink writes or sends. `mask` is the
usual one: it knows the forms of common tokens, the values of this process's variables whose names say that they are secret,
and whatever texts it is given.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

__all__ = ["MASKED", "Redact", "applied", "mask"]

#: A text in, the text that may leave out.
Redact = Callable[[str], str]

MASKED = "[masked]"

#: Shorter texts than this are no secrets: masking them would maul everything else.
_SHORTEST = 8
_SECRET_NAME = re.compile(r"(?:^|_)(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)(?:$|_)")
#: Common forms: keys with a prefix of their vendor, JSON Web Tokens (RFC 7519), bearer tokens (RFC 6750), private keys (PEM).
_FORMS = re.compile(
    r"\b(?:sk|pk|rk)[-_][A-Za-z0-9_-]{16,}|\bgh[pousr]_[A-Za-z0-9]{20,}|\bxox[abprs]-[A-Za-z0-9-]{10,}|\bAKIA[0-9A-Z]{16}\b"
    r"|\bAIza[0-9A-Za-z_-]{35}|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"
    r"|(?i:\bbearer\s+)[A-Za-z0-9._~+/-]{12,}=*|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.DOTALL,
)


def mask(secrets: Iterable[str] = (), environ: Mapping[str, str] | None = None) -> Redact:
    """A hook that masks these texts, this process's secret variables, and what has the form of a token or a key."""
    env = os.environ if environ is None else environ
    known = {*secrets, *[value for name, value in env.items() if _SECRET_NAME.search(name.upper())]}
    long = sorted({text for text in known if len(text) >= _SHORTEST}, key=len, reverse=True)
    # JSON inside a text holds the secret as JSON writes it.
    written = dict.fromkeys(form for text in long for form in (text, re.sub(r'(["\\])', r"\\\1", text)))
    exact = re.compile("|".join(map(re.escape, written))) if written else None

    def redact(text: str) -> str:
        if len(text) < _SHORTEST:
            return text
        if exact is not None:
            text = exact.sub(MASKED, text)
        return _FORMS.sub(MASKED, text)

    return redact


def applied(redact: Redact | None, value: Any) -> Any:  # noqa: ANN401  any JSON value
    """A value with every text in it passed through the hook, keys included."""
    if redact is None:
        return value
    match value:
        case str():
            return redact(value)
        case dict():
            return {applied(redact, key): applied(redact, inner) for key, inner in value.items()}
        case list() | tuple():
            return [applied(redact, inner) for inner in value]
        case _:
            return value
