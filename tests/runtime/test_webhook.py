"""What the admission webhook answers, from the review to the bytes on the wire."""

from __future__ import annotations

import base64
import json
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import httpx2
import pytest
import structlog
from hypothesis import given

from tests.bounded import bounded
from tests.defects.lives import flow, step, template
from tests.runtime.certificates import Authority, mount
from zenflow_core.codec import read_flow
from zenflow_core.compile import compile_plan
from zenflow_core.limits import PROBLEMS
from zenflow_core.plan import Plan
from zenflow_core.settings import Settings, Unmoved
from zenflow_core.spec import JobFlow
from zenflow_runtime.webhook.app import BODY_BYTES, application
from zenflow_runtime.webhook.certificates import Certificate, Pair
from zenflow_runtime.webhook.listening import Listening
from zenflow_runtime.webhook.review import (
    DEFAULT_POLICY,
    NotAReviewError,
    mutate_review,
    read_request,
    validate_review,
)
from zenflow_runtime.webhook.serve import Webhook
from zenflow_testing.jsonpatch import apply
from zenflow_testing.strategies import manifests

GOOD = flow(step("build"), step("test", "build"))
CYCLE = flow(step("build", "test"), step("test", "build"))
DOUBTFUL = flow(step("build", retryPolicy={"limit": 3}, template=template(job={"backoffLimit": 6})))


@pytest.fixture(autouse=True)
def _quiet() -> None:
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger("critical"), cache_logger_on_first_use=False
    )


def review(obj: Any = None, old: Any = None, *, operation: str = "CREATE", **request: Any) -> bytes:
    kind = {"group": "workflow.kube-zen.io", "version": "v1alpha1", "kind": "JobFlow"}
    whole = {"uid": "u-1", "kind": kind, "operation": operation, "object": obj, "oldObject": old, **request}
    return json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": whole}).encode()


def validated(body: bytes, settings: Settings | None = None) -> Mapping[str, Any]:
    answer = validate_review(read_request(body), settings=settings or Settings())
    response: Mapping[str, Any] = answer["response"]
    assert (answer["apiVersion"], answer["kind"], response["uid"]) == ("admission.k8s.io/v1", "AdmissionReview", "u-1")
    return response


def changed(manifest: Mapping[str, Any], **metadata: Any) -> dict[str, Any]:
    return {**manifest, "metadata": {**manifest["metadata"], **metadata}}


def with_spec(manifest: Mapping[str, Any], **spec: Any) -> dict[str, Any]:
    return {**manifest, "spec": {**manifest["spec"], **spec}}


WITH_ARTIFACTS = flow(step("make", outputs={"artifacts": [{"name": "a", "path": "/out/a"}]}))


@pytest.mark.parametrize(
    ("body", "allowed"),
    [
        pytest.param(review(GOOD), True, id="a valid flow comes in"),
        pytest.param(review(GOOD, dryRun=True), True, id="a dry run is like any other"),
        pytest.param(review(CYCLE), False, id="a cycle does not"),
        pytest.param(
            review({**GOOD, "metadata": {"generateName": "flow-"}}), True, id="nor does a name have to be there"
        ),
        pytest.param(review(CYCLE, operation="DELETE"), True, id="a deletion is nobody's business"),
        pytest.param(review(None, CYCLE, operation="DELETE"), True, id="as the API server sends it"),
        pytest.param(
            review(changed(CYCLE, labels={"a": "b"}), CYCLE, operation="UPDATE"), True, id="a bad flow's labels"
        ),
        pytest.param(
            review(changed(CYCLE, finalizers=[]), CYCLE, operation="UPDATE"), True, id="a bad flow's finalizers"
        ),
        pytest.param(
            review(
                with_spec(changed(CYCLE, deletionTimestamp="2026-01-01T00:00:00Z"), suspend=True),
                GOOD,
                operation="UPDATE",
            ),
            True,
            id="a flow that is going",
        ),
        pytest.param(
            review(with_spec(CYCLE, suspend=True), CYCLE, operation="UPDATE"), True, id="no worse than it was"
        ),
        pytest.param(review(CYCLE, GOOD, operation="UPDATE"), False, id="made worse"),
        pytest.param(
            review(with_spec(CYCLE, executionPolicy={"backoffLimit": -1}), CYCLE, operation="UPDATE"),
            False,
            id="worse still",
        ),
        pytest.param(review(CYCLE, subResource="status"), True, id="its status"),
        pytest.param(review(CYCLE, kind={"group": "batch", "kind": "Job"}), True, id="another kind"),
        pytest.param(review(None), False, id="no object at all"),
        pytest.param(review("a text"), False, id="no object but a text"),
        pytest.param(review({**GOOD, "spec": None}), False, id="no spec"),
    ],
)
def test_who_comes_in(body: bytes, allowed: bool) -> None:
    assert validated(body)["allowed"] is allowed


