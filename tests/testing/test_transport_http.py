"""What HTTP adds to the cluster: paths, media types, options, pages, subresources, Events under two names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from lightkube.models.core_v1 import ObjectReference
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.batch_v1 import Job
from lightkube.resources.core_v1 import ConfigMap, Pod
from lightkube.resources.events_v1 import Event

from zenflow_testing.clock import VirtualClock
from zenflow_testing.cluster import Cluster
from zenflow_testing.kinds import KindInfo
from zenflow_testing.transport import SERVER, ClusterTransport, client
from zenflow_testing.transport_time import run_virtually

NS = "default"
GROUP = "/apis/workflow.kube-zen.io/v1alpha1"
FLOWS = f"{GROUP}/namespaces/{NS}/jobflows"
JOBS = f"/apis/batch/v1/namespaces/{NS}/jobs"
MAPS = f"/api/v1/namespaces/{NS}/configmaps"
PODS = f"/api/v1/namespaces/{NS}/pods"
EVENTS = f"/apis/events.k8s.io/v1/namespaces/{NS}/events"

POD_SPEC = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox:1.35"}]}
POD = {"metadata": {"name": "p"}, "spec": POD_SPEC}
JOB = {"metadata": {"name": "j"}, "spec": {"template": {"spec": POD_SPEC}}}
FLOW = {
    "apiVersion": "workflow.kube-zen.io/v1alpha1",
    "kind": "JobFlow",
    "metadata": {"name": "f"},
    "spec": {"steps": []},
}
MAP = {"metadata": {"name": "m"}, "data": {"k": "v"}}


class Server:
    """A cluster behind HTTP; each request runs in a loop of its own."""

    def __init__(self, **options: Any) -> None:
        self.clock = VirtualClock()
        self.cluster = Cluster(self.clock)
        self.transport = ClusterTransport(self.cluster, **options)

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        media: str = "application/json",
        accept: str | None = None,
        **query: str,
    ) -> httpx2.Response:
        content = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        headers = ({} if content is None else {"content-type": media}) | ({} if accept is None else {"accept": accept})

        async def main() -> httpx2.Response:
            request = httpx2.Request(method, SERVER + path, params=query or None, content=content, headers=headers)
            response = await self.transport.handle_async_request(request)
            await response.aread()
            return response

        return run_virtually(main, backend="asyncio")

    def made(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        answer = self.ask("POST", path, body)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())


def refusal(answer: httpx2.Response) -> tuple[int, str, str]:
    assert answer.headers["content-type"] == "application/json"
    status = answer.json()
    assert (status["kind"], status["apiVersion"], status["status"]) == ("Status", "v1", "Failure")
    assert status["code"] == answer.status_code
    return answer.status_code, status.get("reason", ""), status["message"]


# Answers that do not depend on what is stored


NOTHING = (404, "NotFound", "the server could not find the requested resource")
NO_METHOD = (405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
UNKNOWN = "the body of the request was in an unknown format - accepted media types include: "


@pytest.mark.parametrize(
    ("method", "path", "options", "expected"),
    [
        pytest.param(
            "GET", f"/apis/batch/v1/namespaces/{NS}/cronjobs", {}, NOTHING, id="a resource that is not served"
        ),
        pytest.param("GET", "/api/v1/namespaces/x/pods/p/exec", {}, NOTHING, id="a subresource that is not served"),
        pytest.param("GET", f"{MAPS}/m/status", {}, NOTHING, id="the status of a kind without one"),
        pytest.param("GET", f"{JOBS}/j/log", {}, NOTHING, id="the log of what has none"),
        pytest.param("GET", "/apis/batch/v1/jobs/j", {}, NOTHING, id="an object without its namespace"),
        pytest.param("GET", f"{JOBS}/j/status/x", {}, NOTHING, id="a path that is too long"),
        pytest.param("GET", f"{JOBS}/", {}, NOTHING, id="an empty name"),
        pytest.param("POST", "/apis/batch/v1/jobs", {"body": JOB}, NO_METHOD, id="create in all namespaces"),
        pytest.param("DELETE", "/apis/batch/v1/jobs", {}, NO_METHOD, id="delete in all namespaces"),
        pytest.param("PUT", JOBS, {"body": JOB}, NO_METHOD, id="put of a collection"),
        pytest.param("POST", f"{JOBS}/j", {"body": JOB}, NO_METHOD, id="post to an object"),
        pytest.param("DELETE", f"{JOBS}/j/status", {}, NO_METHOD, id="delete of a status"),
        pytest.param(
            "PUT",
            FLOWS,
            {"body": FLOW},
            (405, "MethodNotAllowed", 'update is not supported on resources of kind "jobflows.workflow.kube-zen.io"'),
            id="the same of a custom resource, in other words",
        ),
        pytest.param(
            "POST",
            JOBS,
            {"body": b"a: b", "media": "application/yaml"},
            (415, "UnsupportedMediaType", f"{UNKNOWN}application/json"),
            id="yaml",
        ),
        pytest.param(
            "PATCH",
            f"{FLOWS}/f",
            {"body": {}, "media": "application/strategic-merge-patch+json"},
            (
                415,
                "UnsupportedMediaType",
                f"{UNKNOWN}application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
            ),
            id="a strategic patch of a custom resource",
        ),
        pytest.param(
            "GET",
            JOBS,
            {"accept": "application/vnd.kubernetes.protobuf"},
            (406, "NotAcceptable", "only the following media types are accepted: application/json"),
            id="a client that reads no json",
        ),
        pytest.param(
            "PATCH",
            f"{JOBS}/j",
            {"body": {}, "media": "application/merge-patch+json", "force": "true"},
            (
                422,
                "Invalid",
                'PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch',
            ),
            id="force without apply",
        ),
        pytest.param(
            "PATCH",
            f"{JOBS}/j",
            {"body": {}, "media": "application/apply-patch+yaml"},
            (
                422,
                "Invalid",
                'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
            ),
            id="apply without a manager",
        ),
        pytest.param(
            "POST",
            JOBS,
            {"body": JOB, "dryRun": "Some"},
            (
                422,
                "Invalid",
                'CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["Some"]: supported values: "All"',
            ),
            id="a dry run of another kind",
        ),
        pytest.param(
            "POST",
            JOBS,
            {"body": JOB, "fieldManager": "é" * 65},
            (
                422,
                "Invalid",
                'CreateOptions.meta.k8s.io "" is invalid: fieldManager: Too long: may not be more than 128 bytes',
            ),
            id="a manager of too many bytes",
        ),
        pytest.param(
            "DELETE",
            f"{JOBS}/j",
            {"propagationPolicy": "Sideways"},
            (
                422,
                "Invalid",
                (
                    'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "Sideways":'
                    ' supported values: "Foreground", "Background", "Orphan", "nil"'
                ),
            ),
            id="a policy that is none",
        ),
        pytest.param(
            "DELETE",
            f"{JOBS}/j",
            {"body": {"kind": "Job"}},
            (400, "BadRequest", "decoded object cannot be converted to DeleteOptions"),
            id="a delete whose body is no options",
        ),
        pytest.param(
            "GET",
            JOBS,
            {"fieldSelector": "spec.suspend=true"},
            (400, "BadRequest", "field label not supported: spec.suspend"),
            id="a field that cannot be selected by",
        ),
        pytest.param(
            "GET",
            JOBS,
            {"limit": "ten"},
            (400, "BadRequest", 'limit: Invalid value: "ten": strconv.ParseUint: parsing "ten": invalid syntax'),
            id="a limit that is no number",
        ),
        pytest.param(
            "GET",
            JOBS,
            {"resourceVersion": "7"},
            (504, "Timeout", "Timeout: Too large resource version: 7, current: 0"),
            id="a list at a version still to come",
        ),
        pytest.param(
            "GET",
            JOBS,
            {"resourceVersionMatch": "Exact"},
            (
                422,
                "Invalid",
                (
                    'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is'
                    " forbidden unless resourceVersion is provided"
                ),
            ),
            id="a match without a version",
        ),
        pytest.param(
            "GET",
            JOBS,
            {"resourceVersionMatch": "Exact", "resourceVersion": "0"},
            (
                422,
                "Invalid",
                (
                    'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch'
                    ' "exact" is forbidden for resourceVersion "0"'
                ),
            ),
            id="exactly any version",
        ),
        pytest.param(
            "GET",
            JOBS,
            {"sendInitialEvents": "true"},
            (
                422,
                "Invalid",
                (
                    'ListOptions.meta.k8s.io "" is invalid: sendInitialEvents: Forbidden: sendInitialEvents is'
                    " forbidden for list"
                ),
            ),
            id="initial events in a list",
        ),
    ],
)
def test_refusals(method: str, path: str, options: dict[str, Any], expected: tuple[int, str, str]) -> None:
    assert refusal(Server().ask(method, path, **options)) == expected


@pytest.mark.parametrize("path", ["/", "/apis/nobody.example/v1/things", f"{GROUP}/namespaces/x/others", "/api", "/nx"])
def test_paths_that_nobody_claims_are_answered_in_plain_text(path: str) -> None:
    """So do servers, and clients that expect a Status have to cope with it."""
    answer = Server().ask("GET", path)
    assert (answer.status_code, answer.text) == (404, "404 page not found\n")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("body", [b"{", b"", b'{"a":}', b"[" * 100_000, b"\xff", b"[1]", b'"text"'])
def test_a_body_that_is_no_object_is_400(body: bytes) -> None:
    code, reason, message = refusal(Server().ask("POST", JOBS, body))
    assert (code, reason) == (400, "BadRequest")
    assert message.startswith("couldn't get version/kind; json parse error: ")


def test_a_body_that_is_too_large_is_413() -> None:
    answer = refusal(Server().ask("POST", MAPS, b" " * (3 * 1024 * 1024 + 1)))
    assert answer == (413, "RequestEntityTooLarge", "Request entity too large: limit is 3145728")


def test_a_json_patch_of_too_many_operations_is_413() -> None:
    server = Server()
    server.made(MAPS, MAP)
    patch = [{"op": "test", "path": "/data/k", "value": "v"}]
    media = "application/json-patch+json"
    assert server.ask("PATCH", f"{MAPS}/m", patch * 10_000, media=media).status_code == 200
    assert refusal(server.ask("PATCH", f"{MAPS}/m", patch * 10_001, media=media))[:2] == (413, "RequestEntityTooLarge")


def test_headers_are_those_of_a_server_and_the_date_is_the_clusters() -> None:
    server = Server()
    server.clock.advance(3600)
    answer = server.ask("GET", JOBS)
    assert answer.headers["date"] == "Thu, 01 Jan 2026 01:00:00 GMT"
    assert answer.headers["content-type"] == "application/json"
    assert int(answer.headers["content-length"]) == len(answer.content)
    server.clock.advance(1)
    assert server.ask("GET", JOBS).headers["date"] == "Thu, 01 Jan 2026 01:00:01 GMT"


def test_a_server_says_that_it_lives() -> None:
    server = Server()
    assert server.ask("GET", "/readyz").text == "ok"
    assert server.ask("GET", "/version").json()["minor"] == "35"


def test_a_kind_of_ones_own_is_served() -> None:
    cluster = Cluster(VirtualClock())
    info = KindInfo("Widget", "example.com", plural="widgets")
    cluster.register(info)
    server = Server.__new__(Server)
    server.cluster, server.transport = cluster, ClusterTransport(cluster, kinds=[info])
    path = "/apis/example.com/v1/namespaces/x/widgets"
    made = server.made(path, {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}})
    assert (made["kind"], made["apiVersion"]) == ("Widget", "example.com/v1")
    assert server.ask("GET", JOBS).status_code == 404


# Lists


def test_built_in_objects_in_a_list_do_not_repeat_their_kind() -> None:
    server = Server()
    server.made(JOBS, JOB)
    server.made(FLOWS, FLOW)
    jobs, flows = server.ask("GET", JOBS).json(), server.ask("GET", FLOWS).json()
    assert (jobs["kind"], jobs["apiVersion"], jobs["metadata"]) == ("JobList", "batch/v1", {"resourceVersion": "2"})
    assert "kind" not in jobs["items"][0]
    assert "apiVersion" not in jobs["items"][0]
    assert flows["kind"] == "JobFlowList"
    assert flows["items"][0]["kind"] == "JobFlow"


def five(server: Server) -> None:
    for name in "abcde":
        server.made(MAPS, {"metadata": {"name": name}})


def named(answer: httpx2.Response) -> str:
    return "".join(item["metadata"]["name"] for item in answer.json()["items"])


def test_pages_show_the_cluster_as_it_was_at_the_first() -> None:
    server = Server()
    five(server)
    first = server.ask("GET", MAPS, limit="2")
    assert named(first) == "ab"
    assert first.json()["metadata"]["remainingItemCount"] == 3
    server.cluster.delete("ConfigMap", NS, "d")
    server.made(MAPS, {"metadata": {"name": "f"}})
    second = server.ask("GET", MAPS, limit="2", **{"continue": first.json()["metadata"]["continue"]})
    third = server.ask("GET", MAPS, limit="2", **{"continue": second.json()["metadata"]["continue"]})
    assert (named(second), named(third)) == ("cd", "e")
    assert "continue" not in third.json()["metadata"]
    assert {page.json()["metadata"]["resourceVersion"] for page in (first, second, third)} == {"5"}


@pytest.mark.parametrize("how", ["time", "compaction"])
def test_a_token_expires_and_another_goes_on_in_the_present(how: str) -> None:
    server = Server(keep_pages=timedelta(minutes=5))
    five(server)
    token = server.ask("GET", MAPS, limit="2").json()["metadata"]["continue"]
    server.clock.advance(299)
    assert named(server.ask("GET", MAPS, **{"continue": token})) == "cde"
    server.cluster.delete("ConfigMap", NS, "d")
    if how == "time":
        server.clock.advance(1)
    else:
        server.cluster.compact(server.cluster.resource_version)
    gone = server.ask("GET", MAPS, **{"continue": token})
    code, reason, message = refusal(gone)
    assert (code, reason) == (410, "Expired")
    assert message.startswith("The provided continue parameter is too old to display a consistent list result.")
    again = server.ask("GET", MAPS, **{"continue": gone.json()["metadata"]["continue"]})
    assert named(again) == "ce"
    assert again.json()["metadata"]["resourceVersion"] == "6"


@pytest.mark.parametrize("token", ["x", "!!", "e30", "eyJydiI6InhcIiwic3RhcnQiOjF9"])
def test_a_token_of_somebody_else_is_400(token: str) -> None:
    code, reason, message = refusal(Server().ask("GET", MAPS, **{"continue": token}))
    assert (code, reason) == (400, "BadRequest")
    assert message.startswith("continue key is not valid: ")


def test_a_token_and_a_version_do_not_go_together() -> None:
    server = Server()
    five(server)
    token = server.ask("GET", MAPS, limit="2").json()["metadata"]["continue"]
    message = "specifying resource version is not allowed when using continue"
    answer = server.ask("GET", MAPS, resourceVersion="3", **{"continue": token})
    assert refusal(answer) == (400, "BadRequest", message)
    assert server.ask("GET", MAPS, resourceVersion="0", **{"continue": token}).status_code == 200


def test_lists_at_a_version() -> None:
    server = Server()
    five(server)
    server.cluster.delete("ConfigMap", NS, "b")
    server.cluster.patch_merge("ConfigMap", NS, "a", {"data": {"new": "1"}})
    for query in ({}, {"resourceVersion": "0"}, {"resourceVersion": "3"}):
        assert named(server.ask("GET", MAPS, **query)) == "acde"
    exact = server.ask("GET", MAPS, resourceVersion="3", resourceVersionMatch="Exact")
    assert (named(exact), exact.json()["metadata"]["resourceVersion"]) == ("abc", "3")
    assert "data" not in exact.json()["items"][0]
    present = server.ask("GET", MAPS, resourceVersion="7", resourceVersionMatch="Exact")
    assert named(present) == "acde"
    server.cluster.compact(4)
    gone = server.ask("GET", MAPS, resourceVersion="3", resourceVersionMatch="Exact")
    assert refusal(gone)[:2] == (410, "Expired")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_lightkube_reads_pages_and_typed_models(backend: str) -> None:
    cluster = Cluster(VirtualClock())
    for name in "abcde":
        cluster.create("Job", {**JOB, "metadata": {"name": name}}, namespace=NS)

    async def main() -> list[str]:
        async with client(cluster) as kube:
            made = await kube.create(ConfigMap(metadata=ObjectMeta(generateName="x-"), data={"k": "v"}))
            assert made.metadata is not None
            assert made.metadata.name is not None
            assert (await kube.get(ConfigMap, made.metadata.name)).data == {"k": "v"}
            return [job.metadata.name or "" async for job in kube.list(Job, chunk_size=2) if job.metadata]

    assert run_virtually(main, backend=backend) == ["a", "b", "c", "d", "e"]


# Deletes


def test_a_job_that_is_deleted_without_a_policy_orphans_its_pods() -> None:
    """As batch/v1 does for old clients; every other kind's dependents go in the background."""
    server = Server()
    server.made(JOBS, JOB)
    server.made(FLOWS, FLOW)
    kept = server.ask("DELETE", f"{JOBS}/j").json()
    assert kept["metadata"]["finalizers"] == ["orphan"]
    again = server.ask("DELETE", f"{JOBS}/j", propagationPolicy="Background").json()
    assert (again["kind"], again["status"]) == ("Status", "Success")
    gone = server.ask("DELETE", f"{FLOWS}/f").json()
    assert gone["details"]["kind"] == "jobflows"
    assert gone["details"]["group"] == "workflow.kube-zen.io"
    assert gone["details"]["name"] == "f"


