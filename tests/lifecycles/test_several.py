"""Lives of several flows, of the objects they make and of what is done to them meanwhile, as lists of what happens.

A line is `<second> <what>`; see `tests.laws.several`. Every decision is held against every law.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.laws.several import NAMESPACE, TEMPLATE, Several, create, delete, edit, flow, step
from zenflow_testing.cluster import Cluster, Propagation
from zenflow_testing.errors import ApiError
from zenflow_testing.outcomes import Script, ScriptedEnding, ScriptedOutcomes

REPLACE = {"concurrencyPolicy": "Replace"}
ALLOW = {"concurrencyPolicy": "Allow"}


def steps(**endings: tuple[int, int]) -> ScriptedOutcomes:
    """Seconds and exit code of the first run of each step; all else succeeds after ten seconds."""
    return ScriptedOutcomes(
        Script(steps={name: (ScriptedEnding(timedelta(seconds=s), code),) for name, (s, code) in endings.items()})
    )


def answering(answer: Callable[[str, str, str, Any], ApiError | None]) -> Callable[[Cluster], None]:
    """What the operator's requests are answered instead of being done: (verb, kind, name, body)."""

    def do(cluster: Cluster) -> None:
        cluster.before_request = lambda verb, kind, _namespace, name, body: answer(verb, kind, name, body)

    return do


# --- concurrencyPolicy -----------------------------------------------------------------------------------------------


def test_forbid_lets_three_run_in_order() -> None:
    several = Several()
    for second, name in enumerate(("first", "second", "third")):
        several.at(second, create(flow(name)))
    several.play(until=60)
    assert several.story("first", "second", "third") == [
        "0 first Running FlowRunning",
        "0 first/a#1 runs",
        "1 second Pending SiblingActive",
        "2 third Pending SiblingActive",
        "10 first/a#1 Complete",
        "10 first Succeeded FlowSucceeded",
        "10 second Running FlowRunning",
        "10 second/a#1 runs",
        "20 second/a#1 Complete",
        "20 second Succeeded FlowSucceeded",
        "20 third Running FlowRunning",
        "20 third/a#1 runs",
        "30 third/a#1 Complete",
        "30 third Succeeded FlowSucceeded",
    ]


def test_one_that_waits_says_for_whom_and_starts_its_clock_when_its_turn_comes() -> None:
    several = Several().at(0, create(flow("first"))).at(1, create(flow("second", policy={"activeDeadlineSeconds": 10})))
    several.at(2, create(flow("third"))).play(until=5)
    for waiting in ("second", "third"):
        assert several.status(waiting)["holds"] == [{"reason": "SiblingActive", "flow": "first"}]
        assert "startTime" not in several.status(waiting)
    several.play(until=60)
    assert several.status("second")["startTime"] == "2026-01-01T00:00:10Z"
    assert several.status("second")["ended"]["at"] == "2026-01-01T00:00:20Z", "ten seconds after its start"


def test_a_flow_that_vanishes_from_the_line_holds_nobody_up() -> None:
    several = Several()
    for second, name in enumerate(("first", "second", "third")):
        several.at(second, create(flow(name)))
    several.at(5, delete("second")).play(until=60)
    assert several.story("second", "third") == [
        "1 second Pending SiblingActive",
        "2 third Pending SiblingActive",
        "5 second gone",
        "10 third Running FlowRunning",
        "10 third/a#1 runs",
        "20 third/a#1 Complete",
        "20 third Succeeded FlowSucceeded",
    ]


def test_groups_do_not_see_each_other() -> None:
    several = Several().at(0, create(flow("one"))).at(0, create(flow("other", policy={"concurrencyGroup": "h"})))
    several.play(until=5)
    assert several.story("one/a#1", "other/a#1") == ["0 one/a#1 runs", "0 other/a#1 runs"]


def test_one_that_changes_its_group_does_not_wait_any_more() -> None:
    several = Several().at(0, create(flow("first"))).at(1, create(flow("second"))).at(2, create(flow("third")))
    several.at(4, edit("second", executionPolicy={"concurrencyGroup": "h"})).play(until=5)
    assert several.story("second") == [
        "1 second Pending SiblingActive",
        "4 second Running FlowRunning",
        "4 second/a#1 runs",
    ]
    assert several.story("third") == ["2 third Pending SiblingActive"]