def test_a_refusal_says_everything() -> None:
    bad = flow(step("build", "biuld"), step("test", "build", timeoutSeconds=-1), policy={"backoffLimit": -1})
    response = validated(review(bad))
    status = response["status"]
    parsed = read_flow(bad)
    problems = compile_plan(parsed) if isinstance(parsed, JobFlow) else parsed
    assert not isinstance(problems, Plan)
    assert len(problems) >= 2
    assert (status["code"], status["reason"], status["status"]) == (422, "Invalid", "Failure")
    assert status["details"]["name"] == "flow"
    assert [each["field"] for each in status["details"]["causes"]] == [each.path for each in problems]
    for problem, cause in zip(problems, status["details"]["causes"], strict=True):
        assert str(problem) in status["message"]
        assert cause["message"] == f"{problem.what}; fix: {problem.fix}"


def test_a_refusal_is_bounded() -> None:
    bad = flow(*(step(f"s{n}", "missing") for n in range(PROBLEMS + 5)))
    status = validated(review(bad))["status"]
    assert len(status["details"]["causes"]) <= PROBLEMS
    assert status["message"].count("\n  fix: ") == 50
    assert "more; `zenflow validate FILE` shows all" in status["message"]


def test_warnings_travel_with_an_answer_that_lets_in() -> None:
    response = validated(review(DOUBTFUL))
    assert response["allowed"] is True
    assert "spec.steps[0]" in response["warnings"][0]
    assert validated(review(GOOD)).get("warnings") is None
    labelled = changed(DOUBTFUL, labels={"a": "b"})
    assert validated(review(labelled, DOUBTFUL, operation="UPDATE")).get("warnings") is None, "nothing new is said"


def test_warnings_fit_into_headers() -> None:
    steps = [{**DOUBTFUL["spec"]["steps"][0], "name": f"{'long' * 14}-{n}"} for n in range(40)]
    warnings = validated(review(flow(*steps)))["warnings"]
    assert len(warnings) == 11
    assert all(len(each) <= 256 and each.isprintable() for each in warnings)
    assert warnings[-1] == "and 30 more warnings; `zenflow validate FILE` shows all"


def test_what_this_operator_cannot_run_is_refused() -> None:
    assert validated(review(WITH_ARTIFACTS))["allowed"] is True
    unable = validated(review(WITH_ARTIFACTS), Settings(unmoved=Unmoved.REFUSED))
    assert "--artifact-image" in unable["status"]["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"[" * 100_000,
        b"\xff",
        b'{"apiVersion": "admission.k8s.io/v1beta1", "kind": "AdmissionReview", "request": {"uid": "u"}}',
        b'{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}',
        review(GOOD, uid=""),
        review(GOOD, uid=7),
        review(GOOD, operation="PATCH"),
    ],
)
def test_what_is_no_review(body: bytes) -> None:
    with pytest.raises(NotAReviewError):
        read_request(body)


