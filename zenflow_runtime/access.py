"""Everything the operator may ask of the API server, as data: RBAC is generated from it and a test holds it to it.

There is no verb on Secrets: their values never pass through the operator.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen

from zenflow_core.spec import GROUP

PLURAL: Final = "jobflows"


@frozen
class Access:
    """One kind of request: the API group, the resource (with its subresource), the verb, and what it is for."""

    group: str
    resource: str
    verb: str
    why: str
    needs: str = ""
    """The setting without which it is not needed; "" where it always is."""


ACCESS: Final = (
    Access(GROUP, PLURAL, "list", "find all flows at the start, after a lost watch, and now and then"),
    Access(GROUP, PLURAL, "watch", "learn of new flows, edits, approvals, suspensions and deletions"),
    Access(GROUP, PLURAL, "get", "read one flow afresh after a conflict, when a list lacks it, or for retryOf"),
    Access(GROUP, PLURAL, "delete", "remove a finished flow when its ttlSecondsAfterFinished are over"),
    Access(GROUP, f"{PLURAL}/status", "patch", "record every decision before anything is done about it"),
    Access(GROUP, f"{PLURAL}/finalizers", "update", "own Jobs and resources with blockOwnerDeletion"),
    Access("batch", "jobs", "list", "find the Jobs of all flows at the start and after a lost watch"),
    Access("batch", "jobs", "watch", "learn how Jobs end"),
    Access("batch", "jobs", "get", "see whose Job has a name that is taken, and whether one is really gone"),
    Access("batch", "jobs", "create", "start an attempt of a step, or remove what a deleted flow has stored"),
    Access("batch", "jobs", "delete", "end a Job that its flow no longer wants, in the foreground"),
    Access("batch", "jobs", "patch", "let the Job controller look at a Job whose Pods are done", "eager-completion"),
    Access("", "pods", "list", "read the result of a step from its Pod's termination message"),
    Access("", "pods", "watch", "see when the Pods of a Job are done", "eager-completion"),
    Access(
        "",
        "configmaps",
        "get",
        "read configMapKeyRef and a namespace's artifact store; see whose name is taken",
    ),
    Access("", "configmaps", "create", "make the objects of resourceTemplates.configMapTemplates"),
    Access("", "persistentvolumeclaims", "get", "see whose claim has a name that is taken"),
    Access("", "persistentvolumeclaims", "create", "make the objects of resourceTemplates.volumeClaimTemplates"),
    Access("", "events", "create", "tell people what happened (best effort)", "events"),
    Access("coordination.k8s.io", "leases", "get", "see who leads", "leader-election"),
    Access("coordination.k8s.io", "leases", "create", "lead for the first time", "leader-election"),
    Access("coordination.k8s.io", "leases", "update", "lead, go on leading, and step down", "leader-election"),
)

UNSENT: Final = frozenset({(GROUP, f"{PLURAL}/finalizers", "update")})
"""Permissions that admission checks although no such request is sent."""
