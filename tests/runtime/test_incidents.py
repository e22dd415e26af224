"""Dumps of an operator that runs: they decide the same again, are bounded, and have no Secret in them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from starlette.applications import Starlette

from tests.defects.lives import HANGS, fails, flow, retried, step, succeeds, template
from tests.runtime.stage import ALONE, Stage, going_on, play
from zenflow_core.dump import Dump, Unreplayable, read_dump, told
from zenflow_runtime.flows import Flow
from zenflow_runtime.incidents import Incidents
from zenflow_runtime.operator import Operator
from zenflow_runtime.web_dumps import PATH, DumpsFor, dump_route
from zenflow_testing.transport import Fault

SECRET = "hunter2-of-the-database"


def read(text: str) -> Dump:
    dump = read_dump(text.splitlines(keepends=True), file="dump")
    assert isinstance(dump, Dump), dump
    return dump


def assert_decides_the_same(dump: Dump) -> None:
    assert dump.steps
    for line, decision in dump.replay():
        assert json.loads(json.dumps(told(decision))) == line.decided, f"line {line.line}"


def watched(stage: Stage, incidents: Incidents) -> Operator:
    """An operator of that stage whose decisions are kept."""
    operator = stage.make(ALONE)
    laws = operator.worker._watcher
    assert laws is not None

    def both(*given: Any) -> None:
        incidents(*given)
        laws(*given)

    operator.worker._watcher = both
    operator.worker._witness = incidents.failed
    return operator


def run_through(stage: Stage, incidents: Incidents, then: Any = None) -> None:
    async def scene() -> None:
        async with going_on(stage) as on, anyio.create_task_group() as tasks:
            tasks.start_soon(watched(on, incidents).run)
            await on.until(then or on.over)
            tasks.cancel_scope.cancel()

    play(scene)


STORY = flow(
    step("build", retryPolicy=retried(2)),
    step("lint"),
    step(
        "use",
        "build",
        inputs={"parameters": [{"name": "p", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}]},
    ),
    step("last", "use", "lint"),
)


def story(**runs: Any) -> Stage:
    stage = Stage(STORY, runs={"build": [fails(), succeeds(20)], "lint": [succeeds(40)], **runs})
    stage.cluster.create("ConfigMap", {"metadata": {"name": "c"}, "data": {"k": "v"}}, namespace="default")
    return stage


def test_what_a_live_operator_kept_decides_the_same_again() -> None:
    incidents, stage = Incidents(), story()
    run_through(stage, incidents)
    dump = read(incidents.text("default", "flow"))
    assert dump.skipped == 0
    assert len(dump.steps) == len(stage.decisions)
    assert_decides_the_same(dump)
    assert [told(each) for each in stage.decisions] == [each.decided for each in dump.steps]


def test_it_decides_the_same_again_after_writes_that_were_refused() -> None:
    """A conflict drops the state: what follows is decided from the stored status."""
    incidents, stage = Incidents(), story()
    left = 3

    async def conflict(request: httpx2.Request) -> Fault | None:
        nonlocal left
        if request.method != "PATCH" or "/status" not in request.url.path or left == 0:
            return None
        left -= 1
        status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Conflict", "code": 409}
        return httpx2.Response(409, json=status)

    stage.fault = conflict
    run_through(stage, incidents)
    dump = read(incidents.text("default", "flow"))
    assert sum(each.everything for each in dump.steps) > 1
    assert_decides_the_same(dump)


class Measured(Incidents):
    """Looked at after each decision."""

    longest = 0

    def _keep(self, flow: Flow, *told: Any) -> None:
        super()._keep(flow, *told)
        self.longest = max(self.longest, *(kept.size for kept in self._kept.values()))
        assert self.size == sum(kept.tail.size for kept in self._kept.values())
        assert self.size <= max(self._limit, self.longest)


@pytest.mark.parametrize("limit", [3_000, 20_000])
def test_what_is_kept_of_all_flows_is_bounded(limit: int) -> None:
    stage = Stage(*(flow(step("a"), step("b", "a"), name=f"flow-{n}") for n in range(12)))
    incidents = Measured(limit=limit)
    run_through(stage, incidents)
    names = [f"flow-{n}" for n in range(12)]
    kept = [name for name in names if incidents.text("default", name)]
    assert 0 < len(kept) < 12
    assert incidents.longest > 0
    for name in kept:
        assert_decides_the_same(read(incidents.text("default", name)))
    assert incidents.text("default", "nobody") == ""


def test_a_flow_that_is_forgotten_begins_anew_and_can_be_replayed() -> None:
    incidents, stage = Incidents(limit=1), story()
    stage.submit(flow(step("x"), step("y", "x"), name="other"))
    run_through(stage, incidents)
    texts = [incidents.text("default", name) for name in ("flow", "other")]
    assert sum(bool(text) for text in texts) == 1
    assert_decides_the_same(read(next(text for text in texts if text)))


def test_values_of_secrets_are_never_in_a_dump() -> None:
    with_secret = flow(
        step(
            "use",
            inputs={
                "parameters": [{"name": "password", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}]
            },
            template=template(
                args=["--password={{.parameters.password}}"],
                env=[{"name": "P", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}],
            ),
        )
    )
    incidents, stage = Incidents(), Stage(with_secret)
    stage.cluster.create(
        "Secret", {"metadata": {"name": "db"}, "stringData": {"password": SECRET}}, namespace="default"
    )
    run_through(stage, incidents)
    text = incidents.text("default", "flow")
    assert "CreateJob" in text, "the Job that uses it is in there"
    assert "secretKeyRef" in text
    assert SECRET not in text
    assert stage.phase() == "Succeeded"


def test_a_bug_in_deciding_is_written_out_once_as_a_dump_that_fails_alike(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    incidents, stage = Incidents(), Stage(flow(step("a")))

    def broken(*_: Any, **__: Any) -> Any:
        raise KeyError("a law is broken")

    monkeypatch.setattr("zenflow_runtime.deciding.reconcile", broken)
    run_through(stage, incidents, then=lambda: stage.operators[0].metrics.violations._value.get() >= 3)
    monkeypatch.undo()
    err = capsys.readouterr().err
    dump = read(err)
    (line,) = dump.steps
    assert line.decided == {"failed": "KeyError: 'a law is broken'"}
    assert line.everything
    # Without the bug the very same is decided about.
    ((_, decision),) = tuple(dump.replay())
    assert decision.actions
    monkeypatch.setattr("zenflow_core.dump.replaying.reconcile", broken)
    with pytest.raises(Unreplayable, match="a law is broken"):
        tuple(dump.replay())


def test_trouble_with_a_dump_is_not_the_flows_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise TypeError("cannot be written")

    monkeypatch.setattr("zenflow_runtime.dumping.write_step", broken)
    incidents, stage = Incidents(), Stage(flow(step("a"), step("b", "a")))
    run_through(stage, incidents)
    assert stage.phase() == "Succeeded"
    assert (incidents.text("default", "flow"), incidents.size) == ("", 0)


# --- over HTTP -------------------------------------------------------------------------------------------------------


def kept() -> Incidents:
    incidents, stage = Incidents(), Stage(flow(step("a")), runs={"a": [HANGS]})
    run_through(stage, incidents, then=lambda: stage.jobs())
    return incidents


def fetched(
    incidents: Incidents,
    query: str,
    *,
    dumps_for: DumpsFor = DumpsFor.LOCAL,
    client: str = "127.0.0.1",
    headers: Mapping[str, str] | None = None,
    leads: bool = True,
) -> httpx2.Response:
    app = Starlette(routes=[dump_route(incidents, dumps_for, leads=lambda: leads)])

    async def ask() -> httpx2.Response:
        transport = httpx2.ASGITransport(app, client=(client, 1))
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost:8080") as http:
            return await http.get(f"{PATH}{query}", headers=headers)

    return anyio.run(ask)


THIS = "?namespace=default&flow=flow"


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        pytest.param({"query": THIS}, 200, id="from this machine"),
        pytest.param({"query": THIS, "client": "::1"}, 200, id="from this machine by IPv6"),
        pytest.param({"query": THIS, "client": "10.1.2.3"}, 403, id="from elsewhere"),
        pytest.param(
            {"query": THIS, "client": "10.1.2.3", "dumps_for": DumpsFor.ALL}, 200, id="from elsewhere, to all"
        ),
        pytest.param({"query": THIS, "headers": {"x-forwarded-for": "10.1.2.3"}}, 403, id="through a proxy"),
        pytest.param({"query": THIS, "headers": {"host": "evil.example"}}, 403, id="by a name bound to this machine"),
        pytest.param({"query": THIS, "headers": {"host": "[::1]:8080"}}, 200, id="by its address"),
        pytest.param({"query": ""}, 400, id="no flow named"),
        pytest.param({"query": "?namespace=default&flow=other"}, 404, id="another flow"),
        pytest.param({"query": THIS + "&uid=another"}, 404, id="an older flow of that name"),
    ],
)
def test_who_gets_a_dump(asked: dict[str, Any], code: int) -> None:
    answer = fetched(kept(), **asked)
    assert answer.status_code == code
    if code == 200:
        assert_decides_the_same(read(answer.text))


def test_a_replica_that_does_not_lead_says_who_to_ask() -> None:
    answer = fetched(Incidents(), THIS, leads=False)
    assert answer.status_code == 404
    assert "ask the replica that the Lease names" in answer.text


def test_a_file_of_it_can_be_explained(tmp_path: Path) -> None:
    from zenflow_runtime.cli import main

    file = tmp_path / "dump"
    file.write_text(fetched(kept(), THIS).text, encoding="utf-8")
    assert main(["explain", str(file), "a"]) == 0