def patched(manifest: Any, **request: Any) -> Any:
    response = mutate_review(read_request(review(manifest, **request)))["response"]
    assert response["allowed"] is True
    if "patch" not in response:
        return manifest
    assert response["patchType"] == "JSONPatch"
    return apply(manifest, json.loads(base64.b64decode(response["patch"]))).document


@pytest.mark.parametrize(
    ("policy", "then"),
    [
        pytest.param({}, dict(DEFAULT_POLICY), id="an empty policy becomes the default one"),
        pytest.param(
            {"concurrencyPolicy": "Allow"}, {**DEFAULT_POLICY, "concurrencyPolicy": "Allow"}, id="the rest is added"
        ),
        pytest.param({"backoffLimit": 0}, {**DEFAULT_POLICY, "backoffLimit": 0}, id="0 is a value"),
        pytest.param({"failFast": True}, {**DEFAULT_POLICY, "failFast": True}, id="others stay"),
        pytest.param({"backoffLimit": None}, dict(DEFAULT_POLICY), id="null is no value"),
        pytest.param("always", "always", id="what is no policy is left to validation"),
    ],
)
def test_defaults_are_written_out(policy: Any, then: Any) -> None:
    assert patched(with_spec(GOOD, executionPolicy=policy))["spec"]["executionPolicy"] == then
    assert patched(GOOD)["spec"]["executionPolicy"] == DEFAULT_POLICY


def test_defaults_are_written_out_at_creation_only() -> None:
    assert patched(GOOD, operation="UPDATE") == GOOD
    assert patched(GOOD, subResource="status") == GOOD
    assert patched("a text") == "a text"


@given(manifests())
def test_a_flow_means_the_same_with_its_defaults_written_out(manifest: dict[str, Any]) -> None:
    """The whole plan, whatever the flow."""
    before, after = read_flow(manifest), read_flow(patched(manifest))
    assert isinstance(before, JobFlow)
    assert isinstance(after, JobFlow)
    assert compile_plan(after) == compile_plan(before)


# --- over HTTP -------------------------------------------------------------------------------------------------------


async def asked(method: str, path: str, **more: Any) -> httpx2.Response:
    transport = httpx2.ASGITransport(application())
    async with httpx2.AsyncClient(transport=transport, base_url="http://webhook.invalid") as http:
        return await http.request(method, path, **more)


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("POST", "/validate-jobflow", review(GOOD), 200),
        ("POST", "/validate-jobflow", review(CYCLE), 200),
        ("POST", "/mutate-jobflow", review(GOOD), 200),
        ("GET", "/validate-jobflow", b"", 405),
        ("GET", "/mutate-jobflow", b"", 405),
        ("POST", "/validate-jobflow", b"{", 400),
        ("POST", "/mutate-jobflow", b"", 400),
        ("POST", "/validate-jobflow", b" " * (BODY_BYTES + 1), 413),
        ("POST", "/elsewhere", b"", 404),
        ("GET", "/healthz", b"", 200),
        ("GET", "/readyz", b"", 200),
    ],
)
def test_status_codes(method: str, path: str, body: bytes, code: int) -> None:
    assert anyio.run(lambda: asked(method, path, content=body)).status_code == code


def test_a_body_that_claims_no_length_is_bounded_too() -> None:
    sent = 0

    async def long() -> Any:
        nonlocal sent
        for _ in range(4 * BODY_BYTES >> 20):
            sent += 1 << 20
            yield b" " * (1 << 20)

    assert anyio.run(lambda: asked("POST", "/validate-jobflow", content=long())).status_code == 413
    assert sent < 2 * BODY_BYTES, "no more is read than is allowed"


def test_half_a_surrogate_pair_is_answered() -> None:
    answer = anyio.run(lambda: asked("POST", "/validate-jobflow", content=review(flow(step("a", "\ud800")))))
    assert answer.status_code == 200
    assert json.loads(answer.content)["response"]["allowed"] is False


