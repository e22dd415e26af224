"""Judges fields: of flows, of the Jobs created for them, and of Jobs that are none of the engine's business."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from zenflow_core.problems import below, segments
from zenflow_testing.cases.expectations import (
    UNSET,
    Attempt,
    Block,
    FieldOf,
)
from zenflow_testing.cases.journal import Journal
from zenflow_testing.cases.view import View
from zenflow_testing.cases.wording import Failing, shown, which
from zenflow_testing.jsonpatch import same

_NOT_THERE = object()


class FieldJudge:
    """Judges what assertions say about the fields of objects."""

    def __init__(self, view: View, journal: Journal) -> None:
        self._view = view
        self._journal = journal

    def block(self, block: Block, path: str, flow: str) -> Iterator[Failing]:
        """Everything of a block about fields that does not hold."""
        for index, wanted in enumerate(block.flow_field):
            where = below(below(path, "flowField"), index)
            yield from self._field(wanted, where, self._view.latest(flow), flow=flow, of=f"flow {flow}", step="")
        for index, job_field in enumerate(block.job_field):
            where = below(below(path, "jobField"), index)
            made = self._journal.attempt(flow, job_field.step, job_field.attempt)
            if made is None:
                expected = f"the Job of {which(job_field)} has {job_field.path}"
                yield Failing(where, expected, "it was never created", job_field.step)
                continue
            of = f"the Job of {which(job_field)}"
            yield from self._field(job_field, where, made.job, flow=flow, of=of, step=job_field.step)
        for index, each in enumerate(block.job_spec_untouched):
            where = below(below(path, "jobSpecUntouched"), index)
            made = self._journal.attempt(flow, each.step, each.attempt)
            expected = f"the engine left the spec of {which(each)} alone"
            if made is None:
                yield Failing(where, expected, "that Job was never created", each.step)
            elif made.spec_changed_by:
                yield Failing(where, expected, f"it was changed by {made.spec_changed_by}", each.step)
        for index, each in enumerate(block.untouched):
            where = below(below(path, "untouched"), index)
            yield from self._untouched(each, where, flow)

    def _field(
        self, wanted: FieldOf, path: str, obj: Mapping[str, Any], *, flow: str, of: str, step: str
    ) -> Iterator[Failing]:
        value = _value_at(obj, wanted.path)
        found = "it is not there" if value is _NOT_THERE else f"it is {shown(value)}"
        name = f"{wanted.path} of {of}"
        if wanted.equals is not UNSET:
            equals = self._filled_in(wanted.equals, flow)
            if value is _NOT_THERE or not same(value, equals):
                yield Failing(path, f"{name} is {shown(equals)}", found, step)
        if wanted.matches is not None:
            text = value if isinstance(value, str) else None if value is _NOT_THERE else json.dumps(value)
            if text is None or re.search(self._filled_in(wanted.matches, flow), text) is None:
                yield Failing(path, f"{name} matches {wanted.matches}", found, step)
        there = value is not _NOT_THERE and value is not None
        wants = wanted.present if wanted.present is not None else None if wanted.absent is None else not wanted.absent
        if wants is not None and there is not wants:
            yield Failing(path, f"{name} is {'there' if wants else 'not there'}", found, step)
        if wanted.max_length is not None and (not isinstance(value, str) or len(value) > wanted.max_length):
            long = f" ({len(value)} characters)" if isinstance(value, str) else ""
            yield Failing(path, f"{name} has at most {wanted.max_length} characters", f"{found}{long}", step)

    def _filled_in(self, value: Any, flow: str) -> Any:
        if isinstance(value, str) and "$flow.uid" in value:
            there = self._view.latest(flow)
            return value.replace("$flow.uid", there["metadata"]["uid"] if there else "")
        return value

    def _untouched(self, each: Attempt, path: str, flow: str) -> Iterator[Failing]:
        attempt = each.attempt if each.attempt is not None else 1
        foreign = self._journal.foreign.get((flow, each.step, attempt))
        expected = f"the engine left the Job alone that was in the way of attempt {attempt} of step {each.step}"
        if foreign is None:
            yield Failing(path, expected, "the engine never sent that create", each.step)
            return
        name = foreign["metadata"]["name"]
        for request in self._journal.requests:
            mine = request.kind.partition("/")[0] == "Job" and request.name == name and request.performed
            if mine and request.verb in ("update", "patch", "delete"):
                yield Failing(path, expected, f"{request.verb} {name} at {request.at:g} s", each.step)
                return


def _value_at(obj: Any, path: str) -> Any:
    """What stands at a path; `_NOT_THERE` if nothing does."""
    keys = segments(path)
    value = obj
    for key in keys if keys is not None else ():
        if isinstance(key, int):
            if not isinstance(value, list) or key >= len(value):
                return _NOT_THERE
            value = value[key]
        elif isinstance(value, Mapping) and key in value:
            value = value[key]
        else:
            return _NOT_THERE
    return value if keys is not None else _NOT_THERE
