"""/debug/dump?namespace=NS&flow=NAME: the latest decisions about a flow, for `zenflow dump --operator URL`.

Nobody is asked who they are on this port, and a dump has the flow's spec and
parameters in it. So by default only this machine is answered, which in a Pod
means `kubectl port-forward`: whoever may do that in the operator's namespace.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from zenflow_runtime.incidents import Incidents

PATH: Final = "/debug/dump"
MEDIA_TYPE: Final = "application/x-ndjson"

_LOOPBACK: Final = ("127.0.0.1", "::1", "::ffff:127.0.0.1")
# Whoever comes through a proxy on this machine (a service mesh's sidecar) is not this machine.
_FORWARDED: Final = ("x-forwarded-for", "forwarded", "x-envoy-external-address", "x-real-ip")
_LOCAL_NAMES: Final = ("localhost", "127.0.0.1", "[::1]")


class DumpsFor(StrEnum):
    """Who gets dumps."""

    NOBODY = "none"
    """And none are kept."""
    LOCAL = "local"
    """Requests from this machine: `kubectl port-forward` and `kubectl exec`."""
    ALL = "all"
    """Whoever reaches the port."""


def dump_route(incidents: Incidents, dumps_for: DumpsFor, *, leads: Callable[[], bool]) -> Route:
    """The route, for an operator that keeps its latest decisions."""

    async def dump(request: Request) -> Response:
        if dumps_for is not DumpsFor.ALL and not is_local(request):
            text = "dumps are for this machine only: kubectl port-forward, or start the operator with --dumps=all\n"
            return PlainTextResponse(text, status_code=403)
        query = request.query_params
        namespace, name = query.get("namespace", ""), query.get("flow", "")
        if not namespace or not name:
            return PlainTextResponse(f"say which flow: {PATH}?namespace=NAMESPACE&flow=NAME\n", status_code=400)
        text = incidents.text(namespace, name, query.get("uid", ""))
        if not text:
            why = "" if leads() else "; it does not lead, so ask the replica that the Lease names"
            said = f"this operator has decided nothing about flow {namespace}/{name} that it still remembers{why}\n"
            return PlainTextResponse(said, status_code=404)
        return Response(text.encode(errors="backslashreplace"), media_type=MEDIA_TYPE)

    return Route(PATH, dump)


def is_local(request: Request) -> bool:
    """Whether it comes from this machine, was not passed on, and is meant for it (a name rebound by DNS is not)."""
    if request.client is None or request.client.host not in _LOOPBACK:
        return False
    if any(name in request.headers for name in _FORWARDED):
        return False
    host = request.headers.get("host", "")
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    return name in _LOCAL_NAMES
