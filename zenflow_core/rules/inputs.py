"""The values a step needs: all of them, or a reason why not.

The core asks by holding (`NeedsInput`); it never calls out. Values of Secrets
never come here: such an input is a reference that the container resolves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from zenflow_core.artifact_pod import Located, place_of
from zenflow_core.artifact_store import settled
from zenflow_core.manifests import Unbuildable, build_job
from zenflow_core.observation import UNREAD, Absent, Present, Unread
from zenflow_core.plan import ArtifactRead, ConfigMapKey, FixedValue, KeyRead, OutputRead, SecretEnv
from zenflow_core.reasons import InputInvalid, InputMissing, NeedsInput, OutputUnavailable
from zenflow_core.rules.dependencies import settled_upstream
from zenflow_core.rules.resources import missing
from zenflow_core.spec import Archive, S3Location
from zenflow_core.state import StepPhase
from zenflow_core.views import StepView


@frozen
class Values:
    """Every input of a step that is not a Secret's, by name."""

    by_name: Mapping[str, str]
    located: Mapping[str, Located | None] = field(factory=dict)
    """Where its input artifacts from other steps are; None: it is optional, and not there."""


_NONE = Values({})


def inputs(view: StepView) -> InputMissing | InputInvalid | OutputUnavailable | NeedsInput | None:
    """Hold for what is unread; end the step if a value will never be there.

    Asked while the step waits, once everything upstream is settled and the flow's
    own objects are there, and again for a running step whose Job has never been
    seen: its body has to be built anew.
    """
    if not view.step.inputs and not view.step.artifact_reads:
        return None
    if view.record.phase is StepPhase.PENDING and not (settled_upstream(view) and view.flow.record.started_at):
        return None
    if view.record.phase is StepPhase.PENDING and missing(view.flow):
        return None  # what is read may be an object that the flow itself has still to make
    if view.record.phase is StepPhase.RUNNING and view.attempt(view.record.attempt) is not None:
        return None
    answer = resolve(view)
    if not isinstance(answer, Values):
        return answer
    if view.step.manual or all(isinstance(wanted.source, FixedValue | SecretEnv) for wanted in view.step.inputs):
        return None  # validation has tried these values
    body = job_of(view, answer)
    return InputInvalid(view.now, f"{body.path}: {body.message}") if isinstance(body, Unbuildable) else None


def job_of(view: StepView, values: Values) -> dict[str, Any] | Unbuildable:
    """The Job of the attempt that runs, or would run next, with these values."""
    running = view.record.phase is StepPhase.RUNNING
    return build_job(
        view.step,
        view.flow.seen,
        view.record.attempt if running else view.record.attempt + 1,
        values=values.by_name,
        policy=view.flow.plan.pod_failure_policy,
        artifact_image=view.flow.plan.settings.artifact_image,
        located=values.located,
        store=view.flow.record.artifact_store,
    )


def resolve(view: StepView) -> Values | InputMissing | OutputUnavailable | NeedsInput:
    """All inputs of the step, or the first that is missing, or all that are still to be read."""
    if not view.step.inputs and not view.step.artifact_reads:
        return _NONE
    values: dict[str, str] = {}
    unread: list[ConfigMapKey] = []
    for wanted in view.step.inputs:
        match wanted.source:
            case FixedValue(value):
                values[wanted.name] = value
            case SecretEnv():
                pass
            case KeyRead(ref, default):
                match view.inputs.get(ref, UNREAD):
                    case Unread():
                        unread.append(ref)
                    case Present(value):
                        values[wanted.name] = value
                    case Absent(why) if default is None:
                        what = why or f"ConfigMap {ref.name} has no key {ref.key}"
                        return InputMissing(view.now, wanted.name, what)
                    case Absent():
                        assert default is not None, "narrowed by the guard above"
                        values[wanted.name] = default
            case OutputRead() as read:
                found = _output(view, wanted.name, read)
                if not isinstance(found, str):
                    return found
                values[wanted.name] = found
    located: dict[str, Located | None] = {}
    for read_from in view.step.artifact_reads:
        place = _artifact(view, read_from)
        if isinstance(place, InputMissing | OutputUnavailable):
            return place
        if not isinstance(place, _Uncarried):
            located[read_from.name] = place
    return NeedsInput(tuple(unread)) if unread else Values(values, located)


def _output(view: StepView, parameter: str, read: OutputRead) -> str | InputMissing | OutputUnavailable:
    record = view.reader(read.rank)
    value = (record.reads or {}).get(read.path)
    if record.phase is StepPhase.SUCCEEDED and value is not None:
        return value.text
    if read.default is not None:
        return read.default
    if record.phase is StepPhase.SKIPPED:
        return OutputUnavailable(record.finished_at or view.now, parameter, read.step)
    what = (
        f"step {read.step} is {record.phase.value}"
        if record.phase is not StepPhase.SUCCEEDED
        else f"the document of step {read.step} has nothing at {read.path}"
    )
    return InputMissing(record.finished_at or view.now, parameter, what)


@frozen
class _Uncarried:
    """The artifact is there, but no bytes are moved: nobody knows where."""


def _artifact(view: StepView, read: ArtifactRead) -> Located | _Uncarried | InputMissing | OutputUnavailable | None:
    """Where the artifact is; None if it is optional and was never made."""
    record = view.reader(read.rank)
    at = record.finished_at or view.now
    if record.phase is StepPhase.SUCCEEDED:
        if view.flow.plan.settings.artifact_image is None:
            return _Uncarried()
        stored = (record.artifacts or {}).get(read.source.name)
        source = settled(read.source, view.flow.record.artifact_store)
        place = None if stored is None else place_of(stored.location, source)
        if stored is not None and place is not None:
            archive = read.source.archive or Archive()
            return Located(place, stored.sha256, stored.size_bytes, archive if isinstance(place, S3Location) else None)
        what = f"step {read.step} left no artifact {read.source.name}"
    else:
        what = f"step {read.step}, which makes artifact {read.source.name}, is {record.phase.value}"
    if read.optional:
        return None
    if record.phase is StepPhase.SKIPPED:
        return OutputUnavailable(at, read.name, read.step)
    return InputMissing(at, read.name, what)
