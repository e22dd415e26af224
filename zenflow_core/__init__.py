"""zenflow's core: a JobFlow, what is seen of the cluster and the time go in, a list of actions comes out.

    from zenflow_core import Plan, compile_plan, load_documents, read_flow, reconcile

    document = load_documents(text, file="nightly.yaml")[0]
    flow = read_flow(document.data)          # JobFlow, or every problem of shape
    plan = compile_plan(flow)                # Plan, or every problem of meaning
    decision = reconcile(plan, status, observed, now=now)
    decision.actions, decision.wake_at       # what to ask of the cluster, and when to look again

No I/O, no clock, no randomness. The names below are the public ones; everything
else may change. They are loaded when they are first used, so importing the
package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zenflow_core.lazily import homes_of, loader

if TYPE_CHECKING:
    from zenflow_core.actions import (
        Action,
        CreateClaim,
        CreateConfigMap,
        CreateJob,
        DeleteFlow,
        DeleteJob,
        NudgeJob,
        RecordStatus,
    )
    from zenflow_core.codec import read_flow, write_flow
    from zenflow_core.compile import compile_plan
    from zenflow_core.decision import Read, ReadInput, ReadOrigin, ReadResult
    from zenflow_core.dump import Dump, read_dump
    from zenflow_core.explain import Explanation, explain, write_explanation
    from zenflow_core.observation import Absent, FlowSeen, Gone, Made, Observed, Present, Refused, Seen, Sibling
    from zenflow_core.plan import Plan, PlannedStep
    from zenflow_core.problems import Position, Problem, Severity
    from zenflow_core.reading import main_container, parse_attempt, read_flow_seen, read_job, read_sibling
    from zenflow_core.reconcile import Decision, advance, decode, reconcile
    from zenflow_core.rules import RULES
    from zenflow_core.say import say
    from zenflow_core.settings import ArtifactClaim, Settings, Unmoved
    from zenflow_core.source import Document, load_documents
    from zenflow_core.spec import JobFlow, JobFlowSpec, Step
    from zenflow_core.state import FlowPhase, FlowState, StepPhase, StepRecord
    from zenflow_core.status import read_origin
    from zenflow_core.termination import read_messages
    from zenflow_core.transitions import TRANSITIONS
    from zenflow_core.validation import examine, validate
    from zenflow_core.version import VERSION

_HOMES = {
    "actions": "Action CreateClaim CreateConfigMap CreateJob DeleteFlow DeleteJob NudgeJob RecordStatus",
    "codec": "read_flow write_flow",
    "compile": "compile_plan",
    "decision": "Read ReadInput ReadOrigin ReadResult",
    "dump": "Dump read_dump",
    "explain": "Explanation explain write_explanation",
    "observation": "Absent FlowSeen Gone Made Observed Present Refused Seen Sibling",
    "plan": "Plan PlannedStep",
    "problems": "Position Problem Severity",
    "reading": "main_container parse_attempt read_flow_seen read_job read_sibling",
    "reconcile": "Decision advance decode reconcile",
    "rules": "RULES",
    "say": "say",
    "settings": "ArtifactClaim Settings Unmoved",
    "source": "Document load_documents",
    "spec": "JobFlow JobFlowSpec Step",
    "state": "FlowPhase FlowState StepPhase StepRecord",
    "status": "read_origin",
    "termination": "read_messages",
    "transitions": "TRANSITIONS",
    "validation": "examine validate",
    "version": "VERSION",
}
_HOME_OF = homes_of(_HOMES)

__all__ = [
    "RULES",
    "TRANSITIONS",
    "VERSION",
    "Absent",
    "Action",
    "ArtifactClaim",
    "CreateClaim",
    "CreateConfigMap",
    "CreateJob",
    "Decision",
    "DeleteFlow",
    "DeleteJob",
    "Document",
    "Dump",
    "Explanation",
    "FlowPhase",
    "FlowSeen",
    "FlowState",
    "Gone",
    "JobFlow",
    "JobFlowSpec",
    "Made",
    "NudgeJob",
    "Observed",
    "Plan",
    "PlannedStep",
    "Position",
    "Present",
    "Problem",
    "Read",
    "ReadInput",
    "ReadOrigin",
    "ReadResult",
    "RecordStatus",
    "Refused",
    "Seen",
    "Settings",
    "Severity",
    "Sibling",
    "Step",
    "StepPhase",
    "StepRecord",
    "Unmoved",
    "advance",
    "compile_plan",
    "decode",
    "examine",
    "explain",
    "load_documents",
    "main_container",
    "parse_attempt",
    "read_dump",
    "read_flow",
    "read_flow_seen",
    "read_job",
    "read_messages",
    "read_origin",
    "read_sibling",
    "reconcile",
    "say",
    "validate",
    "write_explanation",
    "write_flow",
]

__getattr__ = loader(__name__, _HOME_OF)


def __dir__() -> list[str]:
    return sorted(__all__)