def test_options_come_in_the_body_or_in_the_query() -> None:
    server = Server()
    job = server.made(JOBS, JOB)
    options = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Foreground"}
    wrong = {**options, "preconditions": {"uid": "another"}}
    code, reason, message = refusal(server.ask("DELETE", f"{JOBS}/j", wrong))
    assert (code, reason) == (409, "Conflict")
    assert (
        f"the UID in the precondition (another) does not match the UID in record ({job['metadata']['uid']})" in message
    )
    stale = {**options, "preconditions": {"resourceVersion": "99"}}
    assert refusal(server.ask("DELETE", f"{JOBS}/j", stale))[:2] == (409, "Conflict")
    right = {**options, "preconditions": {"uid": job["metadata"]["uid"]}}
    marked = server.ask("DELETE", f"{JOBS}/j", right, propagationPolicy="Orphan").json()
    assert marked["metadata"]["finalizers"] == ["foregroundDeletion"]


def test_a_collection_is_deleted_by_its_selector() -> None:
    server = Server()
    for name, team in (("a", "x"), ("b", "y"), ("c", "x")):
        server.made(MAPS, {"metadata": {"name": name, "labels": {"team": team}}})
    assert named(server.ask("DELETE", MAPS, labelSelector="team=x", dryRun="All")) == "ac"
    assert named(server.ask("DELETE", MAPS, labelSelector="team=x")) == "ac"
    assert named(server.ask("GET", MAPS)) == "b"


