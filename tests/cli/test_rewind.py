"""`surefoot replay`, `surefoot fork` and `show --step`: what the model saw, and another way from there."""

from __future__ import annotations

from tests.cli.conftest import Surefoot


def test_a_step_is_shown_with_all_that_was_said(surefoot: Surefoot) -> None:
    surefoot("run", "clerk", "add", "--id", "k")
    shown = surefoot("show", "k", "--step", "1").out
    for part in ("step 1 · scripted:function · try 1", "tool add: Add two numbers.", "user text:\n  add",
                 'assistant call 0.0:\n  add({"a":17', "result of 0.0 add:\n  42.0", "reply · scripted:function",
                 "text:\n  Then: 42.0"):  # fmt: skip
        assert part in shown, part
    document = surefoot("show", "k", "--step", "0", "--format", "json").json
    assert (document["step"], document["seq"], document["reply"]["finish"]) == (0, 3, "tool_calls")
    assert [message["role"] for message in document["messages"]] == ["user"]
    assert surefoot("show", "k", "--step", "7").code == 2


def test_a_request_is_replayed_from_any_event(surefoot: Surefoot) -> None:
    surefoot("run", "clerk", "fail", "--id", "k")
    assert "the request failed: auth: the key is wrong" in surefoot("replay", "k").out
    assert surefoot("replay", "k", "--at", "1").code == 2
    surefoot("run", "clerk", "think about it", "--id", "t")
    assert "reasoning:\n  17 and 25\n  make 42" in surefoot("replay", "t").out
    assert "no reply" in surefoot("replay", "t", "--at", "3").out or "reply ·" in surefoot("replay", "t", "--at", "3").out
    document = surefoot("replay", "t", "--json").json
    assert list(document) == [
        "run", "seq", "time", "step", "attempt", "model", "instructions", "tools", "messages", "reply", "failure",
    ]  # fmt: skip


def test_hostile_text_is_shown_plainly(surefoot: Surefoot) -> None:
    surefoot("run", "clerk", "nasty-tool", "--id", "k")
    for command in (("replay", "k"), ("show", "k", "--step", "1"), ("replay", "k", "--json")):
        assert not {"\x1b", "\u202e", "\u200b", "\x07"} & set(surefoot(*command).out)


def test_a_fork_goes_on_in_another_way(surefoot: Surefoot) -> None:
    surefoot("run", "clerk", "add", "--id", "k")
    trace = surefoot("show", "k", "--format", "json").json
    said = surefoot("fork", "k", "--at", "1", "--edit", "think hard", "--json").json
    assert (said["output"], said["status"]) == ("Forty-two.", "done")
    again = surefoot("fork", "k", "--json").json
    assert again["output"] == "Then: 42.0"
    assert again["id"] != trace["id"]
    assert surefoot("fork", "k", "--at", "2", "--edit", "x").code == 2
    assert surefoot("fork", "k", "--model", "nowhere:none").code == 2
