"""One HTTP request, one call of the cluster: what the requests of the Kubernetes API mean.

Nothing here waits, and nothing knows an HTTP library: a request goes in as text and bytes, an answer comes
out as a value, a refusal as an ApiError. Every verb ends in one call of the same verb of `Cluster`, so its
hooks, admissions and rules hold for HTTP clients, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final, TypeAlias

from attrs import frozen

from zenflow_testing import errors, jsonpatch
from zenflow_testing.cluster import Cluster
from zenflow_testing.errors import ApiError
from zenflow_testing.kinds import Object, StatusMode
from zenflow_testing.transport_apply import (
    DEFAULTED,
    Leaves,
    applied,
    apply_lists,
    leaves_of,
    managers_of,
    merge_patch,
    strategically_merged,
)
from zenflow_testing.transport_deletes import Deletes
from zenflow_testing.transport_lists import Lists, Query, Scope, is_true, scope_of
from zenflow_testing.transport_paths import UNSERVED, Route, Routes, nothing_there
from zenflow_testing.transport_reading import as_it_is, log_of, place
from zenflow_testing.transport_requests import (
    APPLY_PATCH,
    JSON,
    JSON_PATCH,
    MERGE_PATCH,
    STRATEGIC_PATCH,
    Call,
    Reply,
    check_options,
    decoded,
    delete_options,
    is_dry_run,
    takes_json,
    takes_only_metadata,
    unsupported_media,
)

_PLAIN_STATUS: Final = frozenset({"Pod", "PersistentVolumeClaim", "Namespace"})
"""Kinds whose status the cluster stores like any other field, but which have the subresource all the same."""

_ABOUT: Final = {
    "/version": {"major": "1", "minor": "35", "gitVersion": "v1.35.0", "platform": "simulation"},
}
_ALIVE: Final = frozenset({"/healthz", "/livez", "/readyz"})


@frozen(eq=False)
class WatchCall:
    """A request for a watch: what it is about, and what it asked for."""

    scope: Scope
    query: Query


class _NotStoredError(ApiError):
    """Stops a dry run at the last moment, with what would have been stored."""

    def __init__(self, obj: Object) -> None:
        super().__init__(200, "", message="dry run")
        self.obj = obj


_Write: TypeAlias = Callable[[], Object]


class Verbs:
    """Answers requests on a cluster. Costs a few microseconds more than the cluster's own verb."""

    def __init__(self, cluster: Cluster, routes: Routes, *, keep_pages: timedelta) -> None:
        self._cluster = cluster
        self._routes = routes
        self._lists = Lists(cluster, keep=keep_pages)
        self._deletes = Deletes(cluster, self._lists)
        self._managers = managers_of(cluster)

    def answer(self, call: Call) -> Reply | WatchCall:
        """Carry out one request. Raises ApiError where the server refuses."""
        route = self._routes.find(call.path)
        if route is UNSERVED:
            if call.path in _ALIVE:
                return Reply(200, "ok")
            return Reply(200, _ABOUT[call.path]) if call.path in _ABOUT else Reply(404, UNSERVED.value)
        if route.subresource not in (None, "status", "log") or (route.subresource and not self._has(route)):
            raise nothing_there()
        if route.subresource != "log" and not takes_json(call.accept):
            raise ApiError(
                406,
                "NotAcceptable",
                message="only the following media types are accepted: application/json",
            )
        match call.method, route.name, route.subresource:
            case "GET", None, None:
                scope = scope_of(route.resource, route.namespace, query=call.query)
                if is_true(call.query.get("watch")):
                    return WatchCall(scope, call.query)
                return Reply(200, self._lists.answer(scope, call.query))
            case "GET", str(name), "log":
                return Reply(200, log_of(self._cluster, route, name, query=call.query))
            case "GET", str(), _:
                return Reply(200, self._get(route))
            case "POST", None, None if route.namespace is not None:
                return self._create(route, call)
            case "PUT", str(), None | "status":
                return self._replace(route, call)
            case "PATCH", str(), None | "status":
                return self._patch(route, call)
            case "DELETE", str(name), None:
                return self._deletes.one(route, name, options=delete_options(call))
            case "DELETE", None, None if route.namespace is not None:
                return self._deletes.all(route, call)
            case _:
                raise _not_allowed(route, call.method)

    def _has(self, route: Route) -> bool:
        info = route.resource.info
        if route.subresource == "log":
            return info.kind == "Pod"
        return info.status is not StatusMode.PLAIN or info.kind in _PLAIN_STATUS

    # Reading

    def _get(self, route: Route) -> Object:
        kind, namespace, name = place(route)
        return route.resource.outbound(self._cluster.get(kind, namespace, name))

    # Writing

    def _create(self, route: Route, call: Call) -> Reply:
        body = self._object_of(route, call, options="CreateOptions")
        stored = self._cluster.create(
            route.resource.info.kind, body, namespace=route.namespace or "", dry_run=is_dry_run(call.query)
        )
        return Reply(201, route.resource.outbound(stored))

    def _replace(self, route: Route, call: Call) -> Reply:
        body = self._object_of(route, call, options="UpdateOptions")
        kind, namespace, name = place(route)
        subresource = self._stored_subresource(route)
        if route.subresource and subresource is None:
            body = self._only_status(route, body)
        stored = self._written(
            call, lambda: self._cluster.replace(kind, namespace, name, body, subresource=subresource)
        )
        return Reply(200, route.resource.outbound(stored))

    def _object_of(self, route: Route, call: Call, *, options: str) -> Object:
        """The object in the body of a POST or PUT, in the stored form."""
        if call.content_type not in ("", JSON):
            raise unsupported_media((JSON,))
        check_options(options, call.query, apply=False)
        body = decoded(call.body)
        if not isinstance(body, dict):
            raise errors.bad_request("couldn't get version/kind; json parse error: the body is not an object")
        resource = route.resource
        missing = [what for what in ("kind", "apiVersion") if not body.get(what)]
        if missing and resource.is_custom:
            # What is built in is known by its path; a custom resource has to say what it is.
            raise errors.bad_request(
                f"the object provided is unrecognized (must be of type {resource.info.kind}):"
                f" Object '{missing[0]}' is missing"
            )
        if body.get("apiVersion", resource.api_version) != resource.api_version:
            raise errors.bad_request(
                f"the API version in the data ({body['apiVersion']}) does not match the expected API version"
                f" ({resource.api_version})"
            )
        return resource.inbound(body)

    def _patch(self, route: Route, call: Call) -> Reply:
        custom = route.resource.is_custom
        accepted = (JSON_PATCH, MERGE_PATCH, *(() if custom else (STRATEGIC_PATCH,)), APPLY_PATCH)
        if call.content_type not in accepted:
            raise unsupported_media(accepted)
        apply = call.content_type == APPLY_PATCH
        check_options("PatchOptions", call.query, apply=apply)
        patch = decoded(call.body)
        if apply:
            return self._apply(route, call, wanted=patch)
        kind, namespace, name = place(route)
        subresource = self._stored_subresource(route)
        cluster = self._cluster
        if call.content_type == JSON_PATCH:
            most = jsonpatch.MAX_OPERATIONS
            if isinstance(patch, list) and len(patch) > most:
                raise errors.too_large(f"The allowed maximum operations in a JSON patch is {most}, got {len(patch)}")

            def write() -> Object:
                return cluster.patch_json(kind, namespace, name, patch, subresource=subresource)

        else:
            if not isinstance(patch, dict):
                raise errors.bad_request("error decoding patch: a patch of this type is an object")
            merge = route.resource.inbound(patch)
            if call.content_type == STRATEGIC_PATCH:
                live = as_it_is(self._cluster, kind, namespace, name)
                merge = {} if live is None else merge_patch(live, strategically_merged(live, merge))

            def write() -> Object:
                return cluster.patch_merge(kind, namespace, name, merge, subresource=subresource)

        written = route.resource.outbound(self._written(call, write))
        if takes_only_metadata(call.accept):
            written = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": written["metadata"]}
        return Reply(200, written)

    def _apply(self, route: Route, call: Call, *, wanted: Any) -> Reply:
        """Server-side apply: create the object, or merge what this manager wants into it."""
        resource = route.resource
        kind, namespace, name = place(route)
        wanted = self._wanted(route, wanted)
        manager, force = call.query["fieldManager"], is_true(call.query.get("force"))
        keys = apply_lists(kind, custom=resource.is_custom)
        live = as_it_is(self._cluster, kind, namespace, name)
        dry_run = is_dry_run(call.query)
        if live is None:
            if route.subresource is not None:
                raise errors.not_found(resource.target(name))
            new = leaves_of(wanted, keys=keys)
            created = self._cluster.create(kind, wanted, namespace=namespace, dry_run=dry_run)
            if not dry_run:
                owned = self._managers.of(kind, created, subresource=None)
                defaults = leaves_of(created, keys=keys)
                owned[DEFAULTED] = {path: value for path, value in defaults.items() if path not in new}
                owned[manager] = new
            return Reply(201, resource.outbound(created))
        managers = self._managers.of(kind, live, subresource=route.subresource)
        document, after = applied(live, wanted, managers=managers, manager=manager, keys=keys, force=force)
        patch = merge_patch(live, document)
        stored = self._written(
            call,
            lambda: self._cluster.patch_merge(
                kind, namespace, name, patch, subresource=self._stored_subresource(route)
            ),
        )
        if not dry_run:
            managers.clear()
            managers.update(_kept(after))
        return Reply(200, resource.outbound(stored))

    def _wanted(self, route: Route, body: Any) -> dict[str, Any]:
        """The applied object, checked and in the stored form, without members that are null."""
        resource = route.resource
        if not isinstance(body, dict) or not body.get("apiVersion") or not body.get("kind"):
            raise errors.bad_request("an applied object has to name its apiVersion and kind")
        for name, expected in (("apiVersion", resource.api_version), ("kind", resource.info.kind)):
            if body[name] != expected:
                raise errors.bad_request(f"{name} of the object ({body[name]}) does not match {expected}")
        metadata = body.get("metadata", {})
        if not isinstance(metadata, dict):
            raise errors.bad_request("metadata of the applied object is not an object")
        if metadata.get("managedFields"):
            raise errors.bad_request("metadata.managedFields must be nil")
        if metadata.get("name", route.name) != route.name:
            raise errors.bad_request(
                f"the name of the object ({metadata['name']}) does not match the name on the URL ({route.name})"
            )
        if metadata.get("namespace", route.namespace) != route.namespace:
            raise errors.bad_request("the namespace of the object does not match the namespace on the request")
        wanted = jsonpatch.merge({}, dict(resource.inbound(body))).document
        wanted["metadata"] = {**wanted.get("metadata", {}), "name": route.name}
        return dict(wanted)

    def _stored_subresource(self, route: Route) -> str | None:
        return None if route.resource.info.status is StatusMode.PLAIN else route.subresource

    def _only_status(self, route: Route, body: Object) -> Object:
        """What a PUT of the status of such a kind stores: all as it was, but for the status."""
        live = as_it_is(self._cluster, *place(route))
        if live is None:
            return body
        version = (body.get("metadata") or {}).get("resourceVersion")
        metadata = {**live["metadata"], **({"resourceVersion": version} if version else {})}
        return {**live, "metadata": metadata, "status": body.get("status")}

    def _written(self, call: Call, write: _Write) -> Object:
        """Carry out a write, or for a dry run everything but the writing."""
        if not is_dry_run(call.query):
            return write()

        def stop(_kind: str, old: Object | None, new: Object) -> ApiError | None:
            metadata = dict(new["metadata"])
            if old is not None:
                metadata["resourceVersion"] = old["metadata"]["resourceVersion"]
            return _NotStoredError({**new, "metadata": metadata})

        # The last admission: all others have been asked when this one says no.
        self._cluster.admissions.append(stop)
        try:
            return write()
        except _NotStoredError as outcome:
            return outcome.obj
        finally:
            self._cluster.admissions.remove(stop)


def _kept(owned: Mapping[str, Leaves]) -> dict[str, Leaves]:
    return {name: leaves for name, leaves in owned.items() if leaves}


def _not_allowed(route: Route, method: str) -> ApiError:
    if route.resource.is_custom:
        verb = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "GET": "get"}.get(method, "")
        message = (
            f'{verb or method.lower()} is not supported on resources of kind "{route.resource.target("").resource}"'
        )
    else:
        message = "the server does not allow this method on the requested resource"
    return ApiError(405, "MethodNotAllowed", message=message)