def test_the_first_refusal_ends_a_collections_delete() -> None:
    server = Server()
    five(server)
    options = {"preconditions": {"uid": server.cluster.get("ConfigMap", NS, "a")["metadata"]["uid"]}}
    assert refusal(server.ask("DELETE", MAPS, options))[:2] == (409, "Conflict")
    assert named(server.ask("GET", MAPS)) == "bcde"


# Dry runs


def test_a_dry_run_of_a_delete_shows_what_would_keep_the_object() -> None:
    server = Server()
    server.made(JOBS, JOB)
    shown = server.ask("DELETE", f"{JOBS}/j", {"dryRun": ["All"], "propagationPolicy": "Foreground"}).json()
    assert (shown["metadata"]["finalizers"], shown["metadata"]["generation"]) == (["foregroundDeletion"], 2)
    assert "deletionTimestamp" not in server.ask("GET", f"{JOBS}/j").json()["metadata"]


@pytest.mark.parametrize("missing", ["apiVersion", "kind"])
def test_a_custom_resource_says_what_it_is(missing: str) -> None:
    body = {name: value for name, value in FLOW.items() if name != missing}
    assert refusal(Server().ask("POST", FLOWS, body))[:2] == (400, "BadRequest")
    assert Server().ask("POST", MAPS, {"metadata": {"name": "m"}}).status_code == 201


