"""What the API server of a case refuses of a JobFlow: what our validation refuses, and edits of what never changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zenflow_core.codec import read_flow
from zenflow_core.compile import compile_plan
from zenflow_core.plan import Plan
from zenflow_core.problems import Problem
from zenflow_core.spec import API_VERSION, GROUP, KIND, JobFlow
from zenflow_core.validation import FINGERPRINTED
from zenflow_testing import errors
from zenflow_testing.errors import ApiError, StatusCause, Target
from zenflow_testing.kinds import Object


class JobFlowAdmission:
    """An admission hook for `Cluster.admissions`. It keeps the plans of what it admits: nobody compiles twice."""

    def __init__(self, known: tuple[Mapping[str, Any], Plan] | None = None) -> None:
        self._known = known
        """A spec that somebody has compiled already."""
        self._plans: dict[int, tuple[Any, Plan]] = {}
        """By the identity of the spec object, which is kept alive by being here."""

    def __call__(self, kind: str, old: Object | None, new: Object) -> ApiError | None:
        if kind != KIND or (old is not None and old.get("spec") is new.get("spec")):
            return None
        target = Target(GROUP, "jobflows", KIND, new["metadata"].get("name", ""))
        if old is not None:
            fixed = [part for part in FINGERPRINTED if old["spec"].get(part) != new["spec"].get(part)]
            if fixed:
                return errors.invalid(target, [_immutable(part) for part in fixed])
        known = self._known
        plan = known[1] if known is not None and known[0] == new["spec"] else _compiled(new)
        if isinstance(plan, Plan):
            self._plans[id(new["spec"])] = (new["spec"], plan)
            return None
        wrong = [StatusCause("FieldValueInvalid", each.path, f"{each.what}; fix: {each.fix}") for each in plan]
        return errors.invalid(target, wrong)

    def plan_of(self, flow: Mapping[str, Any]) -> Plan | None:
        """The plan of an admitted flow."""
        known = self._plans.get(id(flow.get("spec")))
        return None if known is None else known[1]


def _immutable(part: str) -> StatusCause:
    return StatusCause("FieldValueInvalid", f"spec.{part}", "Invalid value: is immutable once the flow exists")


def _compiled(obj: Object) -> Plan | tuple[Problem, ...]:
    parsed = read_flow({"apiVersion": API_VERSION, **obj})
    return compile_plan(parsed) if isinstance(parsed, JobFlow) else parsed
