"""What every `Output` must do, as tests: inherit, and give fixtures named ``output`` and ``answer``, a text it accepts."""

from __future__ import annotations

import pytest

from surefoot.core import canonical
from surefoot.core.ports import Output

__all__ = ["Contract"]


class Contract:
    """The behaviour of the port."""

    def test_a_model_can_be_told(self, output: Output) -> None:
        """By a schema with an object at its top and a name, the same each time; or there is none, for plain text."""
        schema = output.schema
        if schema is None:
            return
        assert schema.name
        assert canonical.loads(canonical.dumps(schema.schema)) == schema.schema
        assert schema.schema.get("type") == "object" or "anyOf" in schema.schema or "$ref" in schema.schema
        again = output.schema
        assert again is not None
        assert again.schema == schema.schema

    def test_an_answer_becomes_canonical_once(self, output: Output, answer: str) -> None:
        """The stored text is read again as it is."""
        text = output.validate(answer)
        assert output.validate(text) == text
        text.encode()

    def test_a_stored_answer_is_a_value(self, output: Output, answer: str) -> None:
        """The same each time."""
        text = output.validate(answer)
        assert output.load(text) == output.load(text)

    @pytest.mark.parametrize(
        "text", ["", "{", "[" * 10_000, '{"no such field": NaN}', "\ud800"], ids=["none", "cut", "deep", "nan", "half"]
    )
    def test_what_does_not_fit_is_refused_in_words(self, output: Output, text: str) -> None:
        """Which a model can read; plain text takes any."""
        if output.schema is None:
            assert isinstance(output.validate(text), str)
            return
        with pytest.raises(ValueError, match=r"\S") as caught:
            output.validate(text)
        str(caught.value).encode()