def test_a_dry_run_shows_what_would_be_and_changes_nothing() -> None:
    server = Server()
    made = server.made(FLOWS, FLOW)
    asked: list[str] = []
    server.cluster.admissions.append(lambda kind, old, new: asked.append(kind))
    uid, version = made["metadata"]["uid"], made["metadata"]["resourceVersion"]
    merge = "application/merge-patch+json"
    patched = server.ask("PATCH", f"{FLOWS}/f", {"spec": {"x": 1}}, media=merge, dryRun="All").json()
    assert (patched["spec"]["x"], patched["metadata"]["generation"]) == (1, 2)
    assert patched["metadata"]["resourceVersion"] == version
    put = server.ask("PUT", f"{FLOWS}/f", {**made, "spec": {"y": 1}}, dryRun="All").json()
    assert put["spec"] == {"y": 1}
    deleted = server.ask("DELETE", f"{FLOWS}/f", {"dryRun": ["All"], "preconditions": {"uid": uid}})
    assert (deleted.json()["status"], deleted.json()["details"]["name"]) == ("Success", "f")
    assert asked == ["JobFlow", "JobFlow"]
    assert len(server.cluster.admissions) == 1
    assert server.ask("GET", f"{FLOWS}/f").json() == made
    assert server.cluster.resource_version == 1
    stale = server.ask("DELETE", f"{FLOWS}/f", {"dryRun": ["All"], "preconditions": {"uid": "another"}})
    assert refusal(stale)[:2] == (409, "Conflict")
    assert refusal(server.ask("DELETE", f"{FLOWS}/g", {"dryRun": ["All"]}))[:2] == (404, "NotFound")
    bad = {"metadata": {"labels": {"x": "not a label"}}}
    assert refusal(server.ask("PATCH", f"{FLOWS}/f", bad, media=merge, dryRun="All"))[:2] == (422, "Invalid")


