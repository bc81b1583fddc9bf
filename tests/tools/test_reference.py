"""Every Python block of the reference page runs by itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "tools.md"
BLOCKS = re.findall(r"```python\n(.*?)\n```\n\n", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_a_block_runs(block: str) -> None:
    assert len(BLOCKS) == 7
    exec(compile(block, str(PAGE), "exec", dont_inherit=True), {"__name__": "__main__"})


def test_every_option_is_explained() -> None:
    from surefoot.tools.options import Options

    page = PAGE.read_text(encoding="utf-8")
    assert [name for name in Options.__annotations__ if f"`{name}`" not in page] == []