def test_allow_lets_all_run() -> None:
    several = Several()
    for name in ("first", "second"):
        several.at(0, create(flow(name, policy=ALLOW)))
    several.play(until=5)
    assert several.story("first/a#1", "second/a#1") == ["0 first/a#1 runs", "0 second/a#1 runs"]


def test_replace_starts_the_newest_only_when_the_old_jobs_are_gone() -> None:
    several = Several(grace=30).at(0, create(flow("old"))).at(3, create(flow("middle", policy=REPLACE)))
    several.at(5, create(flow("new", policy=REPLACE))).play(until=60)
    assert several.story("old", "middle", "new") == [
        "0 old Running FlowRunning",
        "0 old/a#1 runs",
        "3 middle Pending SiblingActive",
        "3 old Failed Replaced",
        "3 old/a#1 deleting",
        "5 new Pending SiblingActive",
        "5 middle Failed Replaced",
        "33 old/a#1 gone",
        "33 new Running FlowRunning",
        "33 new/a#1 runs",
        "43 new/a#1 Complete",
        "43 new Succeeded FlowSucceeded",
    ]


@pytest.mark.parametrize(
    "goes",
    [
        pytest.param({"policy": {"ttlSecondsAfterFinished": 0}}, id="by a TTL of 0"),
        pytest.param({}, id="by hand"),
    ],
)
def test_replace_waits_for_jobs_of_a_flow_that_is_gone_before_them(goes: dict[str, Any]) -> None:
    several = Several(grace=30).at(0, create(flow("old", **goes))).at(3, create(flow("new", policy=REPLACE)))
    if not goes:
        several.at(4, delete("old"))
    several.play(until=60)
    lines = several.story("old", "new")
    assert lines.index("33 old/a#1 gone") < lines.index("33 new Running FlowRunning")
    assert any(line.endswith("old gone") for line in lines[: lines.index("33 old/a#1 gone")])


@pytest.mark.parametrize(
    "newer",
    [
        pytest.param(flow("new", step("a", "nobody"), policy=REPLACE), id="an invalid spec"),
        pytest.param(flow("new", policy=REPLACE, retryOf={"name": "gone", "uid": "u"}), id="a retry of nothing"),
        pytest.param(flow("new", policy=REPLACE, shutdown="Stop"), id="one that is stopped from the start"),
    ],
)
def test_a_flow_that_never_runs_replaces_nobody(newer: dict[str, Any]) -> None:
    several = Several().at(0, create(flow("old"))).at(3, create(newer)).play(until=60)
    assert several.status("new")["phase"] == "Failed"
    assert several.status("old")["phase"] == "Succeeded"


def test_replaced_flows_still_clean_up_before_the_newest_starts() -> None:
    several = Several().at(0, create(flow("old", last=[step("clean")]))).at(3, create(flow("new", policy=REPLACE)))
    several.play(until=60)
    assert several.rows("old") == {"a": ("Failed", "FlowEnded"), "clean": ("Succeeded", "JobComplete")}
    lines = several.story("old/clean#1", "new")
    assert lines[-5:-2] == ["13 old/clean#1 Complete", "13 new Running FlowRunning", "13 new/a#1 runs"]


def test_of_two_flows_of_one_second_exactly_one_goes_first() -> None:
    """Whichever the operator looks at first: the smaller uid, unless the other has started."""
    for names in (("x", "y"), ("y", "x")):
        several = Several()
        several.cluster.preset_uid("JobFlow", "0000000f-0000-4000-8000-000000000000")
        several.cluster.preset_uid("JobFlow", "00000001-0000-4000-8000-000000000000")
        for name in names:
            several.at(0, create(flow(name)))
        several.play(until=60)
        larger, smaller = names
        phases = [line for line in several.story("x", "y") if "/" not in line]
        assert phases == [
            f"0 {larger} Pending SiblingActive",
            f"0 {smaller} Running FlowRunning",
            f"10 {smaller} Succeeded FlowSucceeded",
            f"10 {larger} Running FlowRunning",
            f"20 {larger} Succeeded FlowSucceeded",
        ]


# --- resourceTemplates -----------------------------------------------------------------------------------------------

