"""What an attempt has left in its Pods once its Job is over: the result, and what the artifact containers say.

Whoever acts on `ReadResult` lists the Job's Pods once and hands both answers in
(`Seen.result`, `Seen.transfer`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from attrs import frozen

from zenflow_core.names import INPUTS_CONTAINER, OUTPUTS_CONTAINER
from zenflow_core.observation import UNREAD, Absent, Lookup, Present
from zenflow_core.reading import termination_result

_NOTHING: Final[Mapping[str, Any]] = {}
_OURS: Final = (INPUTS_CONTAINER, OUTPUTS_CONTAINER)


@frozen
class Messages:
    """What was read of an attempt's Pods."""

    result: Lookup = UNREAD
    """Termination message of the main container in the Pod that Succeeded last."""
    transfer: Lookup = UNREAD
    """The report of `zenflow-outputs` in that Pod; where none Succeeded, why a container of ours failed."""


def read_messages(pods: Iterable[Mapping[str, Any]], *, container: str) -> Messages:
    """The messages of a Job that is over.

    `pods` are all its Pods, read fresh; `container` is the main one (`reading.main_container` of the Job's template).
    Cost: 5 µs a Pod.
    """
    pods = tuple(pods)
    result = termination_result(pods, container)
    if any((pod.get("status") or _NOTHING).get("phase") == "Succeeded" for pod in pods):
        return Messages(result, termination_result(pods, OUTPUTS_CONTAINER))
    return Messages(result, _failure(pods))


def _failure(pods: Iterable[Mapping[str, Any]]) -> Lookup:
    """What the container of ours that failed last says, with its name and exit code."""
    latest: tuple[str, str] | None = None
    found = ""
    for pod in pods:
        status = pod.get("status") or _NOTHING
        for field in ("initContainerStatuses", "containerStatuses"):
            for each in status.get(field) or ():
                ended = (each.get("state") or _NOTHING).get("terminated") or _NOTHING
                if each.get("name") not in _OURS or not ended.get("exitCode"):
                    continue
                order = (str(ended.get("finishedAt") or ""), str((pod.get("metadata") or _NOTHING).get("name") or ""))
                if latest is None or order > latest:
                    message = str(ended.get("message") or ended.get("reason") or "it left no message")
                    latest, found = order, f"{each['name']} exited with {ended['exitCode']}: {message}"
    return Absent("no container that moves artifacts failed") if latest is None else Present(found)