def test_the_loop_goes_on_while_a_large_flow_is_examined() -> None:
    """A thousand steps, each with a template of its own: far within the API server's ten seconds."""
    steps = [step("s0", template=template_of(0))]
    steps += [
        step(f"s{n}", f"s{n - 1}", template=template_of(n), when=f"steps.s{n - 1}.phase == 'Succeeded'")
        for n in range(1, 1000)
    ]
    body = review(flow(*steps))
    assert bounded(lambda: validated(body), seconds=5)["allowed"] is True

    async def scene() -> int:
        beats = 0

        async def beat() -> None:
            nonlocal beats
            while True:
                await anyio.sleep(0.001)
                beats += 1

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(beat)
            answer = await asked("POST", "/validate-jobflow", content=body)
            tasks.cancel_scope.cancel()
        assert json.loads(answer.content)["response"]["allowed"] is True
        return beats

    assert anyio.run(scene) > 5, "the loop had to wait for the examination"


def template_of(number: int) -> Any:
    return template(env=[{"name": "NUMBER", "value": str(number)}])


# --- with TLS --------------------------------------------------------------------------------------------------------


def test_a_new_certificate_is_taken_over_and_a_bad_one_is_not(tmp_path: Path) -> None:
    authority = Authority.make()
    files = mount(tmp_path / "tls", *authority.issue("first"))
    certificate = Certificate(Pair(*files))
    certificate.look()
    certificate.look()
    assert (certificate.loaded, certificate.trouble) == (1, "")
    good, _ = authority.issue("second")
    _, other = authority.issue("third")
    mount(tmp_path / "tls", good, other)
    certificate.look()
    assert certificate.loaded == 1
    assert "cannot be used" in certificate.trouble
    mount(tmp_path / "tls", *authority.issue("fourth"))
    certificate.look()
    assert (certificate.loaded, certificate.trouble) == (2, "")


def shown(port: int, authority: Authority, highest: ssl.TLSVersion | None = None) -> str:
    """The name in the certificate that the server shows, checked against the authority."""
    context = ssl.create_default_context(cadata=authority.pem.decode())
    context.check_hostname = False
    if highest is not None:
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.maximum_version = highest
    with socket.create_connection(("127.0.0.1", port), 5) as plain, context.wrap_socket(plain) as tls:
        found = tls.getpeercert()
        assert found is not None
        names: Any = found["subject"]
        return str(names[0][0][1])


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")  # the old versions are asked for on purpose
def test_the_server_waits_for_its_certificate_and_changes_it_while_it_runs(tmp_path: Path) -> None:
    authority = Authority.make()
    folder = tmp_path / "tls"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    async def scene() -> None:
        listening = Listening("127.0.0.1", port, certificate=str(folder / "tls.crt"), key=str(folder / "tls.key"))
        webhook = Webhook(listening, look_seconds=0.02)

        async def until(holds: Any) -> None:
            with anyio.fail_after(20):
                while not holds():
                    await anyio.sleep(0.02)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(webhook.run)
            await anyio.sleep(0.1)
            assert "does not serve yet" in webhook.missing()[0]
            assert "tls.crt" in webhook.missing()[0]
            mount(folder, *authority.issue("first"))
            await until(lambda: not webhook.missing())
            assert await anyio.to_thread.run_sync(shown, port, authority) == "first"
            with pytest.raises(ssl.SSLError):
                await anyio.to_thread.run_sync(shown, port, authority, ssl.TLSVersion.TLSv1_1)
            mount(folder, *authority.issue("second"))
            assert webhook.certificate is not None
            certificate = webhook.certificate
            await until(lambda: certificate.loaded == 2)
            assert await anyio.to_thread.run_sync(shown, port, authority) == "second"
            tasks.cancel_scope.cancel()

    anyio.run(scene)
