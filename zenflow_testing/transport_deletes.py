"""Deletes over HTTP: their options, their dry runs, and what they answer."""

from __future__ import annotations

from typing import Final

from attrs import evolve

from zenflow_testing import errors
from zenflow_testing.clock import timestamp
from zenflow_testing.cluster import Cluster
from zenflow_testing.deletion import FOREGROUND, ORPHAN, Propagation, check_preconditions
from zenflow_testing.errors import ApiError
from zenflow_testing.kinds import Object
from zenflow_testing.transport_lists import Lists, scope_of
from zenflow_testing.transport_paths import Resource, Route
from zenflow_testing.transport_reading import as_it_is
from zenflow_testing.transport_requests import (
    Call,
    DeleteOptions,
    Reply,
    delete_options,
)

_KEEPING: Final = {Propagation.FOREGROUND: FOREGROUND, Propagation.ORPHAN: ORPHAN}
"""The finalizer by which a policy keeps what it deletes."""


class Deletes:
    """Answers DELETE requests on a cluster."""

    def __init__(self, cluster: Cluster, lists: Lists) -> None:
        self._cluster = cluster
        self._lists = lists

    def one(self, route: Route, name: str, *, options: DeleteOptions) -> Reply:
        """Delete an object; the answer is a Status once it is gone, else the object."""
        kind, namespace = route.resource.info.kind, route.namespace or ""
        stored = self._deleted(route.resource, namespace, name, options=options)
        if options.dry_run:
            stays = "deletionTimestamp" in stored["metadata"]
        else:
            stays = as_it_is(self._cluster, kind, namespace, name) is not None
        if stays:
            return Reply(200, route.resource.outbound(stored))
        details = {"name": name, "kind": route.resource.info.plural, "uid": stored["metadata"]["uid"]}
        if route.resource.group:
            details["group"] = route.resource.group
        return Reply(
            200, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
        )

    def _deleted(self, resource: Resource, namespace: str, name: str, *, options: DeleteOptions) -> Object:
        kind = resource.info.kind
        propagation = options.propagation
        if propagation is None and kind == "Job":
            live = as_it_is(self._cluster, kind, namespace, name)
            finalizers = () if live is None else live["metadata"].get("finalizers") or ()
            if FOREGROUND not in finalizers and ORPHAN not in finalizers:
                # batch/v1 still has the default of its first days: a Job deleted without a policy leaves its Pods.
                propagation = Propagation.ORPHAN
        if options.dry_run:
            return self._not_deleted(resource, namespace, name, options=evolve(options, propagation=propagation))
        return self._cluster.delete(
            kind,
            namespace,
            name,
            propagation=propagation,
            uid=options.uid,
            resource_version=options.resource_version,
        )

    def all(self, route: Route, call: Call) -> Reply:
        """Delete every object of a collection that the selectors of the request choose."""
        options = delete_options(call)
        scope = scope_of(route.resource, route.namespace, query=call.query)
        body = self._lists.answer(scope, {k: v for k, v in call.query.items() if k in ("limit", "continue")})
        for item in body["items"]:
            metadata = item["metadata"]
            try:
                self._deleted(route.resource, metadata.get("namespace", ""), metadata["name"], options=options)
            except ApiError as refusal:
                # Somebody who watches the deletes may have been faster.
                if refusal.code != 404:
                    raise
        return Reply(200, body)

    def _not_deleted(self, resource: Resource, namespace: str, name: str, *, options: DeleteOptions) -> Object:
        """A delete's dry run: all that can refuse it is asked, and nothing happens."""
        kind, asked = resource.info.kind, self._cluster.before_request
        refusal = None if asked is None else asked("delete", kind, namespace, name, {"dryRun": "All"})
        if refusal is not None:
            raise refusal
        obj = as_it_is(self._cluster, kind, namespace, name)
        if obj is None:
            raise errors.not_found(resource.target(name))
        check_preconditions(
            resource.target(name), obj["metadata"], uid=options.uid, resource_version=options.resource_version
        )
        metadata = obj["metadata"]
        kept = [each for each in metadata.get("finalizers") or () if each not in (FOREGROUND, ORPHAN)]
        if options.propagation in _KEEPING:
            kept.append(_KEEPING[options.propagation])
        if not kept or "deletionTimestamp" in metadata:
            return obj
        mark = {"deletionTimestamp": timestamp(self._cluster.clock.now), "deletionGracePeriodSeconds": 0}
        raised = {"generation": metadata["generation"] + 1} if "generation" in metadata else {}
        return {**obj, "metadata": {**metadata, **mark, **raised, "finalizers": kept}}