CONFIG = {"configMapTemplates": [{"metadata": {"name": "conf"}, "data": {"k": "v"}}]}
CLAIM = {
    "volumeClaimTemplates": [
        {
            "metadata": {"name": "data"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        }
    ]
}
BOTH = {**CONFIG, **CLAIM}


def test_a_flows_objects_are_there_before_its_first_step() -> None:
    several = Several().at(0, create(flow("one", resourceTemplates=BOTH))).play(until=5)
    assert several.lines == [
        "0 one Running FlowRunning",
        "0 PersistentVolumeClaim one-data there",
        "0 ConfigMap one-conf there",
        "0 one/a#1 runs",
    ]
    made = several.status("one")["resourceRefs"]
    assert made == [{"kind": "PersistentVolumeClaim", "name": "data"}, {"kind": "ConfigMap", "name": "conf"}]


def test_an_object_that_somebody_deleted_is_not_made_again() -> None:
    several = Several().at(0, create(flow("one", step("a"), step("b", "a"), resourceTemplates=CONFIG)))
    several.at(5, lambda c: c.delete("ConfigMap", NAMESPACE, "one-conf", propagation=None, uid=None)).play(until=60)
    assert several.story("ConfigMap one-conf") == ["0 ConfigMap one-conf there", "5 ConfigMap one-conf gone"]
    assert several.status("one")["phase"] == "Succeeded"


def test_an_object_of_somebody_else_is_left_alone() -> None:
    theirs = {"metadata": {"name": "one-conf"}, "data": {"k": "theirs"}}
    several = Several().at(0, lambda c: c.create("ConfigMap", theirs, namespace=NAMESPACE))
    several.at(1, create(flow("one", last=[step("clean")], resourceTemplates=BOTH))).play(until=60)
    status = several.status("one")
    assert (status["phase"], status["ended"]["reason"]) == ("Failed", "ResourceNameTaken")
    assert several.cluster.get("ConfigMap", NAMESPACE, "one-conf")["data"] == {"k": "theirs"}
    assert several.story("ConfigMap one-conf") == ["0 ConfigMap one-conf there"]
    assert several.story("one/a", "one/a#1", "one/clean#1") == [], "nothing was set up, nothing is cleaned up"


def test_a_quota_that_is_full_is_asked_again() -> None:
    def full(verb: str, kind: str, _name: str, _body: Any) -> ApiError | None:
        if (verb, kind) == ("create", "PersistentVolumeClaim") and several.clock.now.second < 15:
            return ApiError(403, "Forbidden", message='persistentvolumeclaims "x" is forbidden: exceeded quota: q')
        return None

    several = Several()
    several.at(0, answering(full)).at(0, create(flow("one", resourceTemplates=CLAIM))).play(until=12)
    assert several.status("one")["holds"] == [
        {"reason": "ResourceRefusedUntil", "until": "2026-01-01T00:00:20Z", "resource": "PersistentVolumeClaim data"}
    ]
    several.play(until=60)
    assert several.lines == [
        "0 one Running FlowRunning",
        "20 PersistentVolumeClaim one-data there",
        "20 one/a#1 runs",
        "30 one/a#1 Complete",
        "30 one Succeeded FlowSucceeded",
    ]


def test_a_deadline_ends_a_flow_whose_objects_never_come() -> None:
    def full(verb: str, kind: str, _name: str, _body: Any) -> ApiError | None:
        return (
            ApiError(403, "Forbidden", message="exceeded quota") if kind == "ConfigMap" and verb == "create" else None
        )

    limited = flow("one", policy={"activeDeadlineSeconds": 25}, last=[step("z")], resourceTemplates=CONFIG)
    several = Several().at(0, answering(full)).at(0, create(limited)).play(until=100)
    assert several.story("one") == ["0 one Running FlowRunning", "25 one Failed ActiveDeadlineExceeded"]


def test_a_flow_that_is_over_at_once_makes_nothing() -> None:
    skipped = flow("one", step("a", when="false"), resourceTemplates=CONFIG)
    several = Several().at(0, create(skipped)).play(until=60)
    assert several.lines == ["0 one Succeeded FlowSucceeded"]


# --- retryOf ---------------------------------------------------------------------------------------------------------


def uid(several: Several, name: str) -> str:
    found: str = several.cluster.get("JobFlow", NAMESPACE, name)["metadata"]["uid"]
    return found


BUILD = step("build", outputs={"parameters": [{"name": "image", "valueFrom": {"jsonPath": "$.image"}}]})
DEPLOY = step(
    "deploy",
    "build",
    inputs={"parameters": [{"name": "image", "valueFrom": {"jsonPath": "build:$.image"}}]},
)
DEPLOY["template"] = {
    "spec": {
        "template": {
            "spec": {
                "restartPolicy": "Never",
                "containers": [{"name": "main", "image": "busybox", "args": ["{{.parameters.image}}"]}],
            }
        }
    }
}


def retried() -> Several:
    """A flow whose `deploy` fails after `build` gave an image, and its retry."""
    script = Script(
        steps={
            "build": (ScriptedEnding(timedelta(seconds=10), outputs={"image": "app:7"}),),
            "deploy": (ScriptedEnding(timedelta(seconds=10), 1),),
        }
    )
    several = Several(ScriptedOutcomes(script)).at(0, create(flow("app", BUILD, DEPLOY, last=[step("tell")])))
    several.play(until=40)
    several.world.close()
    assert several.status("app")["phase"] == "Failed"
    return several


def test_a_retry_takes_over_what_had_succeeded() -> None:
    several = retried()
    again = flow("app-retry-1", BUILD, DEPLOY, last=[step("tell")], retryOf={"name": "app", "uid": uid(several, "app")})
    several.at(50, create(again)).play(until=55)
    assert several.rows("app-retry-1")["build"] == ("Succeeded", "RetriedFrom")
    row = several.status("app-retry-1")["steps"][0]
    assert row["outputs"] == {"parameters": [{"name": "image", "value": "app:7"}]}
    (job,) = [j for j in several.cluster.list("Job", NAMESPACE).items if "app-retry-1" in j["metadata"]["name"]]
    assert job["spec"]["template"]["spec"]["containers"][0]["args"] == ["app:7"]
    assert several.rows("app-retry-1")["tell"][0] == "Pending", "finally runs again at the end"


def test_a_retry_whose_source_is_missing_fails() -> None:
    several = (
        Several().at(0, create(flow("one", last=[step("z")], retryOf={"name": "gone", "uid": "u"}))).play(until=60)
    )
    assert several.lines == ["0 one Pending NeedsOrigin", "0 one Failed RetrySourceMissing"]


def test_a_retry_of_a_name_that_is_another_flow_now_fails() -> None:
    several = Several().at(0, create(flow("app"))).at(20, create(flow("one", retryOf={"name": "app", "uid": "other"})))
    several.play(until=60)
    assert several.status("one")["ended"]["reason"] == "RetrySourceMissing"


# --- time ------------------------------------------------------------------------------------------------------------


def test_finally_has_its_own_deadline() -> None:
    limited = flow("one", policy={"finallyDeadlineSeconds": 5}, last=[step("clean"), step("tell", "clean")])
    several = Several().at(0, create(limited)).play(until=60)
    assert several.lines == [
        "0 one Running FlowRunning",
        "0 one/a#1 runs",
        "10 one/a#1 Complete",
        "10 one/clean#1 runs",
        "15 one Failed FlowFailed",
        "15 one/clean#1 deleting",
        "15 one/clean#1 gone",
    ]
    assert several.rows("one") == {
        "a": ("Succeeded", "JobComplete"),
        "clean": ("Failed", "FlowEnded"),
        "tell": ("Skipped", "FlowEnded"),
    }


@pytest.mark.parametrize(("ttl", "goes"), [pytest.param(0, 10, id="at once"), pytest.param(7, 17, id="after a time")])
def test_a_templates_own_ttl_deletes_its_job_once_the_result_is_recorded(ttl: int, goes: int) -> None:
    kept = {**BUILD, "template": {"spec": {**TEMPLATE["spec"], "ttlSecondsAfterFinished": ttl}}}
    several = Several().at(0, create(flow("one", kept, step("long"))))
    recorded_at: list[Any] = []

    def watch(cluster: Cluster) -> None:
        row = several.status("one").get("steps", [{}])[0]
        there = "one/build#1" in several.jobs()
        if not there and recorded_at == [] and row.get("jobRef"):
            recorded_at.append(row)

    several.watch = watch
    several.play(until=60)
    assert several.story("one/build#1")[-1] == f"{goes} one/build#1 gone"
    assert recorded_at[0]["outputs"]["parameters"][0]["name"] == "image"
    assert several.status("one")["phase"] == "Succeeded"


def test_a_ttl_of_0_meets_a_finalizer_of_somebody_else() -> None:
    held = flow("one", policy={"ttlSecondsAfterFinished": 0}, metadata={"finalizers": ["example.com/audit"]})
    requests: list[str] = []

    def count(verb: str, kind: str, _name: str, _body: Any) -> None:
        if (verb, kind) == ("delete", "JobFlow"):
            requests.append(kind)

    several = Several().at(0, answering(count)).at(0, create(held))
    several.at(60, lambda c: c.patch_merge("JobFlow", NAMESPACE, "one", {"metadata": {"finalizers": None}}))
    several.play(until=100)
    assert several.lines == [
        "0 one Running FlowRunning",
        "0 one/a#1 runs",
        "10 one/a#1 Complete",
        "10 one Succeeded FlowSucceeded",
        "10 one Succeeded FlowSucceeded deleting",
        "60 one gone",
        "61 one/a#1 gone",
    ]
    assert len(requests) == 1


# --- ends from outside -----------------------------------------------------------------------------------------------

CHAIN = (step("a"), step("b", "a"), step("c"))


@pytest.mark.parametrize("propagation", [Propagation.BACKGROUND, Propagation.FOREGROUND, Propagation.ORPHAN])
def test_nothing_is_created_for_a_flow_that_was_deleted(propagation: Propagation) -> None:
    several = Several(grace=5).at(0, create(flow("one", *CHAIN, last=[step("z")])))
    several.at(5, delete("one", propagation)).play(until=100)
    created = [line for line in several.lines if line.endswith(" runs")]
    assert created[:2] == ["0 one/a#1 runs", "0 one/c#1 runs"]
    assert all("/b#" not in line and "/z#" not in line for line in several.lines), several.lines
    assert (several.jobs() == []) is (propagation is not Propagation.ORPHAN)


def test_stop_runs_finally() -> None:
    several = Several(grace=5).at(0, create(flow("one", *CHAIN, last=[step("z")])))
    several.at(5, edit("one", shutdown="Stop")).play(until=60)
    assert several.rows("one") == {
        "a": ("Failed", "FlowEnded"),
        "b": ("Skipped", "FlowEnded"),
        "c": ("Failed", "FlowEnded"),
        "z": ("Succeeded", "JobComplete"),
    }
    assert several.status("one")["ended"]["reason"] == "Stopped"


def test_terminate_does_not() -> None:
    several = Several(grace=5).at(0, create(flow("one", *CHAIN, last=[step("z")])))
    several.at(5, edit("one", shutdown="Terminate")).play(until=60)
    assert several.rows("one")["z"] == ("Skipped", "FlowEnded")
    assert several.story("one") == [
        "0 one Running FlowRunning",
        "0 one/a#1 runs",
        "0 one/c#1 runs",
        "5 one Failed Terminated",
        "5 one/a#1 deleting",
        "5 one/c#1 deleting",
        "10 one/a#1 gone",
        "10 one/c#1 gone",
    ]


# --- edits -----------------------------------------------------------------------------------------------------------


def test_a_suspended_flow_starts_nothing_until_it_is_resumed() -> None:
    several = Several().at(0, create(flow("one", step("a"), step("b", "a"))))
    several.at(5, edit("one", suspend=True)).at(30, edit("one", suspend=False)).play(until=60)
    assert several.lines == [
        "0 one Running FlowRunning",
        "0 one/a#1 runs",
        "5 one Suspended Suspended",
        "10 one/a#1 Complete",
        "30 one Running FlowRunning",
        "30 one/b#1 runs",
        "40 one/b#1 Complete",
        "40 one Succeeded FlowSucceeded",
    ]


@pytest.mark.parametrize(
    ("deadline", "edited_to", "phase", "at"),
    [
        pytest.param(15, 60, "Succeeded", "20", id="a longer one gives it time"),
        pytest.param(60, 15, "Failed", "15", id="a shorter one takes it"),
        pytest.param(60, 3, "Failed", "5", id="one that is over ends it at once"),
        pytest.param(15, None, "Succeeded", "20", id="none is no deadline"),
    ],
)
def test_a_deadline_is_what_it_is_now(deadline: int, edited_to: int | None, phase: str, at: str) -> None:
    several = Several().at(
        0, create(flow("one", step("a"), step("b", "a"), policy={"activeDeadlineSeconds": deadline}))
    )
    several.at(5, edit("one", executionPolicy={"activeDeadlineSeconds": edited_to})).play(until=90)
    assert [line.split()[0] for line in several.story("one") if f" {phase} " in line] == [at]


def test_fewer_slots_stop_nothing_that_runs() -> None:
    """Jobs that run go on; the next starts when so many slots are free as there are now."""
    many = [step(name) for name in "abcdef"]
    several = Several(steps(a=(10, 0), b=(20, 0), c=(30, 0))).at(
        0, create(flow("one", *many, policy={"parallelism": 3}))
    )
    several.at(5, edit("one", executionPolicy={"parallelism": 1})).play(until=100)
    assert [line for line in several.lines if line.endswith(" runs")] == [
        "0 one/a#1 runs",
        "0 one/b#1 runs",
        "0 one/c#1 runs",
        "30 one/d#1 runs",
        "40 one/e#1 runs",
        "50 one/f#1 runs",
    ]


# --- a status that is too large --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "reason", "message"),
    [
        pytest.param(413, "RequestEntityTooLarge", "limit is 3145728", id="by the API server"),
        pytest.param(500, "InternalError", "etcdserver: request is too large", id="by etcd"),
    ],
)
def test_a_status_too_large_ends_the_flow(code: int, reason: str, message: str) -> None:
    """It is refused once; what is left has no rows, its Jobs are deleted, and its time goes on."""
    refused: list[int] = []

    def small(verb: str, kind: str, _name: str, body: Any) -> ApiError | None:
        if (verb, kind) == ("patch", "JobFlow/status") and len(str(body)) > 1500 and several.clock.now.second >= 10:
            refused.append(len(str(body)))
            return ApiError(code, reason, message=message)
        return None

    wide = [step(f"s{n}", *(["a"] if n else [])) for n in range(8)]
    wide[0]["name"] = "a"
    several = Several()
    several.at(0, answering(small)).at(0, create(flow("one", *wide, step("slow"), last=[step("z")]))).play(until=60)
    status = several.status("one")
    assert (status["phase"], status["ended"]["reason"]) == ("Failed", "StatusTooLarge")
    assert "steps" not in status
    assert len(refused) == 1
    several.play()
    assert several.lines[-1].endswith("gone")


