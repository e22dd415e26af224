"""The verbs on a cluster: the cluster in memory behind a socket, with a real operator, in real time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from tests.cli.conftest import USER, Begin, Zenflow, whoami
from tests.defects.lives import HANGS, fails, flow, manual, retried, step, succeeds, template
from zenflow_core.names import approval_key, approver_key, rejection_key
from zenflow_runtime.cli.retrying import next_name
from zenflow_testing.transport import Fault

LOG = "testing.kube-zen.io/log"
APPROVED = flow(step("build"), manual("gate", "build"), step("ship", "gate"))


# --- seeing ----------------------------------------------------------------------------------------------------------


def test_list_shows_each_flow_with_its_phase_and_what_it_needs(begin: Begin) -> None:
    other = {**flow(step("a"), name="other"), "metadata": {"name": "other", "labels": {"team": "data"}}}
    on = begin(APPROVED, other, build=[succeeds(0)], a=[succeeds(0)])
    on.reached("Paused")
    on.reached("Succeeded", "other")
    lines = on("list").out.splitlines()
    assert lines[0].split() == ["NAME", "PHASE", "STEPS", "AGE", "DURATION", "MESSAGE"]
    rows = {line.split()[0]: line for line in lines[1:]}
    assert rows["flow"].split()[1:3] == ["Paused", "1/3"]
    assert rows["flow"].endswith("needs an approval: gate")
    assert rows["other"].split()[1:3] == ["Succeeded", "1/1"]
    assert on("list", "--running", "-o", "name").out == "jobflow.workflow.kube-zen.io/flow\n"
    assert on("list", "--completed", "-o", "name").out == "jobflow.workflow.kube-zen.io/other\n"
    assert on("list", "--failed", "-o", "name").out == ""
    assert on("list", "-l", "team=data", "-o", "name").out == "jobflow.workflow.kube-zen.io/other\n"
    assert len(json.loads(on("list", "-A", "-o", "json").out)["items"]) == 2
    assert on("list", "-A").out.splitlines()[0].split()[0] == "NAMESPACE"
    assert "FAILED" in on("list", "-o", "wide").out
    nothing = on("list", "-n", "elsewhere")
    assert (nothing.code, nothing.out, nothing.err) == (0, "", "namespace 'elsewhere' has no JobFlow\n")
    assert len(on("list", "--since", "1h", "-o", "name").out.splitlines()) == 2
    assert on("list", "--since", "0s", "-o", "name").out.count("\n") < 2
    assert on("list", "--since", "soon").code == 2


def test_get_shows_states_attempts_reasons_and_the_longest_chain(begin: Begin) -> None:
    on = begin(
        flow(step("build", retryPolicy=retried(1, 1)), manual("gate", "build"), step("ship", "gate"), step("bad")),
        build=[fails(0), succeeds(0)],
        bad=[fails(0, 3)],
    )
    on.eventually(lambda: on.stage.status().get("steps") and on.stage.phases()["bad"] == "Failed")
    on.eventually(lambda: on.stage.phases()["build"] in ("Succeeded", "Failed"))
    on.reached("Failed")
    ran = on("get", "flow")
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert lines[0].startswith("flow  Failed  4/4 steps over")
    (bad,) = (line for line in lines if "─ ✘ bad" in line)
    assert "BackoffLimitExceeded" in bad
    assert any("⊘ ship" in line for line in lines)
    assert yaml.safe_load(on("get", "flow", "-o", "yaml").out)["status"]["phase"] == "Failed"
    assert json.loads(on("get", "@latest", "-o", "json").out)["kind"] == "JobFlow"
    assert on("get", "flow", "-o", "name").out == "jobflow.workflow.kube-zen.io/flow\n"
    page = on("get", "flow", "-o", "html").out
    assert page.startswith("<!doctype html>")
    assert "cluster x" in page
    assert "flow-bad-" in on("get", "flow", "-o", "wide").out


def test_of_a_flow_that_goes_on_get_says_what_is_awaited(begin: Begin) -> None:
    on = begin(APPROVED, build=[succeeds(0)])
    on.reached("Paused")
    text = on("get", "flow").out
    assert "flow  Paused  1/3 steps over" in text
    assert "◌ gate" in text
    assert "waits for gate" in text
    assert "│  " not in text.splitlines()[0]


def test_a_flow_that_no_operator_has_seen_is_said(begin: Begin) -> None:
    on = begin(APPROVED, operated=False)
    assert "no operator has looked at it yet" in on("get", "flow").out
    explained = on("explain", "flow", "ship")
    assert explained.out.startswith("ship is Pending")
    assert "an operator would move now: build Pending→Running" in explained.err


def test_steps_that_stand_alike_are_one_line_and_wide_has_them_all(begin: Begin) -> None:
    on = begin(flow(*(step(f"shard-{number}") for number in range(9))), operated=False)
    assert "shard-0 … shard-8 (9 steps)" in on("get", "flow").out
    assert on("get", "flow", "-o", "wide").out.count("shard-") == 9


def test_watch_prints_a_line_a_move_and_ends_with_the_result(begin: Begin) -> None:
    on = begin(flow(step("a"), step("b", "a")), a=[succeeds(1)], b=[succeeds(0)])
    ran = on("watch", "flow")
    assert ran.code == 0
    said = [line.split("  ", 1)[1] for line in ran.out.splitlines()]
    assert "✔ Succeeded  a" in said
    assert "✔ Succeeded  b" in said
    assert said[-1].startswith("» Succeeded  flow flow in ")
    assert said.index("✔ Succeeded  a") < said.index("✔ Succeeded  b")
    assert len(said) == len(set(said))


def test_watch_of_a_flow_that_fails_ends_with_1(begin: Begin) -> None:
    assert begin(flow(step("a")), a=[fails(0)])("watch", "flow").code == 1


def test_watch_goes_on_after_the_connection_was_lost(begin: Begin) -> None:
    broken: list[str] = []

    async def breaks(request: httpx2.Request) -> Fault | None:
        if "watch=true" in str(request.url) and len(broken) < 1:
            broken.append(request.url.path)
            return httpx2.Response(503, json={"kind": "Status", "code": 503, "message": "no leader now"})
        return None

    on = begin(flow(step("a")), a=[succeeds(2)], fault=breaks)
    ran = on("watch", "flow")
    assert (ran.code, len(broken)) == (0, 1)
    assert "connection lost, trying again: no leader now" in ran.err


def test_watch_of_a_flow_that_is_deleted_ends_with_4(begin: Begin) -> None:
    on = begin(flow(step("a")), a=[HANGS])
    on.eventually(on.stage.jobs)
    command = [sys.executable, "-c", "import sys; from zenflow_runtime.cli import main; sys.exit(main())"]
    with subprocess.Popen([*command, "watch", "flow"], stderr=subprocess.PIPE, stdout=subprocess.PIPE) as watching:
        assert watching.stdout is not None
        assert watching.stdout.readline()
        assert on("delete", "flow").code == 0
        _, err = watching.communicate(timeout=20)
    assert watching.returncode == 4
    assert b"flow flow was deleted before it had ended" in err


def test_logs_are_those_of_the_step_or_of_all_with_their_names(begin: Begin) -> None:
    def says(text: str) -> Any:
        found = template()
        found["spec"]["template"].setdefault("metadata", {})["annotations"] = {LOG: text}
        return found

    on = begin(
        flow(step("a", template=says("one\ntwo\n")), step("b", "a", template=says("three"))),
        a=[succeeds(0)],
        b=[succeeds(0)],
    )
    on.reached("Succeeded")
    assert on("logs", "flow", "a").out == "one\ntwo\n"
    assert on("logs", "flow", "a", "--tail", "1").out == "two\n"
    assert on("logs", "flow").out == "a | one\na | two\nb | three\n"
    assert on("logs", "flow", "b", "-f").out == "three\n"
    assert sorted(on("logs", "flow", "-f").out.splitlines()) == ["a | one", "a | two", "b | three"]
    for arguments, says_so in (
        (("b", "--attempt", "2"), "there are Pods of: 1"),
        (("b", "-c", "mian"), "did you mean 'main'?"),
        (("c",), "name one of: a, b"),
    ):
        ran = on("logs", "flow", *arguments)
        assert (ran.code, ran.out) == (4, "")
        assert says_so in ran.err


def test_wait_answers_with_the_result_or_the_timeout(begin: Begin) -> None:
    on = begin(APPROVED, flow(step("a"), name="bad"), build=[succeeds(0)], a=[fails(0)])
    assert on("wait", "flow", "--for", "approval", "--timeout", "20s").code == 0
    timed_out = on("wait", "flow", "--timeout", "1s")
    assert timed_out.code == 3
    assert "1s are over, and flow flow is Paused" in timed_out.err
    assert on("wait", "bad").code == 1
    assert on("wait", "bad", "--for", "failed").code == 0
    assert on("wait", "bad", "--for", "succeeded").code == 1
    assert on("wait", "flow", "--timeout", "later").code == 2


# --- acting ----------------------------------------------------------------------------------------------------------


def test_approve_lets_the_flow_go_on_and_names_who_did(begin: Begin) -> None:
    on = begin(APPROVED, build=[succeeds(0)], ship=[succeeds(0)])
    on.reached("Paused")
    ran = on("approve", "flow")
    assert (ran.code, ran.out) == (0, f"approved gate of flow as {USER}\n")
    assert on.annotations() == {approval_key("gate"): "true", approver_key("gate"): USER}
    assert on("wait", "flow", "--timeout", "20s").code == 0
    again = on("approve", "flow", "gate")
    assert (again.code, "is over (Succeeded)" in again.err) == (1, True)


def test_reject_fails_the_step_with_the_reason(begin: Begin) -> None:
    on = begin(APPROVED, build=[succeeds(0)])
    assert on("reject", "flow", "gate", "-m", "not today").code == 0
    assert on.annotations()[rejection_key("gate")] == "not today"
    on.reached("Failed")
    assert "not today" in on("get", "flow").out


def test_the_last_answer_counts_where_nobody_has_read_the_first(begin: Begin) -> None:
    on = begin(APPROVED, operated=False)
    assert on("approve", "flow", "gate").out.endswith("; it counts once the step is reached\n")
    assert on("reject", "flow", "gate").code == 0
    assert set(on.annotations()) == {rejection_key("gate"), approver_key("gate")}


def test_an_approval_that_the_policy_denies_is_one_sentence(begin: Begin) -> None:
    async def denies(request: httpx2.Request) -> Fault | None:
        if request.method != "PATCH":
            return await whoami(request)
        message = "ValidatingAdmissionPolicy 'zenflow-approval' denied request: ada needs the verb approve"
        return httpx2.Response(403, json={"kind": "Status", "code": 403, "reason": "Forbidden", "message": message})

    ran = begin(APPROVED, operated=False, fault=denies)("approve", "flow", "gate")
    assert (ran.code, ran.out) == (5, "")
    assert ran.err.startswith("zenflow: you may not approve or reject steps of flow: ")
    assert "  fix: ask whoever runs the cluster for the role zenflow-approve" in ran.err
    assert ran.err.count("\n") == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(("gaet",), "did you mean 'gate'?", id="misspelt"),
        pytest.param(("build",), "is a Job: it needs no approval", id="no approval"),
        pytest.param((), "name the step to decide in advance: gate", id="nothing asks"),
    ],
)
def test_a_step_that_cannot_be_approved_is_said(begin: Begin, arguments: tuple[str, ...], says: str) -> None:
    ran = begin(APPROVED, operated=False)("approve", "flow", *arguments)
    assert (ran.code, says in ran.err) == (4, True), ran.err


def test_suspend_resume_and_stop(begin: Begin) -> None:
    on = begin(flow(step("a"), step("b", "a"), name="flow"), a=[HANGS])
    on.eventually(on.stage.jobs)
    assert on("suspend", "flow").code == 0
    on.reached("Suspended")
    assert on("suspend", "flow").out == "flow flow is suspended already\n"
    assert on("resume", "flow").out == "flow flow goes on\n"
    on.reached("Running")
    assert on("resume", "flow").out == "flow flow is not suspended\n"
    assert "its `finally` steps run" in on("stop", "flow").out
    on.reached("Failed")
    for verb in ("suspend", "resume", "stop", "terminate"):
        ran = on(verb, "flow")
        assert (ran.code, "is over already (Failed)" in ran.err) == (1, True)


def test_terminate_ends_it_at_once(begin: Begin) -> None:
    on = begin(flow(step("a")), a=[HANGS])
    on.eventually(on.stage.jobs)
    assert on("terminate", "flow").code == 0
    assert on("wait", "flow", "--timeout", "20s").code == 1
    assert on.stage.flow()["spec"]["shutdown"] == "Terminate"


def test_a_definition_that_drops_a_field_is_said(begin: Begin) -> None:
    async def drops(request: httpx2.Request) -> Fault | None:
        if request.method != "PATCH":
            return None
        return httpx2.Response(200, json={"metadata": {"name": "flow"}, "spec": {}})

    ran = begin(flow(step("a")), operated=False, fault=drops)("suspend", "flow")
    assert ran.code == 5
    assert "does not know spec.suspend: it is older than this zenflow" in ran.err


def test_retry_takes_over_what_has_succeeded(begin: Begin) -> None:
    on = begin(flow(step("a"), step("b", "a")), a=[succeeds(0), fails(0)], b=[fails(0), succeeds(0)])
    assert on("wait", "flow", "--timeout", "20s").code == 1
    ran = on("retry", "flow")
    assert (ran.code, ran.out) == (0, "flow flow-retry-1 begins with the 1 step that has succeeded in flow\n")
    new = on.stage.flow("flow-retry-1")
    assert new["spec"]["retryOf"] == {"name": "flow", "uid": on.stage.flow()["metadata"]["uid"]}
    assert new["spec"]["executionPolicy"]["concurrencyGroup"] == "flow"
    on.eventually(lambda: on.stage.status("flow-retry-1").get("completionTime"))
    assert on.stage.reasons("flow-retry-1")["a"] == "RetriedFrom"
    assert next_name(dict(new), ["flow-retry-1"]) == "flow-retry-2"
    assert on("retry", "flow", "-o", "name").out == "jobflow.workflow.kube-zen.io/flow-retry-2\n"


def test_what_cannot_be_retried_is_said(begin: Begin) -> None:
    claims = [{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}]
    owns = flow(step("a"), name="owns")
    owns["spec"]["resourceTemplates"] = {"volumeClaimTemplates": claims}
    owns["status"] = {}
    on = begin(flow(step("a")), owns, operated=False)
    assert on("retry", "flow").code == 1
    over = {"status": {"phase": "Failed", "completionTime": "2026-01-01T00:00:00Z"}}
    on.stage.cluster.patch_merge("JobFlow", "default", "owns", over, subresource="status")
    ran = on("retry", "owns")
    assert (ran.code, "has volumes of its own" in ran.err) == (5, True)


def test_delete_waits_until_the_flow_is_gone(begin: Begin) -> None:
    on = begin(flow(step("a")), flow(step("a"), name="two"), a=[HANGS])
    ran = on("delete", "flow", "tow", "two")
    assert (ran.code, ran.out) == (4, "flow flow is deleted\nflow two is deleted\n")
    assert "did you mean 'two'?" in ran.err
    assert not on.stage.all("JobFlow")
    assert on("delete").code == 2


# --- run -------------------------------------------------------------------------------------------------------------


def test_run_creates_the_flow_and_its_exit_code_is_the_result(begin: Begin) -> None:
    on = begin(a=[succeeds(0), fails(0)])
    Path("flow.yaml").write_text(yaml.safe_dump(flow(step("a"))), encoding="utf-8")
    ran = on("run", "flow.yaml")
    assert ran.code == 0, ran.err
    assert ran.out.splitlines()[0] == "jobflow.workflow.kube-zen.io/flow created in namespace default"
    assert "» Succeeded  flow flow in " in ran.out
    taken = on("run", "flow.yaml")
    assert taken.code == 5
    assert "has a flow 'flow' already" in taken.err
    Path("other.yaml").write_text(yaml.safe_dump(flow(step("a"), name="other")), encoding="utf-8")
    assert on("run", "other.yaml", "-o", "name").out == "jobflow.workflow.kube-zen.io/other\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("run", "flow.yaml", "--keep"), "--keep is for runs on this machine"),
        (("run", "flow.yaml", "-o", "html"), "-o html is for runs on this machine"),
        (("run", "flow.yaml", "--local", "-o", "name"), "-o name is for runs on a cluster"),
        (("run", "flow.yaml", "-n", "b"), "says namespace 'a', and -n 'b'"),
        (("run", "gone.yaml"), "cannot read gone.yaml"),
    ],
)
def test_what_cannot_be_run_is_said(zenflow: Zenflow, arguments: tuple[str, ...], says: str) -> None:
    manifest = flow(step("a"))
    manifest["metadata"]["namespace"] = "a"
    Path("flow.yaml").write_text(yaml.safe_dump(manifest), encoding="utf-8")
    ran = zenflow(*arguments)
    assert (ran.code, says in ran.err) == (2, True), ran.err
