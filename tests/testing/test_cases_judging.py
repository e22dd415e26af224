"""Each assertion of a case file: once where it holds, once where it does not, with the words for that."""

from __future__ import annotations

import pytest

from zenflow_testing.cases.format import CaseFile, read_case
from zenflow_testing.cases.runner import Failure, run_case

CASE = """
id: sample
flow:
  apiVersion: workflow.kube-zen.io/v1alpha1
  kind: JobFlow
  metadata: {{name: sample, annotations: {{team.io/name: data}}}}
  spec:
    executionPolicy: {{ttlSecondsAfterFinished: 1000}}
    steps:
    - name: build
      retryPolicy: {{limit: 2, backoff: {{type: Fixed, duration: 10s}}}}
      template: &job
        spec:
          template:
            spec:
              restartPolicy: Never
              containers: [{{name: main, image: "busybox:1.36", command: [sh, -c, work]}}]
    - {{name: gate, type: Manual, dependencies: [build]}}
    - name: slow
      timeoutSeconds: 70
      template: *job
history:
{history}
until: 100
expect:
- {expect}
"""

HISTORY = """\
- {at: 5, event: JobStarted, step: build}
- {at: 5, event: JobStarted, step: slow}
- {at: 10, event: JobFailed, step: build, attempt: 1, exitCode: 3}
- {at: 30, event: JobComplete, step: build, attempt: 2}
- {at: 60, event: OperatorCrash, instance: a}
- {at: 65, event: OperatorStart, instance: a}"""


def play(expect: str, history: str = HISTORY) -> tuple[Failure, ...]:
    loaded = read_case(CASE.format(history=history, expect=expect), file="sample.case.yaml")
    assert isinstance(loaded, CaseFile), "\n".join(map(str, loaded))
    return run_case(loaded, file="sample.case.yaml").failures


HOLDS = [
    "{at: 9, flow: Running, steps: {build: Running, gate: Pending}}",
    "{at: 40, flow: [Running, Paused], steps: {build: [Succeeded], gate: PendingApproval}}",
    "{at: 15, retryCount: {build: 0}, wakeBy: 20}",
    "{end: true, retryCount: {build: 1}, message: {slow: 'timed out'}}",
    "{end: true, creates: {build: 2, slow: {min: 1}}, createsTotal: 3, createRequests: {build: {min: 2, max: 2}}}",
    "{end: true, created: [{step: build, attempt: 2, from: 20, to: 20, tol: 0}, {step: build, attempt: 1, to: 0}]}",
    "{end: true, created: [{step: build, from: 22, to: 30}]}",
    "{end: true, deletedByEngine: [{step: slow, attempt: 1, from: 70, to: 70, tol: 0}]}",
    "{at: 50, jobsPresent: {build: 2, slow: 1}, activeJobs: 1}",
    "{end: true, jobsPresent: {slow: 0}, activeJobs: 0}",
    "{end: true, jobSpecUntouched: [{step: build}, {step: slow}], distinctNames: true, running: [a]}",
    "{end: true, flowExists: true, flowReason: [AwaitsApproval, FlowFailed]}",
    "{end: true, flowField: [{path: 'metadata.annotations[\"team.io/name\"]', equals: data}]}",
    "{end: true, flowField: [{path: spec.x, absent: true}, {path: spec.steps, present: true}]}",
    "{end: true, jobField: [{step: build, attempt: 1, path: metadata.name, maxLength: 63, matches: '^sample-build-'}]}",
    "{end: true, jobField: [{step: build, path: 'metadata.ownerReferences[0].uid', equals: $flow.uid, present: true}]}",
    "{end: true, jobField: [{step: build, path: spec.backoffLimit, equals: 0}]}",
    "{end: true, requests: {verb: update, kind: JobFlow/status, max: 9, seconds: 100}}",
    "{end: true, requests: {verb: create, kind: Job, max: 0, seconds: 50}}",
    "{end: true, objectBytesMax: 5000, admission: accepted}",
    "{end: true, never: {flow: [Succeeded], steps: {gate: [Succeeded]}}}",
    "{end: true, never: {activeJobsAbove: 2, createDuring: [[0, 20], [20, 99]]}}",
    "{end: true, anyOf: [{flow: Succeeded}, {steps: {build: Succeeded}}]}",
    "{end: true, policy: {siblings: stop}, flow: Succeeded}",
    "{end: true, policy: {edit: frozen}, creates: {build: 77}}",
]