# --- a process that dies ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("death", range(1, 9))
def test_a_death_between_making_an_object_and_noting_it_makes_no_second_one(death: int) -> None:
    """Nor does it take the first one for somebody else's."""
    several = Several(deaths={death}.__contains__)
    several.at(0, create(flow("one", step("a"), step("b", "a"), resourceTemplates=BOTH))).play(until=100)
    assert several.crashes == 1
    assert several.status("one")["phase"] == "Succeeded"
    for made in ("PersistentVolumeClaim one-data", "ConfigMap one-conf", "one/a#1", "one/b#1"):
        there = [line for line in several.story(made) if line.endswith((" there", " runs"))]
        assert len(there) == 1, several.lines


@pytest.mark.parametrize("death", range(1, 8))
def test_a_death_does_not_change_who_goes_first(death: int) -> None:
    several = Several(grace=30, deaths={death}.__contains__)
    several.at(0, create(flow("old"))).at(3, create(flow("new", policy=REPLACE))).at(4, create(flow("last")))
    several.play(until=200)
    assert several.crashes == 1
    phases = {name: several.status(name)["phase"] for name in ("old", "new", "last")}
    assert phases == {"old": "Failed", "new": "Succeeded", "last": "Succeeded"}
    starts = [line.split()[1] for line in several.lines if line.endswith("#1 runs")]
    assert starts == ["old/a#1", "new/a#1", "last/a#1"]


def test_a_fresh_process_that_lists_the_newest_first_still_waits_for_old_jobs() -> None:
    """It dies after the old one's end is recorded, before its Job is deleted; a list has the newer flow first."""
    several = Several(grace=30, deaths={5}.__contains__)
    several.at(0, create(flow("z-old"))).at(3, create(flow("a-new", policy=REPLACE))).play(until=100)
    assert several.crashes == 1
    assert several.story("z-old/a#1", "a-new")[-5:-2] == [
        "34 z-old/a#1 gone",
        "34 a-new Running FlowRunning",
        "34 a-new/a#1 runs",
    ]