# Subresources


def test_the_status_of_a_pod_is_written_alone() -> None:
    server = Server()
    made = server.made(PODS, POD)
    put = server.ask("PUT", f"{PODS}/p/status", {**made, "spec": {}, "status": {"phase": "Running"}}).json()
    assert (put["status"], put["spec"]) == ({"phase": "Running"}, made["spec"])
    assert server.ask("GET", f"{PODS}/p/status").json() == put
    assert refusal(server.ask("PUT", f"{PODS}/p/status", {**made, "status": {}}))[:2] == (409, "Conflict")
    assert refusal(server.ask("PUT", f"{PODS}/q/status", {"metadata": {"name": "q"}}))[:2] == (404, "NotFound")


def test_a_namespace_has_a_status_of_its_own() -> None:
    server = Server()
    server.made("/api/v1/namespaces", {"metadata": {"name": "ci"}})
    patched = server.ask(
        "PATCH",
        "/api/v1/namespaces/ci/status",
        {"status": {"phase": "Active"}},
        media="application/merge-patch+json",
    )
    assert patched.json()["status"] == {"phase": "Active"}
    assert server.ask("GET", "/api/v1/namespaces/ci").json() == patched.json()
    assert named(server.ask("GET", "/api/v1/namespaces", fieldSelector="status.phase=Active")) == "ci"


