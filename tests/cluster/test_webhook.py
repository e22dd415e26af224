"""The webhook asked by a real API server: what it refuses, what it lets in, and what happens without it.

The entry of the configuration is the one of `zenflow manifests --webhook`, but for the address.
"""

from __future__ import annotations

import base64
import socket
import ssl
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import httpx2
import lightkube
import pytest
from attrs import frozen
from lightkube.config.client_adapter import verify_cluster
from lightkube.core.exceptions import ApiError
from lightkube.generic_resource import create_global_resource
from lightkube.types import PatchType

from tests.cluster.controlplane import ControlPlane, JobFlow, eventually
from tests.cluster.operators import a_flow, a_step, ended, operator
from tests.runtime.certificates import Authority, mount
from zenflow_runtime.webhook.objects import HOOK, Hook, webhook

Configuration = create_global_resource(
    "admissionregistration.k8s.io", "v1", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations"
)
AUTHORITY: Final = Authority.make()


@frozen
class Hooked:
    """A namespace whose flows a webhook is asked about."""

    port: int
    folder: Path

    @property
    def flags(self) -> tuple[str, ...]:
        """Of an operator that answers."""
        return (
            "--enable-webhook",
            f"--webhook-addr=127.0.0.1:{self.port}",
            f"--webhook-cert-file={self.folder / 'tls.crt'}",
            f"--webhook-key-file={self.folder / 'tls.key'}",
        )


@pytest.fixture
def hooked(plane: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[Hooked]:
    """The API server asks a webhook about the test's namespace, where nobody answers yet."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        here = Hooked(free.getsockname()[1], tmp_path / "tls")
    mount(here.folder, *AUTHORITY.issue("127.0.0.1"))
    hook = Hook(ca_bundle=AUTHORITY.pem)
    asked = {
        "url": f"https://127.0.0.1:{here.port}/validate-jobflow",
        "caBundle": base64.b64encode(AUTHORITY.pem).decode(),
    }
    body = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": f"hook-{namespace}"},
        "webhooks": [webhook(hook, asked, "zenflow-system", only=namespace)],
    }
    with closing(plane.client()) as administrator:
        administrator.create(Configuration.from_dict(body))
        yield here
        administrator.delete(Configuration, f"hook-{namespace}")


def cyclic(name: str) -> Any:
    return a_flow(name, a_step("build", "test"), a_step("test", "build"))


def refusal(client: lightkube.Client, flow: Any) -> ApiError | None:
    """What the API server says to that, if it is against it; nothing is stored."""
    try:
        client.create(flow, dry_run=True)
    except ApiError as error:
        return error
    return None


def test_a_cycle_is_refused_at_the_apply_with_the_words_of_validation(
    plane: ControlPlane, client: lightkube.Client, namespace: str, hooked: Hooked
) -> None:
    with operator(plane, *hooked.flags):
        refused = eventually(lambda: refusal(client, cyclic("cycle")), "the API server to ask")
        status = refused.status
        assert (status.code, status.reason) == (422, "Invalid")
        assert f'admission webhook "{HOOK}" denied the request' in (status.message or "")
        assert "\n  fix: " in (status.message or "")
        assert status.details is not None
        causes = status.details.causes or []
        assert [each.field for each in causes if "cycle" in (each.message or "") or "waits" in (each.message or "")]
        # What is valid comes in, and runs.
        client.create(a_flow("fine", a_step("one", plays={"seconds": "0"})))
        assert ended(client, "fine")["phase"] == "Succeeded"
        with pytest.raises(ApiError) as bad:
            client.create(cyclic("cycle"))
        assert bad.value.status.code == 422
        with pytest.raises(ApiError) as missing:
            client.get(JobFlow, "cycle")
        assert missing.value.status.code == 404


def test_warnings_arrive(plane: ControlPlane, client: lightkube.Client, namespace: str, hooked: Hooked) -> None:
    step = a_step("flaky", retryPolicy={"limit": 3})
    step["template"]["spec"]["backoffLimit"] = 6
    body = dict(a_flow("doubtful", step), apiVersion="workflow.kube-zen.io/v1alpha1", kind="JobFlow")
    config = plane.config
    assert config.user is not None
    with (
        operator(plane, *hooked.flags),
        httpx2.Client(
            base_url=plane.server, verify=verify_cluster(config.cluster, config.user, config.abs_file), trust_env=False
        ) as http,
    ):
        eventually(lambda: refusal(client, cyclic("cycle")), "the API server to ask")
        answer = http.post(f"/apis/workflow.kube-zen.io/v1alpha1/namespaces/{namespace}/jobflows?dryRun=All", json=body)
    assert answer.status_code == 201, answer.text
    (warning,) = answer.headers.get_list("warning")
    assert warning.startswith('299 - "spec.steps[0]')


def test_without_an_answer_the_flow_gets_in_and_the_operator_fails_it(
    plane: ControlPlane, client: lightkube.Client, hooked: Hooked
) -> None:
    client.create(cyclic("let-in"))
    with operator(plane, *hooked.flags):
        status = ended(client, "let-in")
        assert status["phase"] == "Failed"
        ready = next(each for each in status["conditions"] if each["type"] == "Ready")
        assert (ready["status"], ready["reason"]) == ("False", "ValidationFailed")
        assert "cycle" in ready["message"]
        eventually(lambda: refusal(client, cyclic("another")), "the API server to ask")
        # It can be labelled, freed of a finalizer and deleted all the same; its policy may change, too.
        patches: tuple[dict[str, Any], ...] = (
            {"metadata": {"labels": {"seen": "true"}, "finalizers": ["tests.kube-zen.io/hold"]}},
            {"spec": {"executionPolicy": {"ttlSecondsAfterFinished": 86400}}},
            {"metadata": {"finalizers": []}},
        )
        for patch in patches:
            client.patch(JobFlow, "let-in", patch, patch_type=PatchType.MERGE)
        client.delete(JobFlow, "let-in")
        eventually(lambda: not list(client.list(JobFlow)), "the flow to be gone")


def test_a_certificate_changes_while_the_webhook_is_asked(
    plane: ControlPlane, client: lightkube.Client, hooked: Hooked
) -> None:
    with operator(plane, *hooked.flags) as operating:
        eventually(lambda: refusal(client, cyclic("a")), "the API server to ask")
        before = shown(hooked.port)
        mount(hooked.folder, *AUTHORITY.issue("127.0.0.1"))
        eventually(lambda: shown(hooked.port) != before, "the new certificate to be shown")
        assert refusal(client, cyclic("b")) is not None
        assert operating.running.process.poll() is None


def shown(port: int) -> bytes:
    """The certificate that the webhook shows to a new connection."""
    return ssl.get_server_certificate(("127.0.0.1", port)).encode()
