"""The parts of the operator, each by itself: door, rate, queue, ledger, lease times, settings."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import anyio
import httpx2
import pytest
from anyio.abc import SocketAttribute, SocketStream
from hypothesis import given
from hypothesis import strategies as st

from tests.defects.lives import flow, step
from tests.runtime.stage import play
from zenflow_core.names import LABEL_ATTEMPT, LABEL_STEP
from zenflow_core.observation import Gone, Refused, Seen
from zenflow_core.settings import ArtifactClaim, Unmoved
from zenflow_core.settings import Settings as FlowSettings
from zenflow_core.spec import API_VERSION, ArtifactStore, S3Location, StepName
from zenflow_runtime.answers import too_large
from zenflow_runtime.door import Answered, Ask, Door, TokenBucket, ask_of
from zenflow_runtime.events import EventMode
from zenflow_runtime.failures import NotLeading, RequestFailed, failed_with
from zenflow_runtime.flows import newer
from zenflow_runtime.kube import FLOW, JOB, Kube
from zenflow_runtime.leader import micro_time
from zenflow_runtime.ledger import GONE_KEPT, THE_FLOW, Ledger
from zenflow_runtime.queue import Job, WorkQueue
from zenflow_runtime.settings import ElectionMode, Nonsense, Settings, read_settings
from zenflow_runtime.webhook.listening import Listening
from zenflow_testing.clock import EPOCH, VirtualClock
from zenflow_testing.transport import config

# The door


@pytest.mark.parametrize(
    ("method", "path", "watch", "then"),
    [
        ("GET", "/api/v1/pods", True, Ask("watch", "", "pods")),
        ("GET", "/api/v1/pods", False, Ask("list", "", "pods")),
        ("GET", "/api/v1/namespaces/ci/pods", False, Ask("list", "", "pods")),
        ("GET", "/api/v1/namespaces/ci/configmaps/x", False, Ask("get", "", "configmaps")),
        ("GET", "/api/v1/namespaces/ci", False, Ask("get", "", "namespaces")),
        ("POST", "/apis/batch/v1/namespaces/ci/jobs", False, Ask("create", "batch", "jobs")),
        ("PATCH", "/apis/g/v1/namespaces/ci/jobflows/f/status", False, Ask("patch", "g", "jobflows/status")),
        ("DELETE", "/k8s/clusters/c-1/apis/batch/v1/namespaces/ci/jobs/j", False, Ask("delete", "batch", "jobs")),
        (
            "PUT",
            "/apis/coordination.k8s.io/v1/namespaces/x/leases/l",
            False,
            Ask("update", "coordination.k8s.io", "leases"),
        ),
    ],
)
def test_a_request_is_named_as_rbac_names_it(method: str, path: str, watch: bool, then: Ask) -> None:
    assert ask_of(method, path, watch=watch) == then


class Answers(httpx2.AsyncBaseTransport):
    """Answers each request with this."""

    def __init__(self, answer: httpx2.Response | Exception) -> None:
        self.answer = answer

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


STATUS = {
    "kind": "Status",
    "code": 403,
    "reason": "Forbidden",
    "message": "no",
    "details": {"causes": [{"reason": "X"}]},
}


@pytest.mark.parametrize(
    ("answer", "then"),
    [
        pytest.param(httpx2.Response(403, json=STATUS), (403, "Forbidden", "no", ("X",), None), id="a Status"),
        pytest.param(
            httpx2.Response(502, text="<html>bad gateway"), (502, "", "<html>bad gateway", (), None), id="HTML"
        ),
        pytest.param(httpx2.Response(503), (503, "", "Service Unavailable", (), None), id="no body, no type"),
        pytest.param(
            httpx2.Response(429, json={"kind": "Status"}, headers={"retry-after": "9"}),
            (429, "", "", (), 9),
            id="a header",
        ),
        pytest.param(
            httpx2.Response(429, json={"kind": "Status", "code": 429, "details": {"retryAfterSeconds": 4}}),
            (429, "", "", (), 4),
            id="seconds in the details",
        ),
        pytest.param(
            httpx2.Response(500, content=b"{}", headers={"content-type": "application/json; charset=utf-8"}),
            (500, "", "{}", (), None),
            id="JSON that is no Status",
        ),
        pytest.param(httpx2.ConnectError("refused"), (0, "ConnectError", "refused", (), None), id="no answer"),
        pytest.param(
            httpx2.Response(200, content=b'{"kind": ', headers={"content-type": "application/json"}),
            (0, "DecodeError", None, (), None),
            id="cut short",
        ),
    ],
)
@pytest.mark.parametrize("verb", ["get", "delete", "list"])
def test_whatever_goes_wrong_is_one_exception_with_the_facts(answer: Any, then: tuple[Any, ...], verb: str) -> None:
    async def scene() -> None:
        kube = Kube(config(), Door(Answers(answer)))
        asks: Mapping[str, Callable[[], Awaitable[object]]] = {
            "get": lambda: kube.get(JOB, "ci", "j"),
            "delete": lambda: kube.delete(JOB, "ci", "j", uid="u", propagation="Foreground"),
            "list": lambda: kube.list_all(JOB),
        }
        with pytest.raises(RequestFailed) as caught:
            await asks[verb]()
        error = caught.value
        code, reason, message, causes, after = then
        assert (error.code, error.causes, error.retry_after) == (code, causes, after)
        assert error.reason == reason
        assert message is None or error.message == message
        await kube.close()

    play(scene, "asyncio")


def test_the_door_tells_of_every_request() -> None:
    async def scene() -> None:
        told: list[Answered] = []
        kube = Kube(config(), Door(Answers(httpx2.ReadTimeout("slow")), told=told.append))
        with pytest.raises(RequestFailed):
            await kube.get(FLOW, "ci", "f")
        assert [(each.ask.verb, each.code) for each in told] == [("get", 0)]
        await kube.close()

    play(scene)


JOBS = "/apis/batch/v1/namespaces/ci/jobs"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_write_that_had_to_wait_is_not_sent_once_somebody_else_may_lead(backend: str) -> None:
    """The process may be stopped while a request waits for its turn, and go on when another replica leads."""

    async def scene() -> None:
        ends = anyio.current_time() + 5
        told: list[Answered] = []
        bucket = TokenBucket(0.1, 1.0, reserve=0)
        door = Door(
            Answers(httpx2.Response(201)),
            bucket=bucket,
            told=told.append,
            may_write=lambda: anyio.current_time() < ends,
        )
        await door.handle_async_request(httpx2.Request("POST", f"http://server{JOBS}"))
        with pytest.raises(NotLeading):
            await door.handle_async_request(httpx2.Request("POST", f"http://server{JOBS}"))
        assert anyio.current_time() >= ends
        assert len(told) == 1

    play(scene, backend)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_write_that_waited_for_its_connection_is_not_sent_either(backend: str) -> None:
    async def scene() -> None:
        received: list[bytes] = []
        closed = anyio.Event()

        async def serve(stream: SocketStream) -> None:
            async with stream:
                with contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                    received.append(await stream.receive())
            closed.set()

        answers = iter([True, False])
        async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
            port = listener.extra(SocketAttribute.local_port)
            door = Door(httpx2.AsyncHTTPTransport(), may_write=lambda: next(answers))
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(listener.serve, serve)
                with pytest.raises(NotLeading):
                    await door.handle_async_request(httpx2.Request("POST", f"http://127.0.0.1:{port}{JOBS}"))
                await door.aclose()
                await closed.wait()
                tasks.cancel_scope.cancel()
        assert received == []

    anyio.run(scene, backend=backend)


@pytest.mark.parametrize(
    ("method", "path", "sent"),
    [
        pytest.param("POST", JOBS, False, id="a create"),
        pytest.param("DELETE", f"{JOBS}/j", False, id="a delete"),
        pytest.param("PATCH", FLOW.path("ci", "f/status"), False, id="a record"),
        pytest.param("POST", "/api/v1/namespaces/ci/configmaps", False, id="an object of a flow"),
        pytest.param("GET", f"{JOBS}/j", True, id="a read"),
        pytest.param("PUT", "/apis/coordination.k8s.io/v1/namespaces/ci/leases/l", True, id="who wants to lead"),
        pytest.param("POST", "/api/v1/namespaces/ci/events", True, id="an Event of what was done"),
        pytest.param("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", True, id="a review"),
        pytest.param("POST", f"{JOBS}?dryRun=All", True, id="a dry run"),
    ],
)
def test_who_does_not_lead_only_asks(method: str, path: str, sent: bool) -> None:
    async def scene() -> None:
        told: list[Answered] = []
        door = Door(Answers(httpx2.Response(200)), told=told.append, may_write=lambda: False)
        with contextlib.nullcontext() if sent else pytest.raises(NotLeading):
            await door.handle_async_request(httpx2.Request(method, f"http://server{path}"))
        assert len(told) == sent

    play(scene)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_bucket_gives_its_burst_and_then_its_rate_and_keeps_its_reserve(backend: str) -> None:
    async def scene() -> None:
        bucket = TokenBucket(10.0, 20.0, reserve=5)
        begun = anyio.current_time()
        waits = [await bucket.take(urgent=False) for _ in range(15)]
        assert waits == [0.0] * 15
        assert [await bucket.take(urgent=True) for _ in range(5)] == [0.0] * 5  # what was kept for them
        assert await bucket.take(urgent=True) == pytest.approx(0.1, abs=0.01)
        assert await bucket.take(urgent=False) == pytest.approx(0.6, abs=0.11)  # the reserve fills first
        assert anyio.current_time() - begun == pytest.approx(0.7, abs=0.2)

    play(scene, backend)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_smallest_bucket_still_lets_everything_through(backend: str) -> None:
    async def scene() -> None:
        bucket = TokenBucket(1.0, 1.0, reserve=1)
        begun = anyio.current_time()
        for urgent in (False, True, False):
            await bucket.take(urgent=urgent)
        assert anyio.current_time() - begun == pytest.approx(2, abs=0.01)

    play(scene, backend)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_who_waits_longest_is_served_first_and_a_cancelled_one_leaves(backend: str) -> None:
    async def scene() -> None:
        bucket, served = TokenBucket(1.0, 1.0, reserve=0), []
        await bucket.take(urgent=False)

        async def take(number: int) -> None:
            with anyio.move_on_after(1.5 if number == 1 else 100):
                await bucket.take(urgent=False)
                served.append(number)

        async with anyio.create_task_group() as tasks:
            for number in range(4):
                tasks.start_soon(take, number)
                await anyio.sleep(0.01)
        assert served == [0, 2, 3]

    play(scene, backend)


# The queue


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_key_is_handed_out_once_and_not_before_its_time(backend: str) -> None:
    async def scene() -> None:
        queue = WorkQueue()
        queue.add("a", delay=5)
        queue.add("b", delay=3)
        queue.add("a", delay=9)  # later than it is wanted already
        assert (await got(queue)).key == "b"
        assert anyio.current_time() == pytest.approx(begun() + 3, abs=0.01)
        assert (await got(queue)).key == "a"
        queue.done("a")
        queue.done("b")
        with anyio.move_on_after(100) as waiting:
            await queue.get()
        assert waiting.cancelled_caught

    play(with_time(scene), backend)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_key_that_is_worked_on_comes_again_when_that_is_done(backend: str) -> None:
    async def scene() -> None:
        queue = WorkQueue()
        queue.add("a")
        await got(queue)
        queue.add("a")
        with anyio.move_on_after(10) as waiting:
            await queue.get()
        assert waiting.cancelled_caught
        queue.done("a", alarm=100)
        assert (await got(queue)).key == "a"
        assert anyio.current_time() == pytest.approx(begun() + 10, abs=0.01)
        queue.done("a", alarm=100)
        assert (await got(queue)).key == "a"
        assert anyio.current_time() == pytest.approx(begun() + 110, abs=0.01)

    play(with_time(scene), backend)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_key_that_rests_is_not_handed_out_whoever_asks(backend: str) -> None:
    async def scene() -> None:
        queue = WorkQueue()
        queue.add("a")
        await got(queue)
        queue.rest("a", 30)
        queue.add("a")
        queue.done("a", alarm=1)
        queue.add("a")
        assert (await got(queue)).key == "a"
        assert anyio.current_time() == pytest.approx(begun() + 30, abs=0.01)
        queue.done("a")
        queue.add("a")
        assert (await got(queue)).key == "a"
        assert anyio.current_time() == pytest.approx(begun() + 30, abs=0.01)

    play(with_time(scene), backend)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_closed_queue_hands_nothing_out(backend: str) -> None:
    async def scene() -> None:
        queue = WorkQueue()
        async with anyio.create_task_group() as tasks:

            async def waits() -> None:
                assert await queue.get() is None

            tasks.start_soon(waits)
            await anyio.sleep(1)
            queue.close()
        queue.add("a")
        assert await queue.get() is None

    play(scene, backend)


def test_the_queue_says_how_deep_it_is_and_what_is_stuck() -> None:
    async def scene() -> None:
        queue = WorkQueue()
        queue.add("a")
        queue.add("b")
        queue.add("later", delay=1000)
        await anyio.sleep(7)
        assert (queue.depth, queue.busy) == (2, 0)
        assert queue.longest_wait() == pytest.approx(7)
        first = await got(queue)
        assert first.key == "a"
        assert first.since == pytest.approx(begun())
        await anyio.sleep(5)
        key, seconds = queue.longest_turn() or ("", 0.0)
        assert key == "a"
        assert seconds == pytest.approx(5)
        queue.forget("b")
        assert (queue.depth, queue.busy) == (0, 1)

    play(with_time(scene))


_BEGUN = [0.0]


def begun() -> float:
    return _BEGUN[0]


def with_time(scene: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
    async def timed() -> None:
        _BEGUN[0] = anyio.current_time()
        await scene()

    return timed


async def got(queue: WorkQueue) -> Job:
    job = await queue.get()
    assert job is not None
    return job


# The ledger

FLOW_UID = "0a0a0a0a-0000-4000-8000-000000000001"
A = StepName("a")


def a_flow(version: int = 1, **status: Any) -> dict[str, Any]:
    manifest: dict[str, Any] = flow(step("a"))
    manifest["metadata"] |= {
        "namespace": "ci",
        "uid": FLOW_UID,
        "resourceVersion": str(version),
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "generation": 1,
    }
    return manifest | ({"status": status} if status else {})


def a_job(version: int = 2, *, uid: str = "job-1", flow_uid: str = FLOW_UID, **status: Any) -> dict[str, Any]:
    owner = {"apiVersion": API_VERSION, "kind": "JobFlow", "name": "flow", "uid": flow_uid, "controller": True}
    return {
        "metadata": {
            "name": "flow-a",
            "namespace": "ci",
            "uid": uid,
            "resourceVersion": str(version),
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {LABEL_STEP: "a", LABEL_ATTEMPT: "1"},
            "ownerReferences": [owner],
        },
        "spec": {"template": {"spec": {"containers": [{"name": "main"}]}}},
        "status": status,
    }


COMPLETE: dict[str, Any] = {
    "conditions": [{"type": "Complete", "status": "True", "lastTransitionTime": "2026-01-01T00:01:00Z"}]
}


def ledger(*objects: dict[str, Any]) -> Ledger:
    made = Ledger(VirtualClock())
    made.take_flow(a_flow())
    for obj in objects:
        made.take_job(obj)
    return made


def sighting(of: Ledger) -> object:
    return of.flows[FLOW_UID].jobs.get(A, {}).get(1)


def test_an_older_version_of_a_job_never_takes_the_place_of_a_newer_one() -> None:
    book = ledger(a_job(5, **COMPLETE))
    book.take_job(a_job(4))
    book.learn(book.flows[FLOW_UID], A, 1, job=a_job(3))  # the answer to our create, late
    seen = sighting(book)
    assert isinstance(seen, Seen)
    assert not seen.live


def test_a_job_that_a_list_lacks_is_doubted_and_gone_only_when_a_fresh_read_says_so() -> None:
    book = ledger(a_job())
    book.list_jobs(frozenset())
    flow = book.flows[FLOW_UID]
    assert isinstance(sighting(book), Seen)
    (doubt,) = flow.doubts
    book.resolved(flow, doubt, found=a_job(9))
    assert isinstance(sighting(book), Seen)
    book.list_jobs(frozenset())
    book.resolved(flow, doubt, found=None)
    assert isinstance(sighting(book), Gone)


def test_a_job_of_the_same_name_with_another_uid_does_not_settle_a_doubt() -> None:
    book = ledger(a_job())
    book.list_jobs(frozenset())
    flow = book.flows[FLOW_UID]
    book.resolved(flow, (A, 1), found=a_job(9, uid="another"))
    assert isinstance(sighting(book), Gone)


def test_an_answer_that_comes_after_the_deletion_does_not_bring_a_job_back() -> None:
    book = ledger()
    book.take_job(a_job())
    book.drop_job("job-1")
    book.learn(book.flows[FLOW_UID], A, 1, job=a_job(7))
    assert isinstance(sighting(book), Gone)


def test_the_echo_of_our_own_status_write_is_no_news_even_before_its_answer() -> None:
    book = ledger()
    flow = book.flows[FLOW_UID]
    flow.state = object()  # type: ignore[assignment]  # only whether it is kept matters here
    book.begin_record(flow)
    book.take_flow(a_flow(7, phase="Running"))
    assert flow.state is not None
    flow.due = False
    book.recorded(flow, a_flow(7, phase="Running"))
    assert flow.state is not None
    assert not flow.due


def test_a_write_of_somebody_else_while_ours_is_under_way_is_not_missed() -> None:
    book = ledger()
    flow = book.flows[FLOW_UID]
    flow.state = object()  # type: ignore[assignment]  # only whether it is kept matters here
    book.begin_record(flow)
    book.take_flow(a_flow(8, phase="Failed"))
    book.recorded(flow, a_flow(7, phase="Running"))
    assert flow.state is None
    assert flow.resource_version == "8"


def test_jobs_that_come_before_their_flow_wait_for_it() -> None:
    book = Ledger(VirtualClock())
    book.take_job(a_job())
    assert not book.flows
    book.take_flow(a_flow())
    assert isinstance(sighting(book), Seen)


def test_a_refusal_does_not_hide_a_job_that_the_watch_has_shown() -> None:
    book = ledger(a_job())
    book.refused(book.flows[FLOW_UID], A, Refused(1, EPOCH, code=500))
    assert isinstance(sighting(book), Seen)


def test_a_flow_that_a_list_lacks_is_asked_for_before_it_is_forgotten() -> None:
    book = ledger()
    flow = book.flows[FLOW_UID]
    book.list_flows(frozenset())
    assert THE_FLOW in flow.doubts
    book.resolved(flow, THE_FLOW, found=a_flow(9))
    assert FLOW_UID in book.flows
    book.list_flows(frozenset())
    book.resolved(flow, THE_FLOW, found=None)
    assert FLOW_UID not in book.flows


def test_what_is_remembered_of_vanished_objects_is_bounded() -> None:
    book = Ledger(VirtualClock())
    for number in range(GONE_KEPT + 10):
        book.drop_job(f"job-{number}")
    assert len(book._gone) == GONE_KEPT


def test_pods_that_come_and_go_leave_nothing_behind() -> None:
    book = ledger(a_job())
    for number in range(5):
        owner = {"kind": "Job", "uid": "job-1" if number % 2 else "of somebody else"}
        pod = {"metadata": {"name": f"p{number}", "ownerReferences": [owner]}, "status": {"phase": "Running"}}
        book.take_pod(pod)
        book.drop_pod(pod)
    assert not book._pods


@pytest.mark.parametrize(
    ("version", "than", "then"),
    [("10", "9", True), ("9", "10", False), ("9", "9", False), ("b", "a", True), ("a", "a", False), ("9", "x", True)],
)
def test_newer(version: str, than: str, then: bool) -> None:
    assert newer(version, than) is then


@pytest.mark.parametrize(
    ("code", "message", "then"),
    [(413, "", True), (500, "etcdserver: request is too large", True), (500, "timeout", False), (422, "", False)],
)
def test_too_large(code: int, message: str, then: bool) -> None:
    assert too_large(RequestFailed(code, "", message=message)) is then


def test_a_status_without_its_parts_is_still_a_failure() -> None:
    error = failed_with("not even an object", code=500)
    assert (error.code, error.reason, error.causes) == (500, "", ())


# The lease


@given(st.datetimes(timezones=st.just(UTC), min_value=datetime(1000, 1, 1)))
def test_lease_times_always_have_six_digits(at: datetime) -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", micro_time(at))


# Settings


@pytest.mark.parametrize(
    ("arguments", "environment", "then"),
    [
        ([], {}, Settings()),
        (["--metrics-addr", "0"], {}, Settings(port=0)),
        (["--metrics-addr=127.0.0.1:9090"], {}, Settings(host="127.0.0.1", port=9090)),
        (["--metrics-addr=[::1]:9090"], {}, Settings(host="::1", port=9090)),
        (["--leader-election-mode=disabled"], {"REPLICA_COUNT": "1"}, Settings(election=ElectionMode.DISABLED)),
        (["--leader-election-id=x"], {}, Settings(lease="x")),
        (["--enable-leader-election", "--leader-election-namespace=default"], {}, Settings()),
        (["--enable-leader-election=true"], {}, Settings()),
        (["--leader-election-id=x", "--leader-election-lease-name=y"], {}, Settings(lease="y")),
        (["--max-concurrent-reconciles=3"], {"LOG_LEVEL": "DEBUG"}, Settings(workers=3, log_level="debug")),
        (["--log-level=error"], {"LOG_LEVEL": "debug"}, Settings(log_level="error")),
        (["--no-eager-completion", "--events=none"], {}, Settings(eager_completion=False, events=EventMode.NONE)),
        (["--watch-namespace=ci"], {"POD_NAMESPACE": "ops"}, Settings(namespace="ops", watch_namespace="ci")),
        (["--master=https://10.0.0.1:6443"], {}, Settings(master="https://10.0.0.1:6443")),
        (["--enable-webhook=false", "--webhook-addr=:9443"], {"ZEN_FLOW_DEFAULT_BACKOFF_LIMIT": "6"}, Settings()),
        (
            ["--enable-webhook", "--webhook-cert-file=/tls.crt", "--webhook-key-file=/tls.key"],
            {},
            Settings(webhook=Listening("", 9443, certificate="/tls.crt", key="/tls.key")),
        ),
        (
            ["--enable-webhook=true", "--insecure-webhook", "--webhook-addr=127.0.0.1:9000"],
            {},
            Settings(webhook=Listening("127.0.0.1", 9000)),
        ),
        ([], {"ZEN_FLOW_DEFAULT_COMPRESSION": "gzip"}, Settings(ignored=("ZEN_FLOW_DEFAULT_COMPRESSION",))),
        (
            ["--artifact-image=zenflow:1", "--artifact-claim-size=10Gi", "--artifact-access-mode=ReadWriteMany"],
            {},
            Settings(
                flows=FlowSettings(
                    "zenflow:1",
                    ArtifactClaim("10Gi", access_mode="ReadWriteMany"),
                    unmoved=Unmoved.REFUSED,
                    namespace_stores=True,
                )
            ),
        ),
        (
            ["--artifact-store={s3: {bucket: b, key: k/}}", "--no-namespace-artifact-stores"],
            {"ZENFLOW_ARTIFACT_STORE": "{s3: {bucket: other, key: k/}}"},
            Settings(flows=FlowSettings(unmoved=Unmoved.REFUSED, artifact_store=ArtifactStore(S3Location("b", "k/")))),
        ),
        (
            [],
            {"ZENFLOW_ARTIFACT_STORE": "{s3: {bucket: b, key: k/}}"},
            Settings(
                flows=FlowSettings(
                    unmoved=Unmoved.REFUSED,
                    artifact_store=ArtifactStore(S3Location("b", "k/")),
                    namespace_stores=True,
                )
            ),
        ),
        (["--merge-window-ms=0", "--shutdown-seconds=5"], {}, Settings(merge_seconds=0.0, drain_seconds=5.0)),
    ],
)
def test_settings(arguments: list[str], environment: dict[str, str], then: Settings) -> None:
    assert read_settings(arguments, environment) == then


def test_the_service_account_says_where_the_operator_is() -> None:
    assert read_settings([], {}, pod_namespace="ops").namespace == "ops"
    assert read_settings([], {"POD_NAMESPACE": "x"}, pod_namespace="ops").namespace == "x"


@pytest.mark.parametrize(
    ("arguments", "environment", "named"),
    [
        (["--metrics-addr=8080"], {}, "--metrics-addr"),
        (["--metrics-addr=:0"], {}, "--metrics-addr"),
        (["--metrics-addr=:70000"], {}, "--metrics-addr"),
        (["--max-concurrent-reconciles=0"], {}, "--max-concurrent-reconciles"),
        (["--max-concurrent-reconciles=many"], {}, "--max-concurrent-reconciles"),
        (["--kube-api-qps=0"], {}, "--kube-api-qps"),
        (["--kube-api-qps=nan"], {}, "--kube-api-qps"),
        (["--kube-api-qps=1000", "--kube-api-burst=1"], {}, "--kube-api-burst"),
        (["--leader-election-mode=zenlead"], {}, "--leader-election-mode"),
        (["--leader-election-mode=zenlead"], {}, "choose from 'builtin', 'disabled'"),
        (["--enable-leader-election=false"], {}, "--leader-election-mode=disabled"),
        (["--leader-election-namespace=kube-system"], {}, "--leader-election-namespace"),
        (["--leader-election-mode=disabled"], {"REPLICA_COUNT": "2"}, "REPLICA_COUNT"),
        (["--leader-election-id=Not A Name"], {}, "--leader-election-id"),
        (["--watch-namespace=CI"], {}, "--watch-namespace"),
        (["--enable-webhook"], {}, "--enable-webhook"),
        (["--enable-webhook=maybe"], {}, "--enable-webhook"),
        (["--enable-webhook", "--webhook-cert-file=/tls.crt"], {}, "--webhook-key-file"),
        (["--webhook-cert-file=/tls.crt"], {}, "--webhook-cert-file: the webhook is off"),
        (["--insecure-webhook"], {}, "--insecure-webhook: the webhook is off"),
        (["--enable-webhook", "--insecure-webhook", "--webhook-key-file=/k"], {}, "there is a certificate, too"),
        (["--enable-webhook", "--insecure-webhook", "--webhook-addr=0"], {}, "--webhook-addr"),
        (["--master=10.0.0.1"], {}, "--master"),
        (["--artifact-claim-size=0"], {}, "--artifact-claim-size"),
        (["--artifact-access-mode=ReadOnlyMany"], {}, "--artifact-access-mode"),
        (["--artifact-store={s3: {bucket: b, key: k}}"], {}, "--artifact-store: s3.key"),
        ([], {"ZENFLOW_ARTIFACT_STORE": "{s3: {bucket: b}}"}, "ZENFLOW_ARTIFACT_STORE: s3.key: missing"),
        (["--unknown"], {}, "--unknown"),
        ([], {"LOG_LEVEL": "loud"}, "LOG_LEVEL"),
        ([], {"REPLICA_COUNT": "two"}, "REPLICA_COUNT"),
        ([], {"POD_NAMESPACE": "-"}, "POD_NAMESPACE"),
        ([], {"ZEN_FLOW_DEFAULT_TTL_SECONDS": "60"}, "ZEN_FLOW_DEFAULT_TTL_SECONDS"),
    ],
)
def test_nonsense_is_refused_with_what_to_do(arguments: list[str], environment: dict[str, str], named: str) -> None:
    with pytest.raises(Nonsense) as caught:
        read_settings(arguments, environment)
    assert named in str(caught.value)
    assert "\n  fix: " in str(caught.value)