def test_a_pods_log_is_its_annotation() -> None:
    server = Server()
    annotations = {"testing.kube-zen.io/log": "1\n2\n3é\n", "testing.kube-zen.io/log.main": "of main\n"}
    server.made(PODS, {**POD, "metadata": {"name": "p", "annotations": annotations}})
    server.made(PODS, {**POD, "metadata": {"name": "silent"}})
    log = f"{PODS}/p/log"
    answer = server.ask("GET", log)
    assert (answer.text, answer.headers["content-type"]) == ("1\n2\n3é\n", "text/plain; charset=utf-8")
    assert server.ask("GET", log, tailLines="2").text == "2\n3é\n"
    assert server.ask("GET", log, tailLines="9").text == "1\n2\n3é\n"
    assert server.ask("GET", log, tailLines="0").text == ""
    assert server.ask("GET", log, limitBytes="6").text == "1\n2\n3"
    assert server.ask("GET", log, container="main").text == "of main\n"
    other = (400, "BadRequest", "container other is not valid for pod p")
    assert refusal(server.ask("GET", log, container="other")) == other
    for name in ("silent", "missing"):
        assert refusal(server.ask("GET", f"{PODS}/{name}/log"))[:2] == (404, "NotFound")


def test_lightkube_reads_logs() -> None:
    cluster = Cluster(VirtualClock())
    annotations = {"testing.kube-zen.io/log": "one\ntwo\n"}
    cluster.create("Pod", {**POD, "metadata": {"name": "p", "annotations": annotations}}, namespace=NS)

    async def main() -> list[str]:
        async with client(cluster) as kube:
            assert (await kube.get(Pod, "p")).spec is not None
            return [line async for line in kube.log("p")]

    assert run_virtually(main) == ["one\n", "two\n"]


