"""Questions over HTTP: who authenticated decides, once."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.components import require

require("server")

from surefoot.core import events as ev  # noqa: E402
from surefoot.core.agent import Agent  # noqa: E402
from surefoot.testing.models import FunctionModel  # noqa: E402
from surefoot.tools.function import tool  # noqa: E402
from tests.flows.kit import of_kind  # noqa: E402
from tests.server.service import Service, serving  # noqa: E402


async def asked(service: Service) -> dict[str, Any]:
    """Start a run that asks; its question."""
    answer = await service.client(await service.token("admin")).post(
        "/api/runs", json={"agent": "clerk", "input": "refund it", "wait": 4}
    )
    question: dict[str, Any] = answer.json()["waiting"][0]
    return question


async def test_a_question_is_listed_looked_at_and_decided() -> None:
    async with serving() as service:
        question = await asked(service)
        client = service.client(await service.token("approver", "dana"))
        assert (await client.get("/api/approvals")).json() == [question]
        assert (await client.get("/api/approvals", params={"tool": "other"})).json() == []
        assert (await client.get(f"/api/approvals/{question['id']}")).json() == question
        answer = await client.post(f"/api/approvals/{question['id']}/decision", json={"decision": "approve", "reason": "fine"})
        assert answer.status_code == 200
        async with asyncio.timeout(4):
            run = await service.app.wait(question["run"])
        assert run.output == "Done: refunded 6200 cents on order 81"
        (decided,) = await of_kind(service.app, run, ev.ApprovalDecided)
        assert (decided.by, decided.reason) == ("dana", "fine")
        assert decided.how.startswith("token ")
        assert (await client.get("/api/approvals")).json() == []
        assert (await client.get(f"/api/approvals/{question['id']}")).status_code == 404


async def test_the_second_decision_is_a_conflict() -> None:
    async with serving() as service:
        question = await asked(service)
        clients = [service.client(await service.token("approver", f"dana {number}")) for number in range(4)]
        path, body = f"/api/approvals/{question['id']}/decision", {"decision": "deny", "reason": "no"}
        answers = await asyncio.gather(*[client.post(path, json=body) for client in clients])
        assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
        late = next(answer for answer in answers if answer.status_code == 409)
        assert "settled already: deny" in late.json()["detail"]


async def test_only_who_may_decide_decides() -> None:
    async with serving() as service:
        question = await asked(service)
        for role in ("viewer", "operator"):
            client = service.client(await service.token(role))
            answer = await client.post(f"/api/approvals/{question['id']}/decision", json={"decision": "approve"})
            assert answer.status_code == 403
            assert "may not decide" in answer.json()["detail"]
        run = await service.app.get(question["run"])
        assert [one.id for one in run.waiting] == [question["id"]]


async def test_a_decision_that_does_not_answer_the_question_is_refused() -> None:
    async with serving() as service:
        question = await asked(service)
        client = service.client(await service.token("approver"))
        path = f"/api/approvals/{question['id']}/decision"
        assert (await client.post(path, json={"decision": "done"})).status_code == 403
        assert (await client.post(path, json={"decision": "perhaps"})).status_code == 422
        assert (await client.post(path, json={"decision": "approve", "by": "somebody else"})).status_code == 422


async def test_an_edit_an_answer_and_a_question_back() -> None:
    async with serving() as service:
        client = service.client(await service.token("approver", "dana"))
        edited, answered, returned = [await asked(service) for _ in range(3)]
        wrong = {"decision": "approve", "edit": {"cents": "many"}}
        assert (await client.post(f"/api/approvals/{edited['id']}/decision", json=wrong)).status_code == 422
        assert (
            await client.post(f"/api/approvals/{edited['id']}/decision", json={"decision": "deny", "edit": {}})
        ).status_code == 422
        for question, said in (
            (edited, {"decision": "approve", "edit": {"cents": 100}}),
            (answered, {"decision": "answer", "result": "done by hand"}),
            (returned, {"decision": "ask", "reason": "which account?"}),
        ):
            answer = await client.post(f"/api/approvals/{question['id']}/decision", json=said)
            assert answer.status_code == 200, answer.text
        async with asyncio.timeout(4):
            ended = [await service.app.wait(question["run"]) for question in (edited, answered, returned)]
        assert ended[0].output.endswith("refunded 100 cents on order 81")
        assert "done by hand" in ended[1].output
        assert "which account?" in ended[2].output


async def test_who_settles_an_unknown_outcome_is_known_by_their_token() -> None:
    @tool
    def wire() -> str:
        """Send money; whether it was sent is not known."""
        raise OSError("the line broke")

    def play(request: Any) -> Any:
        last = request.messages[-1]
        return f"Done: {last.parts[-1].text}" if last.role == "tool" else ("wire", {})

    async with serving(agents=(Agent("clerk", model=FunctionModel(play), tools=[wire]),)) as service:
        run = await service.app.run("clerk", "pay")
        await service.app.decide(run.waiting[0], approve=True)
        run = await service.app.wait(run)
        question = run.waiting[0]
        assert question.kind == "outcome"
        client = service.client(await service.token("approver", "dana"))
        answer = await client.post(f"/api/approvals/{question.id}/decision", json={"decision": "done", "result": "it was sent"})
        assert answer.status_code == 200
        assert (await service.app.wait(run)).output == "Done: it was sent"
        last = (await of_kind(service.app, run, ev.ApprovalDecided))[-1]
        assert last.by == "dana"
        assert last.how.startswith("token ")
