"""What a conversation writes of a run whose text streamed before it was whole."""

from __future__ import annotations

import pytest

from surefoot.cli.chat_calls import Calls
from surefoot.cli.chat_screen import ChatScreen
from surefoot.cli.chat_watch import Watch
from surefoot.core import events as ev
from surefoot.core.messages import Text
from surefoot.core.model import Delta


@pytest.mark.parametrize(
    ("pieces", "text", "shown"),
    [
        (("It is ", "done."), "It is done.", "It is done.\n"),
        ((), "It is done.", "It is done.\n"),
        (("It is ",), "It is done.", "It is done.\n"),
        (("\n It is ", "done. "), "It is done.", "\n It is done.\n"),
        (("The card is 4111.",), "The card is ….", "The card is 4111.\nThe card is ….\n"),
    ],
    ids=["streamed", "not streamed", "joined late", "blanks around it", "another text"],
)
def test_a_text_is_shown_once(capsys: pytest.CaptureFixture[str], pieces: tuple[str, ...], text: str, shown: str) -> None:
    watch = Watch(ChatScreen(), Calls(), stream=True, run="r1")
    for piece in pieces:
        watch.item(Delta("text", piece))
    watch.item(ev.Record(1, "r1", 1, 1, 0, ev.ModelReplied(0, (Text(text),))))
    assert capsys.readouterr().out == shown
    assert watch.said == text
