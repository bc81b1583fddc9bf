"""Verdicts of Cedar rules: the order of strictness, demands, everything that can fail, and rules that stop a start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from surefoot.approvals import Lists, allow, ask, deny
from surefoot.approvals.layers import layers_of
from surefoot.approvals.policy import CedarPolicy
from surefoot.approvals.world import remarks
from surefoot.core.errors import ConfigurationError
from surefoot.core.judging import Judged
from surefoot.core.tool import FINAL_ANSWER, Rule, ToolSpec
from surefoot.core.values import Verdict
from surefoot.tools.function import tool


@tool(tags=["irreversible"])
def refund(order: str, cents: int, note: str | None = None) -> str:
    """Refund an order."""
    return ""


@tool(effect="read")
def look_up(order: str) -> str:
    """Look an order up."""
    return ""


@tool(effect="idempotent")
def embed(x: list[list[int | str]]) -> str:
    """Take what no rule can judge."""
    return ""


TOOLS = [refund.spec, look_up.spec, embed.spec]
SMALL = '@id("small") permit(principal, action == Action::"refund", resource) when { context.args.cents <= 5000 };'
BIG = '@id("big") @ask("approver") forbid(principal, action == Action::"refund", resource) when { context.args.cents > 5000 };'
REFUND = 'permit(principal, action == Action::"refund", resource) '
EVIL = '@id("evil") @reason("no") forbid(principal, action == Action::"refund", resource) when { context.args.order == "666" };'


def policy_of(*sources: Any) -> CedarPolicy:
    policy = CedarPolicy([layer for source in sources for layer in layers_of(source, "policy")])
    policy.admit(TOOLS)
    return policy


def judge(policy: CedarPolicy, cents: Any = 1, order: str = "81", spec: ToolSpec = refund.spec, **options: Any) -> Verdict:
    import json

    return policy.judge(Judged("0.0", json.dumps({"order": order, "cents": cents}), spec, "clerk", **options))


def test_where_no_rule_speaks_the_effect_decides() -> None:
    policy = policy_of(SMALL)
    assert (policy.settled(look_up.spec), policy.settled(embed.spec), policy.settled(refund.spec)) == ("allow", "allow", "")
    said = judge(policy, 6000)
    assert (said.verdict, said.rules, said.facts) == ("ask", ("effect:unsafe",), True)
    assert policy_of().settled(refund.spec) == "ask"
    assert judge(policy_of()).facts is False


def test_the_strictest_rule_wins() -> None:
    policy = policy_of(SMALL, BIG, EVIL)
    assert judge(policy, 5000) == Verdict("0.0", "allow", ("small",), facts=True)
    said = judge(policy, 5001)
    assert (said.verdict, said.rules, said.roles, said.quorums) == ("ask", ("big",), (("approver",),), (1,))
    said = judge(policy, 9999, "666")
    assert (said.verdict, said.rules, said.reason) == ("deny", ("evil",), "no")


@pytest.mark.parametrize("cents", [2**63, 1.5, None, "5", [], {"__entity": {"type": "Agent", "id": "a"}}])
def test_a_value_that_does_not_fit_never_allows_and_a_plain_forbid_is_still_heard(cents: Any) -> None:
    policy = policy_of(SMALL, EVIL)
    assert judge(policy, cents).verdict == "ask"
    assert judge(policy, cents, "666").verdict == "deny"


def test_an_error_in_a_forbid_asks_although_cedar_says_allow() -> None:
    overflow = 'forbid(principal, action == Action::"refund", resource) when { context.args.cents * 9223372036854775807 > 5 };'
    policy = policy_of('permit(principal, action == Action::"refund", resource);', overflow)
    said = judge(policy, 2)
    assert (said.verdict, said.rules) == ("ask", ("error",))
    assert "could not be evaluated" in said.reason
    assert judge(policy, 0).verdict == "allow"


def test_an_error_in_the_only_permit_asks_and_one_beside_a_question_is_told() -> None:
    overflow = 'permit(principal, action == Action::"refund", resource) when { context.args.cents * 9223372036854775807 > 5 };'
    assert judge(policy_of(overflow), 2).rules == ("error",)
    said = judge(policy_of(overflow, BIG), 6000)
    assert (said.rules, said.roles) == (("big", "error"), (("approver",),))


def test_demands_of_all_rules_are_to_be_met() -> None:
    first = '@id("a") @ask("approver, admin") @quorum("2") @expires("4h") @may_edit("cents, note") @reason("big")'
    second = '@id("b") @ask("legal") @distinct("true") @expires("30m") @may_edit("cents") @on_expiry("deny") @reason("late")'
    third = '@id("c") @ask @on_expiry("escalate:admin")'
    rule = ' forbid(principal, action == Action::"refund", resource);'
    said = judge(policy_of(first + rule, second + rule, third + rule))
    assert said.rules == ("a", "b", "c")
    assert set(zip(said.roles, said.quorums, strict=True)) == {(("approver", "admin"), 2), (("legal",), 1), ((), 1)}
    assert (said.quorum, said.distinct, said.expires, said.on_expiry) == (2, True, 1_800_000_000, "deny")
    assert (said.may_edit, said.reason) == (("cents",), "big; late")


def test_rules_without_conditions_settle_a_tool() -> None:
    ask_all = '@ask("a") forbid(principal, action in Action::"call", resource);'
    assert policy_of(ask_all).settled(look_up.spec) == "ask"
    assert judge(policy_of(ask_all)).roles == (("a",),)
    assert policy_of('forbid(principal, action == Action::"refund", resource);', SMALL).settled(refund.spec) == "deny"
    assert policy_of('permit(principal, action, resource == Tool::"refund");').settled(refund.spec) == "allow"
    assert policy_of('permit(principal == Agent::"clerk", action == Action::"refund", resource);').settled(refund.spec) == ""
    assert policy_of('permit(principal, action == Action::"refund", resource is Tool);').settled(refund.spec) == ""
    # Nothing looks at the arguments, so nothing can be amiss with them.
    assert policy_of('permit(principal, action == Action::"embed", resource);').settled(embed.spec) == "allow"


def test_rules_speak_of_agents_users_tags_and_groups() -> None:
    rules = """
    permit(principal == Agent::"clerk", action in Action::"tag:irreversible", resource) when { context.user == "dana" };
    @ask forbid(principal, action in [Action::"effect:unsafe", Action::"tag:nobody"], resource) when { context.tenant == "t" };
    forbid(principal, action in Action::"call", resource) when { context.tags.contains("irreversible") &&
    context.session == "s" };
    """
    policy = policy_of(rules)
    assert judge(policy, user="dana").verdict == "allow"
    assert judge(policy, user="dana", tenant="t").verdict == "ask"
    assert judge(policy, user="dana", tenant="t", session="s").verdict == "deny"
    assert policy.judge(Judged("0.0", "{}", look_up.spec, "clerk", session="s")).verdict == "allow"


def test_lists_are_shorthand() -> None:
    policy = policy_of(Lists(allow=("refund", "look_*"), ask=("re*",), deny=("emb*",)))
    assert [policy.settled(spec) for spec in TOOLS] == ["ask", "allow", "deny"]
    printed = policy.layers[0].printed(TOOLS)
    assert 'permit(principal, action == Action::"look_up", resource);' in printed
    assert policy_of(printed).settled(refund.spec) == "ask"
    with pytest.raises(ConfigurationError, match="must be a list"):
        Lists(allow="refund")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="must be a list"):
        Lists(ask=(1,))  # type: ignore[arg-type]


def test_a_tools_own_rules_are_shorthand_too() -> None:
    rules = [
        allow(when="context.args.cents <= 5000"),
        ask("approver", "admin", when="context.args.cents > 5000", quorum=2, distinct=True, expires="4h", on_expiry="fail",
            may_edit=["cents"], reason='more "than" usual\n'),
        deny(when='context.args.order == "666"', reason="no"),
    ]  # fmt: skip

    @tool(rules=rules)
    def refund(order: str, cents: int) -> str:
        return ""

    policy = policy_of()
    policy.admit([refund.spec])
    assert judge(policy, 5000, spec=refund.spec).verdict == "allow"
    said = judge(policy, 5001, spec=refund.spec)
    assert (said.roles, said.quorum, said.distinct, said.expires) == ((("approver", "admin"),), 2, True, 14_400_000_000)
    assert (said.on_expiry, said.may_edit, said.reason) == ("fail", ("cents",), 'more "than" usual\n')
    assert judge(policy, 1, "666", spec=refund.spec).reason == "no"
    assert judge(policy_of(BIG, EVIL), 1, spec=refund.spec).verdict == "allow"
    assert judge(policy_of("@ask forbid(principal, action, resource);"), 1, spec=refund.spec).verdict == "ask"
    for wrong in ("ask", [1], Rule):
        with pytest.raises(ConfigurationError, match="rules must be a list"):
            tool(name="t", rules=wrong)(lambda: None)  # type: ignore[arg-type]
    broken = tool(name="broken", rules=[allow(when="context.args.")])(lambda order: None)
    with pytest.raises(ConfigurationError, match="tool broken:1"):
        policy_of().admit([broken.spec])
    wrong_type = tool(name="wrong", rules=[allow(when="context.args.nothing > 1")])(lambda order: None)
    with pytest.raises(ConfigurationError, match=r"tool wrong:1: .*nothing.* not found"):
        policy_of().admit([wrong_type.spec])


def test_several_definitions_of_one_name_are_kept_apart() -> None:
    policy = CedarPolicy()
    specs = [ToolSpec("t", description=str(number), effect="unsafe" if number % 2 else "read") for number in range(40)]
    assert [policy.settled(spec) for spec in specs * 2] == ["allow", "ask"] * 40


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('\n\nforbid(principal, action == Action::"refnud", resource);', r"policy:3: there is no tool 'refnud'"),
        ('forbid(principal, action, resource == Tool::"x");', r"policy:1: there is no tool 'x'"),
        (REFUND + 'when { context.args.centz > 5 };', "centz` in context .* not found"),
        (REFUND + 'when { context.args.cents > "5" };', "expected Long but saw String"),
        (REFUND + 'when { context.args.note == "x" };', "optional attribute `args.note`"),
        ('permit(principal, action == Action::"embed", resource) when { context.args.x.isEmpty() };', "`args.x` in context"),
        ('permit(principal, action, resource) when { context.args.cents > 5 };', "`args.cents` in context"),
        ('permit(principal, action, resource) when { action == Action::"nope" };', "unrecognized action"),
        ('// a comment\n\npermit(principal, action resource);', r"policy:3: unexpected token `resource`"),
        ('permit(principal, action, resource);\n permit(principal, action, resource)', r"policy:2: unexpected end"),
        ('permit(principal, action, resource);\n "', r"policy:2: "),
        ('permit(principal == ?principal, action, resource);', "decides nothing"),
        ('@aks("x") forbid(principal, action, resource);', "no annotation @aks"),
        ('@quorum("2") forbid(principal, action, resource);', "add @ask"),
        ('@ask permit(principal, action, resource);', "stands before forbid"),
        ('@ask("a b") forbid(principal, action, resource);', "is no role"),
        ('@ask @quorum("0") forbid(principal, action, resource);', "from 1 to 100"),
        ('@ask @quorum("two") forbid(principal, action, resource);', "from 1 to 100"),
        ('@ask @distinct("yes") forbid(principal, action, resource);', '"true" or "false"'),
        ('@ask @expires("soon") forbid(principal, action, resource);', "is no time"),
        ('@ask @expires("0h") forbid(principal, action, resource);', "is no time"),
        ('@ask @on_expiry("allow") forbid(principal, action, resource);', "on_expiry is"),
        ('permit(principal, action == Action::"call", resource);', "write action in"),
        ('permit(principal, action == Action::"tag:irreversible", resource);', "write action in"),
        ('permit(principal, action == Action::"decide", resource) when { context.args.x };', "`args` .* not found"),
        (Lists(deny=("refnud",)), "no tool 'refnud'"),
        (Path("nowhere.cedar"), "cannot be read"),
        (5, "is no policy"),
        ([SMALL, 5], "is no policy"),
    ],
)  # fmt: skip
def test_rules_that_cannot_hold_stop_the_start(text: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        policy_of(text)


def test_more_than_one_fault_is_counted() -> None:
    with pytest.raises(ConfigurationError, match="and 1 more"):
        policy_of('forbid(principal, action == Action::"x", resource); forbid(principal, action == Action::"y", resource);')


@pytest.mark.parametrize("name", ["call", "answer", "decide", "effect:unsafe", "tag:x", "toolset:x"])
def test_a_tool_cannot_have_the_name_of_a_group(name: str) -> None:
    with pytest.raises(ConfigurationError, match="name of a group"):
        CedarPolicy().admit([ToolSpec(name)])


def test_rules_may_name_tools_of_other_agents() -> None:
    policy = CedarPolicy(layers_of(SMALL, "policy"))
    policy.admit([look_up.spec], ["refund"])
    with pytest.raises(ConfigurationError, match="no tool 'refund'"):
        policy.admit([look_up.spec])


def test_rules_of_answers_and_deciders_are_for_them_alone() -> None:
    rules = """
    @ask forbid(principal, action == Action::"answer", resource) when { context.args.text like "*refund*" };
    forbid(principal in Role::"intern", action == Action::"decide", resource) when { context.agent == "clerk" };
    permit(principal, action, resource);
    """
    policy = policy_of(rules)
    assert policy.judge(Judged("a", '{"text":"a refund"}', FINAL_ANSWER, "clerk")).verdict == "ask"
    assert policy.judge(Judged("a", '{"text":"hello"}', FINAL_ANSWER, "clerk")).verdict == "allow"
    assert policy.settled(refund.spec) == "allow"
    assert policy_of(SMALL).settled(FINAL_ANSWER) == "allow"


def test_files_and_folders_of_rules(tmp_path: Path) -> None:
    (tmp_path / "a.cedar").write_text(SMALL, encoding="utf-8")
    (tmp_path / "b.cedar").write_text("\n" + EVIL.replace('@id("evil")', ""), encoding="utf-8")
    policy = policy_of(tmp_path)
    assert judge(policy).verdict == "allow"
    assert judge(policy, 1, "666").rules == (f"{tmp_path / 'b.cedar'}:2",)
    assert policy.digest != policy_of(tmp_path / "a.cedar").digest
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ConfigurationError, match="no policy"):
        policy_of(empty)
    (tmp_path / "c.cedar").write_bytes(b"\xff")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        policy_of(tmp_path)


def test_a_verdict_can_be_explained() -> None:
    policy = policy_of(SMALL, BIG)
    explained = policy.explain(Judged("0.0", '{"order":"81","cents":6000}', refund.spec, "clerk", user="dana"))
    assert [rule.name for rule in explained.scope] == ["small", "big"]
    assert [rule.name for rule in explained.held] == ["big"]
    assert explained.context["args"] == {"order": "81", "cents": 6000}
    assert (explained.context["user"], explained.context["cost"], explained.errors) == ("dana", 0, ())
    settled = policy.explain(Judged("0.0", "{}", look_up.spec, "clerk"))
    assert (settled.verdict.verdict, settled.scope) == ("allow", ())


def test_what_can_never_matter_is_remarked_on() -> None:
    rules = """forbid(principal, action in Action::"tag:nobody", resource);
    forbid(principal, action == Action::"refund", resource) when { context.args has nothing && context.args.nothing == 1 };
    forbid(principal, action == Action::"decide", resource);
    forbid(principal, action, resource) when { [context.user].contains("x") };
    """
    policy = policy_of(rules, Lists(ask=("re*", "x*")))
    assert list(remarks(policy.layers, TOOLS)) == [
        "policy:1: its scope matches no tool",
        'policy:2: no tool in its scope has the argument "nothing"',
        "policy: 'x*' matches no tool",
    ]
