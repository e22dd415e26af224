"""What people do to a flow: approve and reject a step, suspend and resume, stop and terminate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from zenflow_core.names import approval_key, approver_key, rejection_key
from zenflow_core.nearest import instead
from zenflow_core.styled import Span, Style, line
from zenflow_runtime.cli import exits
from zenflow_runtime.cli.connection import FORBIDDEN, Connection, Trouble, find_flow, on_cluster, tell
from zenflow_runtime.cli.standing import is_over, phase_of, step_names
from zenflow_runtime.cli.terminal import Terminal
from zenflow_runtime.cli.where import Where
from zenflow_runtime.failures import RequestFailed
from zenflow_runtime.installed import APPLY
from zenflow_runtime.kube import FLOW, Object

REVIEW: Final = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
_REVIEW_BODY: Final = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
UPGRADE: Final = f"`{APPLY}` installs the present one"
_NO_REASON: Final = "no reason given"

Change = Callable[[Object], Mapping[str, Any] | Trouble | str]
"""What to merge into the flow; a text if there is nothing to do."""


# --- approvals -------------------------------------------------------------------------------------------------------


def decide_approval(terminal: Terminal, where: Where, flow: str, *, step: str | None, rejected: str | None) -> int:
    """Approve a Manual step, or reject it with a reason; 0, 4 if there is no such step, 5 if you may not."""

    async def act(connection: Connection) -> int:
        obj = await find_flow(connection, flow)
        if isinstance(obj, Trouble):
            return tell(terminal, obj)
        meant = find_manual(obj, step)
        if isinstance(meant, Trouble):
            return tell(terminal, meant)
        user = await who(connection)
        key = approval_key(meant) if rejected is None else rejection_key(meant)
        other = rejection_key(meant) if rejected is None else approval_key(meant)
        annotations = {key: "true" if rejected is None else rejected or _NO_REASON, approver_key(meant): user}
        # An answer that was given before, and that nobody has read yet, would still count.
        if other in (obj["metadata"].get("annotations") or {}):
            annotations[other] = None
        try:
            await merged(connection, obj, {"metadata": {"annotations": annotations}})
        except RequestFailed as error:
            if error.code != FORBIDDEN:
                raise
            what = (
                f"you may not approve or reject steps of {obj['metadata']['name']}: {' '.join(error.message.split())}"
            )
            fix = "ask whoever runs the cluster for the role zenflow-approve in this namespace"
            return tell(terminal, Trouble(what, fix, exits.REFUSED))
        done = "approved" if rejected is None else "rejected"
        by = f" as {user}" if user else ""
        early = "" if _phase(obj, meant) == "PendingApproval" else "; it counts once the step is reached"
        style = Style.GOOD if rejected is None else Style.BAD
        terminal.print([line(Span(f"{done} ", style), f"{meant} of {obj['metadata']['name']}{by}{early}")])
        return exits.OK

    return on_cluster(terminal, where, act)


def find_manual(flow: Object, step: str | None) -> str | Trouble:
    """The step to decide about: the named one, or the only one that asks."""
    name = flow["metadata"]["name"]
    spec = flow.get("spec") or {}
    steps = [each for part in ("steps", "finally") for each in spec.get(part) or ()]
    manual = [str(each["name"]) for each in steps if each.get("type") == "Manual"]
    asking = [each for each in manual if _phase(flow, each) == "PendingApproval"]
    if step is None:
        if len(asking) == 1:
            return asking[0]
        if asking:
            return Trouble(f"{len(asking)} steps of flow {name} ask: {', '.join(asking)}", "name one of them")
        what = f"no step of flow {name} asks for an approval; it is {phase_of(flow)}"
        fix = f"name the step to decide in advance: {', '.join(manual)}" if manual else "it has no Manual steps"
        return Trouble(what, fix, exits.NOT_FOUND)
    if step not in manual:
        if step in step_names(flow):
            what = f"step {step} of flow {name} is a Job: it needs no approval"
            return Trouble(what, instead(step, manual, "the flow has no Manual steps"), exits.NOT_FOUND)
        what = f"flow {name} has no Manual step {step!r}"
        return Trouble(what, instead(step, manual, "it has no Manual steps"), exits.NOT_FOUND)
    if is_over(flow):
        return Trouble(f"flow {name} is over ({phase_of(flow)}): nothing waits any more", "", exits.NO)
    phase = _phase(flow, step)
    if phase not in ("", "Pending", "PendingApproval"):
        return Trouble(f"step {step} of flow {name} is {phase} already", "", exits.NO)
    return step


def _phase(flow: Object, step: str) -> str:
    rows = (flow.get("status") or {}).get("steps") or ()
    return next((str(row.get("phase", "")) for row in rows if row.get("name") == step), "")


async def who(connection: Connection) -> str | None:
    """The user name that the cluster knows us by; None from one that does not say (before Kubernetes 1.28)."""
    try:
        answer = await connection.kube.ask(REVIEW, _REVIEW_BODY)
    except RequestFailed as error:
        if error.code in (404, 403, 405):
            return None
        raise
    name = ((answer.get("status") or {}).get("userInfo") or {}).get("username")
    return str(name) if name else None


# --- the flow --------------------------------------------------------------------------------------------------------


def suspend(terminal: Terminal, where: Where, flow: str) -> int:
    """Start nothing new; 0, also if it is so already, 1 if the flow is over."""
    return _changed(
        terminal,
        where,
        flow,
        lambda obj: "is suspended already" if obj["spec"].get("suspend") else {"suspend": True},
        done="is suspended: nothing new starts, what runs goes on",
    )


def resume(terminal: Terminal, where: Where, flow: str) -> int:
    """Go on; 0, also if it was not suspended, 1 if the flow is over."""
    return _changed(
        terminal,
        where,
        flow,
        lambda obj: {"suspend": False} if obj["spec"].get("suspend") else "is not suspended",
        done="goes on",
    )


def shut_down(terminal: Terminal, where: Where, flow: str, *, how: str) -> int:
    """Stop or terminate it; 0, also if it is so already, 1 if the flow is over."""

    def change(obj: Object) -> Mapping[str, Any] | Trouble | str:
        if obj["spec"].get("shutdown") == how:
            return "is being ended already"
        return {"shutdown": how}

    finally_ = ", then its `finally` steps run" if how == "Stop" else ", and no `finally` step runs"
    return _changed(terminal, where, flow, change, done=f"ends: its running Jobs are deleted{finally_}")


def _changed(terminal: Terminal, where: Where, flow: str, change: Change, *, done: str) -> int:
    async def act(connection: Connection) -> int:
        obj = await find_flow(connection, flow)
        if isinstance(obj, Trouble):
            return tell(terminal, obj)
        name = obj["metadata"]["name"]
        if is_over(obj):
            return tell(terminal, Trouble(f"flow {name} is over already ({phase_of(obj)})", "", exits.NO))
        fields = change(obj)
        if isinstance(fields, Trouble):
            return tell(terminal, fields)
        if isinstance(fields, str):
            terminal.print([line(f"flow {name} {fields}")])
            return exits.OK
        answer = await merged(connection, obj, {"spec": fields})
        lost = [key for key, value in fields.items() if (answer.get("spec") or {}).get(key, False) != value]
        if lost:
            what = f"the cluster's definition of JobFlow does not know spec.{lost[0]}: it is older than this zenflow"
            return tell(terminal, Trouble(what, UPGRADE, exits.REFUSED))
        terminal.print([line(f"flow {name} {done}")])
        return exits.OK

    return on_cluster(terminal, where, act)


async def merged(connection: Connection, flow: Object, change: Mapping[str, Any]) -> Object:
    """The flow with this merged in; never another one that has got its name meanwhile (409)."""
    metadata = {"uid": flow["metadata"]["uid"], **change.get("metadata", {})}
    return await connection.kube.patch(
        FLOW, connection.namespace, flow["metadata"]["name"], merge={**change, "metadata": metadata}
    )