@pytest.mark.parametrize("expect", HOLDS)
def test_what_holds_passes(expect: str) -> None:
    assert play(expect) == ()


FAILS = [
    ("{at: 9, flow: Succeeded}", "expect[0].flow", "it is Running (FlowRunning)"),
    ("{at: 9, steps: {gate: [Running, Succeeded]}}", "expect[0].steps.gate", "it is Pending"),
    ("{at: 9, steps: {bild: Running}}", "expect[0].steps.bild", "it is no step of this flow"),
    ("{end: true, retryCount: {build: 2}}", "expect[0].retryCount.build", "it has 1"),
    ("{end: true, message: {slow: refused}}", "expect[0].message.slow", "timed out at 2026-01-01T00:01:10Z"),
    ("{end: true, creates: {build: 1}}", "expect[0].creates.build", "2 were"),
    ("{end: true, creates: {build: {min: 3}}}", "expect[0].creates.build", "2 were"),
    ("{end: true, createRequests: {build: {max: 1}}}", "expect[0].createRequests.build", "2 were"),
    ("{end: true, createsTotal: 4}", "expect[0].createsTotal", "3 were: build 2, slow 1"),
    ("{end: true, created: [{step: build, attempt: 2, from: 23, to: 30}]}", "expect[0].created[0]", "it was at 20 s"),
    ("{end: true, created: [{step: build, attempt: 2, to: 19, tol: 0}]}", "expect[0].created[0]", "it was at 20 s"),
    (
        "{end: true, created: [{step: build, attempt: 3}]}",
        "expect[0].created[0]",
        "it was not; 2 Jobs of this step were",
    ),
    ("{end: true, deletedByEngine: [{step: build, attempt: 1}]}", "expect[0].deletedByEngine[0]", "it never did"),
    ("{end: true, deletedByEngine: [{step: slow, from: 80}]}", "expect[0].deletedByEngine[0]", "it did at 70 s"),
    ("{end: true, jobsPresent: {slow: 1}}", "expect[0].jobsPresent.slow", "0 are"),
    ("{at: 50, activeJobs: 0}", "expect[0].activeJobs", "1 are: slow (attempt 1)"),
    ("{end: true, flowExists: false}", "expect[0].flowExists", "it is there, and not marked deleted"),
    ("{end: true, flowReason: [Replaced]}", "expect[0].flowReason", "reasons are "),
    ("{end: true, flowField: [{path: metadata.name, equals: other}]}", "expect[0].flowField[0]", 'it is "sample"'),
    ("{end: true, flowField: [{path: metadata.generation, equals: '1'}]}", "expect[0].flowField[0]", "it is 1"),
    ("{end: true, flowField: [{path: metadata.nam, present: true}]}", "expect[0].flowField[0]", "it is not there"),
    ("{end: true, flowField: [{path: metadata.name, absent: true}]}", "expect[0].flowField[0]", 'it is "sample"'),
    (
        "{end: true, jobField: [{step: build, path: metadata.name, maxLength: 5}]}",
        "expect[0].jobField[0]",
        "characters)",
    ),
    (
        "{end: true, jobField: [{step: build, path: metadata.name, matches: '^x'}]}",
        "expect[0].jobField[0]",
        "sample-build",
    ),
    (
        "{end: true, jobField: [{step: gate, path: spec, present: true}]}",
        "expect[0].jobField[0]",
        "it was never created",
    ),
    ("{end: true, untouched: [{step: build}]}", "expect[0].untouched[0]", "the engine never sent that create"),
    ("{at: 15, wakeBy: 17}", "expect[0].wakeBy", "it has asked for 20 s"),
    ("{end: true, requests: {verb: create, kind: Job, max: 2, seconds: 101}}", "expect[0].requests", "3 were sent"),
    ("{end: true, objectBytesMax: 300}", "expect[0].objectBytesMax", "it has "),
    ("{end: true, admission: rejected}", "expect[0].admission", "it was accepted"),
    ("{end: true, running: [b]}", "expect[0].running[0]", "it was never started"),
    ("{end: true, never: {flow: [Paused]}}", "expect[0].never.flow", "it was at 30 s"),
    ("{end: true, never: {steps: {slow: [Failed]}}}", "expect[0].never.steps.slow", "it was at 70 s"),
    ("{end: true, never: {activeJobsAbove: 1}}", "expect[0].never.activeJobsAbove", "2 at 0 s, 2 at the most"),
    ("{end: true, never: {createDuring: [[19, 21]]}}", "expect[0].never.createDuring[0]", "attempt 2 of step build"),
    ("{end: true, anyOf: [{flow: Succeeded}, {createsTotal: 9}]}", "expect[0].anyOf", "it is Failed"),
    ("{end: true, policy: {siblings: drain}, createsTotal: 9}", "expect[0].createsTotal", "3 were"),
    ("{end: true, of: other, flow: Running}", "expect[0].flow", "it is not there"),
]


