"""Models by name: ``provider:model``, for the built-in providers and those of other packages.

`Models` is an application's own lookup; models of one provider share connections there. `model_from` and
`default_model` are for scripts that need one.

Another package registers a provider as an entry point in the group ``surefoot.models``: its name is the provider's, its
value a callable that takes the part after the colon (perhaps empty) and returns a `Model`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING

from surefoot.core.errors import ConfigurationError, UnknownProvider
from surefoot.core.ports import Embedder, Model
from surefoot.models.local_weights import installed, missing

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["GROUP", "KEYS", "VARIABLE", "Models", "chosen", "default_model", "model_from", "providers"]

#: The entry point group in which packages register providers.
GROUP = "surefoot.models"
#: The variable that names the model to use where none is named.
VARIABLE = "SUREFOOT_MODEL"

_Make = Callable[[str], Model]
_MakeEmbedder = Callable[[], Embedder]


def _openai(environ: Mapping[str, str], embedder: _MakeEmbedder | None) -> _Make:
    from surefoot.models.openai import provider

    return provider(environ)


def _anthropic(environ: Mapping[str, str], embedder: _MakeEmbedder | None) -> _Make:
    from surefoot.models.anthropic import provider

    return provider(environ)


def _gemini(environ: Mapping[str, str], embedder: _MakeEmbedder | None) -> _Make:
    from surefoot.models.gemini import provider

    return provider(environ)


def _local(environ: Mapping[str, str], embedder: _MakeEmbedder | None) -> _Make:
    from surefoot.models.local import provider

    return provider(environ, embedder)


#: Built-in providers: what makes models of one, given the environment and what makes the packaged embedder.
_BUILT_IN: Mapping[str, Callable[[Mapping[str, str], _MakeEmbedder | None], _Make]] = {
    "openai": _openai,
    "anthropic": _anthropic,
    "gemini": _gemini,
    "local": _local,
}
#: Whose key, where it is set, decides when no model is named; earlier ones win.
KEYS: tuple[tuple[str, str], ...] = (
    ("OPENAI_API_KEY", "openai"),
    ("ANTHROPIC_API_KEY", "anthropic"),
    ("GEMINI_API_KEY", "gemini"),
    ("GOOGLE_API_KEY", "gemini"),
)


class Models:
    """Looks models up by name and keeps them, so that one name is one model and one provider one connection pool.

    Args:
        environ: where keys and ``SUREFOOT_MODEL`` are read; by default the process's environment.
        embedder: makes what ``local:`` chooses tools with; without it, ``local:`` takes paths only.
    """

    def __init__(self, environ: Mapping[str, str] | None = None, embedder: _MakeEmbedder | None = None) -> None:
        self._environ = os.environ if environ is None else environ
        self._embedder = embedder
        self._makers: dict[str, _Make] = {}
        self._models: dict[str, Model] = {}

    def model(self, name: str) -> Model:
        """The model of a name, ``provider:model``; after ``provider`` alone, the provider's default.

        Raises:
            UnknownProvider: no such provider is built in or installed.
            MissingKey: the provider's key is not set.
            MissingExtra: the provider's package is not installed.
        """
        name = name.strip()
        if name not in self._models:
            provider, _, model = name.partition(":")
            self._models[name] = self._maker(provider, name)(model)
        return self._models[name]

    def embedder(self, name: str) -> Embedder:
        """A vendor's embedder, ``provider:name``. Raises ConfigurationError, MissingKey, MissingExtra."""
        from surefoot.models.embedders import embedder

        return embedder(name, self._environ)

    def default(self) -> Model:
        """The model to use where none is named: SUREFOOT_MODEL, else a provider whose key is set, else the embedded one.

        Raises:
            ConfigurationError: neither is set, and the embedded model is not installed; and what `model` raises.
        """
        name, _ = chosen(self._environ)
        if name:
            return self.model(name)
        *some, last = [key for key, _ in KEYS]
        keys = f"{', '.join(some)} or {last}"
        raise ConfigurationError(
            f"no model is named: give the agent one (Agent(…, model='provider:name')), set {VARIABLE}, or set {keys}. "
            f"Without any, an agent uses the embedded model, but {missing()}"
        )

    async def aclose(self) -> None:
        """Close the connections of every model that has any."""
        for model in self._models.values():
            close = getattr(model, "aclose", None)
            if close is not None:
                await close()

    def _maker(self, provider: str, name: str) -> _Make:
        if provider not in self._makers:
            if provider in _BUILT_IN:
                self._makers[provider] = _BUILT_IN[provider](self._environ, self._embedder)
            else:
                self._makers[provider] = _installed(provider, name)
        return self._makers[provider]


def chosen(environ: Mapping[str, str] | None = None) -> tuple[str, str]:
    """The name of the model to use where none is named, and the variable that says so.

    No variable says ``local``, which is left when it is installed; where it is not, both are empty.
    """
    env = os.environ if environ is None else environ
    if named := env.get(VARIABLE, "").strip():
        return named, VARIABLE
    for key, provider in KEYS:
        if env.get(key, "").strip():
            return provider, key
    return ("local", "") if installed(environ=env) is not None else ("", "")


def providers() -> list[str]:
    """The names of all providers, the built-in ones first."""
    from importlib.metadata import entry_points

    return [*_BUILT_IN, *sorted({entry.name for entry in entry_points(group=GROUP)} - set(_BUILT_IN))]


def model_from(name: str, environ: Mapping[str, str] | None = None) -> Model:
    """The model of a name, ``provider:model``. Raises what `Models.model` raises."""
    return Models(environ).model(name)


def default_model(environ: Mapping[str, str] | None = None) -> Model:
    """The model to use where none is named. Raises what `Models.default` raises."""
    return Models(environ).default()


def _checked(entry: EntryPoint) -> _Make:
    """What another package registered. Raises ConfigurationError when it cannot be loaded, and later for what is no model."""
    owner = entry.dist.name if entry.dist is not None else "a package"
    try:
        make = entry.load()
    except Exception as error:
        raise ConfigurationError(
            f"{owner} registers models {entry.name!r}, but {entry.value} cannot be loaded: {error}"
        ) from error

    def made(name: str) -> Model:
        model = make(name)
        if not isinstance(model, Model):
            raise ConfigurationError(f"{owner} gave {model!r:.100} for {entry.name}:{name}, which is no model; tell its author")
        return model

    return made


def _installed(provider: str, name: str) -> _Make:
    from importlib.metadata import entry_points

    found = {entry.name: entry for entry in entry_points(group=GROUP)}
    if provider in found:
        return _checked(found[provider])
    known = sorted({*_BUILT_IN, *found})
    near = get_close_matches(provider, known, n=1, cutoff=0.7)
    hint = f"did you mean {near[0]!r}?" if near else "a model is named 'provider:model'"
    raise UnknownProvider(f"no provider {provider!r} (model {name!r}): known are {', '.join(known)}; {hint}")