# Events


def test_an_event_is_one_object_with_two_faces() -> None:
    cluster = Cluster(VirtualClock())
    event = Event(
        metadata=ObjectMeta(name="e"),
        eventTime="2026-01-01T00:00:00.000000Z",  # type: ignore[arg-type]  # as a server takes it: six digits
        action="Admit",
        note="build admitted",
        reason="StepAdmitted",
        regarding=ObjectReference(kind="JobFlow", name="f", namespace=NS),
        reportingController="kube-zen.io/zenflow",
        reportingInstance="zenflow-0",
        type="Normal",
    )

    async def main() -> None:
        async with client(cluster) as kube:
            made = await kube.create(event)
            assert made.note == "build admitted"
            assert (await kube.get(Event, "e")).regarding == event.regarding
            assert [each.note async for each in kube.list(Event)] == ["build admitted"]

    run_virtually(main)
    stored = cluster.get("Event", NS, "e")
    assert stored["apiVersion"] == "v1"
    assert stored["message"] == "build admitted"
    assert stored["involvedObject"]["name"] == "f"
    assert stored["reportingComponent"] == "kube-zen.io/zenflow"
    server = Server.__new__(Server)
    server.cluster, server.transport = cluster, ClusterTransport(cluster)
    watched = server.ask("GET", EVENTS, watch="1", timeoutSeconds="1").json()
    assert watched["object"]["apiVersion"] == "events.k8s.io/v1"
    assert watched["object"]["note"] == "build admitted"
    merge = {"note": "again", "apiVersion": "events.k8s.io/v1"}
    patched = server.ask("PATCH", f"{EVENTS}/e", merge, media="application/merge-patch+json").json()
    assert (patched["note"], cluster.get("Event", NS, "e")["message"]) == ("again", "again")
    wrong = server.ask("POST", EVENTS, {"apiVersion": "v1", "metadata": {"name": "x"}})
    assert refusal(wrong)[0] == 400