@pytest.mark.parametrize(("expect", "path", "found"), FAILS, ids=[expect for expect, _, _ in FAILS])
def test_what_does_not_hold_is_told(expect: str, path: str, found: str) -> None:
    (failure, *_) = play(expect)
    assert failure.path == path
    assert found in failure.found
    assert str(failure.position).startswith("sample.case.yaml:3")


IMPOSSIBLE = [
    ("- {at: 5, event: JobComplete, step: gate}", "never created: a Job of step gate"),
    ("- {at: 5, event: JobComplete, step: build, attempt: 2}", "never created: attempt 2 of step build"),
    ("- {at: 5, event: JobDeleted, step: build}\n- {at: 6, event: JobComplete, step: build, attempt: 1}", "gone: "),
    ("- {at: 5, event: JobComplete, steps: 'x*'}", "no step of flow sample matches x*"),
    ("- {at: 5, event: OperatorCrash, instance: c}", "there is no process c"),
    ("- {at: 5, event: FlowDeleted, flow: other}", "404"),
    ("- {at: 5, event: PodGone, step: build}", "has no Pod p0"),
    ("- {at: 5, event: JobUpdated, step: build, jsonPatch: [{op: remove, path: /spec/template}]}", "422"),
]


@pytest.mark.parametrize(("history", "found"), IMPOSSIBLE, ids=[history for history, _ in IMPOSSIBLE])
def test_an_event_that_cannot_happen_fails_the_case(history: str, found: str) -> None:
    (failure,) = play("{end: true, createsTotal: 2}", history)
    assert found in failure.found
    assert failure.path.startswith("history[")


PASSED_OVER = [
    "- {at: 5, event: JobComplete, step: gate, ifExists: true}",
    "- {at: 5, event: JobFailed, steps: 'x*', ifExists: true}",
    "- {at: 5, event: JobComplete, step: slow}\n- {at: 6, event: JobFailed, step: slow, ifExists: true}",
    "- {at: 5, event: PodPhase, step: gate, phase: Running, ifExists: true}",
]


@pytest.mark.parametrize("history", PASSED_OVER)
def test_an_event_may_be_passed_over(history: str) -> None:
    assert play("{at: 8, creates: {build: 1}, never: {steps: {slow: [Failed]}}}", history) == ()
