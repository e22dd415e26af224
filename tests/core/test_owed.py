"""What the cluster lacks or should lose, read off a record and what is seen of its Jobs."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from tests.core.builders import (
    TEMPLATE,
    WAITING,
    Around,
    Before,
    at,
    claim,
    ended,
    flow,
    gone,
    job,
    pending,
    refused,
    running,
    view,
)
from tests.core.test_totality import sightings
from zenflow_core.actions import Action, CreateClaim, CreateConfigMap, CreateJob, DeleteJob, NudgeJob
from zenflow_core.observation import Made, Sightings
from zenflow_core.owed import ensured, ensured_resources, holds_slot, owes_nothing, released
from zenflow_core.placeholders import compile_template
from zenflow_core.plan import ConfigMapKey, KeyRead, PlannedInput, ResourceKind, ResourceRef
from zenflow_core.reasons import Stopped
from zenflow_core.spec import StepName
from zenflow_core.state import StepPhase, StepRecord
from zenflow_core.transitions import TERMINAL
from zenflow_core.views import FlowView, StepView

RUNNING = StepRecord(phase=StepPhase.RUNNING)
BUILD = StepName("build")


def runs(seen: Sightings, **rest: Any) -> StepView:
    return running("10:00:00", now="10:00:30", seen=seen, template=compile_template(TEMPLATE), **rest)


def words(actions: tuple[Action, ...]) -> list[str]:
    return [type(action).__name__ for action in actions]


@pytest.mark.parametrize(
    ("shown", "then"),
    [
        pytest.param(runs(()), ["CreateJob"], id="a running attempt without a Job owes one"),
        pytest.param(runs((job(),)), [], id="one with a Job owes none"),
        pytest.param(runs((gone(1, "10:00:20"),)), [], id="one whose Job is gone owes none: it is lost"),
        pytest.param(runs((refused(1, "09:59:59"),)), ["CreateJob"], id="a refusal from before it began is old"),
        pytest.param(runs((refused(1, "10:00:00"),)), [], id="a refusal of this very create is an answer"),
        pytest.param(runs((job(1, failed="09:59:00"),), attempt=2), ["CreateJob"], id="another attempt's Job is none"),
        pytest.param(runs((), around=Around(deleting="10:00:29")), [], id="a flow that is going makes nothing"),
        pytest.param(runs((job(nudge=True),)), ["NudgeJob"], id="a Job that is done is nudged"),
        pytest.param(runs((job(nudge=True, deleting=True),)), [], id="not while it is being deleted"),
        pytest.param(runs((job(nudge=True, complete="10:00:20"),)), [], id="nor once it is over"),
        pytest.param(
            runs((job(nudge=True),), around=Around(deleting="10:00:29")), [], id="nor in a flow that is going"
        ),
        pytest.param(pending(template=compile_template(TEMPLATE)), [], id="a step that waits owes nothing"),
        pytest.param(view(ended(StepPhase.SUCCEEDED), now="10:00:30"), [], id="one that is over owes nothing"),
        pytest.param(
            runs((), inputs=(PlannedInput("a", KeyRead(ConfigMapKey("c", "k"))),)),
            [],
            id="one whose inputs have to be read again waits for them",
        ),
    ],
)
def test_what_is_ensured(shown: StepView, then: list[str]) -> None:
    assert words(ensured(shown)) == then


def test_the_job_that_is_created_and_the_one_that_is_nudged() -> None:
    (create,) = ensured(runs((), attempt=2))
    assert isinstance(create, CreateJob)
    assert (create.step, create.attempt, create.name) == (BUILD, 2, create.body["metadata"]["name"])
    assert ensured(runs((job(nudge=True),))) == (NudgeJob(BUILD, 1, "nightly-build", "uid-1"),)


def delete(attempt: int) -> DeleteJob:
    return DeleteJob(BUILD, attempt, "nightly-build", f"uid-{attempt}")


def over(*seen: Any, around: Around | None = None) -> StepView:
    return view(ended(StepPhase.FAILED), now="10:01:00", seen=seen, around=around)


@pytest.mark.parametrize(
    ("shown", "then"),
    [
        pytest.param(runs((job(),)), (), id="the running attempt's Job is wanted"),
        pytest.param(runs((job(1), job(2)), attempt=2), (delete(1),), id="that of an attempt before it is not"),
        pytest.param(runs((job(1), job(2))), (delete(2),), id="nor that of one after it"),
        pytest.param(runs((job(1, deleting=True), job(2)), attempt=2), (), id="one that is being deleted already"),
        pytest.param(runs((job(1, failed="09:59:00"), job(2)), attempt=2), (), id="one that is over is let be"),
        pytest.param(pending(attempt=1, seen=job(1)), (delete(1),), id="a step that waits for its retry wants none"),
        pytest.param(over(job()), (delete(1),), id="a step that is over wants no running Job"),
        pytest.param(over(job(failed="10:00:00")), (), id="and lets a finished one be"),
        pytest.param(over(job(failed="10:00:00", kept="10:01:01")), (), id="until its own time is over"),
        pytest.param(over(job(failed="10:00:00", kept="10:01:00")), (delete(1),), id="then it goes"),
        pytest.param(over(job(failed="10:00:00", kept="10:01:00", deleting=True)), (), id="once"),
        pytest.param(
            runs((job(1, failed="09:00:00", kept="09:01:00"), job(2)), attempt=2),
            (),
            id="a failed attempt's Job is kept as long as the step runs",
        ),
        pytest.param(over(gone(1, "10:00:00"), refused(2)), (), id="what is not there is not deleted"),
        pytest.param(over(job(), around=Around(deleting="10:00:29")), (delete(1),), id="nor kept by one that is going"),
        pytest.param(
            over(job(), around=Around(deleting="10:00:29", orphaning=True)), (), id="unless its Jobs are to outlive it"
        ),
    ],
)
def test_what_is_released(shown: StepView, then: tuple[DeleteJob, ...]) -> None:
    assert released(shown) == then


@pytest.mark.parametrize(
    ("record", "seen", "holds"),
    [
        pytest.param(RUNNING, (), True, id="a running step holds a slot before its Job is seen"),
        pytest.param(WAITING, (), False, id="a waiting one does not"),
        pytest.param(WAITING, (job(),), True, id="unless a Job of it may still have Pods"),
        pytest.param(ended(StepPhase.FAILED), (job(deleting=True),), True, id="a Job that is being deleted may have"),
        pytest.param(ended(StepPhase.FAILED), (job(failed="10:00:00"),), False, id="one that is over has none"),
        pytest.param(ended(StepPhase.FAILED), (gone(1, "10:00:00"),), False, id="nor has one that is gone"),
        pytest.param(WAITING, (refused(1),), False, id="nor one that was refused"),
        pytest.param(WAITING, (job(1, failed="10:00:00"), job(2)), True, id="one of several will do"),
    ],
)
def test_what_holds_a_slot(record: StepRecord, seen: Sightings, holds: bool) -> None:
    assert holds_slot(record, seen) is holds


@given(st.sampled_from(StepPhase), st.integers(0, 3), sightings())
def test_the_glance_never_overlooks_what_is_owed(phase: StepPhase, attempt: int, seen: Sightings) -> None:
    """`owes_nothing` spares the look at most steps; it may only say so where the look would find nothing."""
    over = at("10:05:00") if phase in TERMINAL else None
    record = StepRecord(phase=phase, attempt=attempt, started_at=at("10:00:00"), finished_at=over)
    shown = view(record, now="10:20:00", seen=seen, template=compile_template(TEMPLATE))
    assert not owes_nothing(record, seen) or (ensured(shown), released(shown)) == ((), ())


@pytest.mark.parametrize(
    ("record", "seen", "nothing"),
    [
        pytest.param(WAITING, (), True, id="nothing is there and nothing is wanted"),
        pytest.param(RUNNING, (), False, id="a Job is wanted"),
        pytest.param(StepRecord(phase=StepPhase.RUNNING, attempt=1), (job(),), True, id="it is there"),
        pytest.param(
            StepRecord(phase=StepPhase.RUNNING, attempt=1), (job(nudge=True),), False, id="it is to be nudged"
        ),
        pytest.param(ended(StepPhase.SUCCEEDED), (job(complete="10:00:00"),), True, id="it is over, as the step is"),
        pytest.param(
            ended(StepPhase.SUCCEEDED), (job(1, failed="09:58:00"), job(2)), False, id="of two Jobs one may be too many"
        ),
    ],
)
def test_the_glance_spares_the_usual_case(record: StepRecord, seen: Sightings, nothing: bool) -> None:
    assert owes_nothing(record, seen) is nothing


CLAIMS: dict[str, Any] = {"resources": ("data", "cache")}


@pytest.mark.parametrize(
    ("shown", "names"),
    [
        pytest.param(flow("10:00:30", **CLAIMS), ["nightly-data", "nightly-cache"], id="what is missing is made"),
        pytest.param(flow("10:00:30"), [], id="nothing is asked for"),
        pytest.param(flow("10:00:30", made=("data",), **CLAIMS), ["nightly-cache"], id="what was made once is not"),
        pytest.param(
            flow("10:00:30", sightings={claim("data"): Made("u")}, **CLAIMS), ["nightly-cache"], id="nor what is there"
        ),
        pytest.param(flow("10:00:30", started=None, **CLAIMS), [], id="not before the flow has started"),
        pytest.param(flow("10:00:30", ended=Stopped(at("10:00:20")), **CLAIMS), [], id="not once it was ended"),
        pytest.param(flow("10:00:30", completed="10:00:20", **CLAIMS), [], id="not once it is over"),
        pytest.param(flow("10:00:30", deleting="10:00:20", **CLAIMS), [], id="not once it is going"),
        pytest.param(
            flow("10:00:30", sightings={claim("data"): refused(1, "10:00:21")}, **CLAIMS),
            ["nightly-cache"],
            id="a refused one waits",
        ),
        pytest.param(
            flow("10:00:30", sightings={claim("data"): refused(1, "10:00:20")}, **CLAIMS),
            ["nightly-data", "nightly-cache"],
            id="and is sent again at its time",
        ),
        pytest.param(
            flow(
                "11:00:00",
                sightings={claim("data"): refused(1, code=403, causes=("NamespaceTerminating",))},
                **CLAIMS,
            ),
            ["nightly-cache"],
            id="in a namespace that is going never",
        ),
    ],
)
def test_what_resources_are_made(shown: FlowView, names: list[str]) -> None:
    made = ensured_resources(shown)
    assert [action.name for action in made] == names
    assert all(isinstance(action, CreateClaim) for action in made)


def test_each_kind_of_resource_is_made_by_its_own_action() -> None:
    settings = ResourceRef(ResourceKind.CONFIG_MAP, "settings")
    shown = flow("10:00:30", resources=("data",))
    planned = {**shown.plan.resources, settings: {"metadata": {"name": "settings"}, "data": {"level": "high"}}}
    made = ensured_resources(evolve(shown, plan=evolve(shown.plan, resources=planned)))
    assert [(type(action), action.ref, action.name, action.body["kind"]) for action in made] == [
        (CreateClaim, claim("data"), "nightly-data", "PersistentVolumeClaim"),
        (CreateConfigMap, settings, "nightly-settings", "ConfigMap"),
    ]


def test_a_running_step_behind_others_is_created_as_any_other() -> None:
    before = (Before("test", ended(StepPhase.SUCCEEDED)),)
    assert words(ensured(runs((), before=before))) == ["CreateJob"]
