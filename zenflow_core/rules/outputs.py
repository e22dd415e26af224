"""What a finished Job leaves behind: read once, before anything may delete its Pods, and recorded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from attrs import evolve

from zenflow_core.artifact_report import read_report
from zenflow_core.jsonpath import Ambiguous, Found, JsonPath, NotFound, compile_path, render
from zenflow_core.limits import PARAMETER_VALUE_BYTES, SOURCE_DEPTH
from zenflow_core.names import OUTPUTS_CONTAINER
from zenflow_core.observation import Absent, Complete, Lookup, Present, Seen, Unread
from zenflow_core.reasons import JobComplete, NeedsOutput, OutputMissing, OutputValue, StoredArtifact
from zenflow_core.views import StepView

TERMINATION_MESSAGE_BYTES = 4096
"""Kubernetes cuts a container's termination message here."""


def capture(view: StepView, seen: Seen, complete: Complete) -> JobComplete | OutputMissing | NeedsOutput:
    """The step's outputs and artifacts, and every path that some input names.

    A declared output that cannot be read fails the step; a path that only
    another step names is left out, and that step will say what it misses.
    """
    step = view.step
    stores = bool(step.output_artifacts) and view.flow.plan.settings.artifact_image is not None
    if not step.documented and not stores:
        return JobComplete(complete.at)
    if (step.documented and isinstance(seen.result, Unread)) or (stores and isinstance(seen.transfer, Unread)):
        return NeedsOutput(seen.attempt)
    answer = _documented(view, seen, complete) if step.documented else JobComplete(complete.at)
    return _stored(view, seen.transfer, answer) if stores and isinstance(answer, JobComplete) else answer


def _documented(view: StepView, seen: Seen, complete: Complete) -> JobComplete | OutputMissing:
    step = view.step
    text = seen.result.value if isinstance(seen.result, Present) else None
    document = _document(seen, text)
    outputs: dict[str, OutputValue] = {}
    for output in step.outputs:
        value = _read(document, output.path)
        if isinstance(value, str):
            return OutputMissing(complete.at, output.name, _explain(value, text, seen))
        outputs[output.name] = value
    reads: dict[str, OutputValue] = {}
    for path in step.reads:
        value = _read(document, path)
        if isinstance(value, OutputValue):
            reads[path] = value
    return JobComplete(complete.at, outputs, reads)


def _stored(view: StepView, transfer: Lookup, answer: JobComplete) -> JobComplete | OutputMissing:
    """The answer with the declared artifacts that the report of `zenflow-outputs` names."""
    report: Mapping[str, StoredArtifact] | str
    if isinstance(transfer, Present):
        report = read_report(transfer.value)
    else:
        report = (transfer.why if isinstance(transfer, Absent) else "") or "no report was found"
    stored: dict[str, StoredArtifact] = {}
    for made in view.step.output_artifacts:
        if not isinstance(report, str) and made.name in report:
            stored[made.name] = report[made.name]
        elif not made.optional:
            why = report if isinstance(report, str) else f"{OUTPUTS_CONTAINER} did not report it"
            return OutputMissing(answer.at, made.name, f"the artifact was not stored: {why}")
    return evolve(answer, artifacts=stored) if stored else answer


def _document(seen: Seen, text: str | None) -> Mapping[str, Any]:
    """`status` and `metadata` of the Job and `result`; besides them the keys of `result`, then of `status`."""
    status = seen.document.get("status", {})
    document: dict[str, Any] = dict(status)
    if text is not None:
        try:
            result = json.loads(text, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            result = text
        if _deeper_than(result, SOURCE_DEPTH):
            result = text  # what nests like that is no result; taken apart, it would break whoever reads it
        if isinstance(result, dict):
            document.update(result)
        document["result"] = result
    document["status"] = status
    document["metadata"] = seen.document.get("metadata", {})
    return document


def _deeper_than(value: Any, levels: int) -> bool:
    """Whether JSON nests more than so deep; looks no deeper than that."""
    if not isinstance(value, dict | list):
        return False
    if levels == 0:
        return True
    return any(_deeper_than(item, levels - 1) for item in (value.values() if isinstance(value, dict) else value))


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


def _read(document: Mapping[str, Any], path: str) -> OutputValue | str:
    """The value at `path`, or what is wrong with it."""
    compiled = compile_path(path)
    assert isinstance(compiled, JsonPath), "validation has compiled every path"
    match compiled.read(document):
        case Found(value) | Ambiguous(value):
            recorded = OutputValue(render(value), json=not isinstance(value, str))
        case NotFound():
            return f"nothing at {path}"
    size = len(recorded.text.encode())
    if size > PARAMETER_VALUE_BYTES:
        return f"the value at {path} has {size} bytes, more than {PARAMETER_VALUE_BYTES}"
    return recorded


def _explain(what: str, text: str | None, seen: Seen) -> str:
    if text is None:
        why = seen.result.why if isinstance(seen.result, Absent) else ""
        return f"{what}: {why or 'no termination message was found'}"
    if len(text.encode()) >= TERMINATION_MESSAGE_BYTES:
        return f"{what}: the termination message was cut at {TERMINATION_MESSAGE_BYTES} bytes"
    return what
