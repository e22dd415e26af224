"""The Pod of a step with artifacts: the step's own container between ours, and nothing else changed."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from zenflow_core.artifact_container import ClaimFile
from zenflow_core.artifact_pod import Carried, Located, Run, artifact_obstacles, carry_artifacts
from zenflow_core.reading import main_container
from zenflow_core.spec import (
    Archive,
    ArchiveFormat,
    Compression,
    HttpSource,
    InputArtifact,
    KeySelector,
    OutputArtifact,
    S3Location,
    SecretHeader,
)

S3 = S3Location(
    "models",
    "nightly/model.tar.gz",
    endpoint="https://s3.example.com",
    region="eu-1",
    access_key_id_secret_ref=KeySelector("s3", "id"),
    secret_access_key_secret_ref=KeySelector("s3", "key", True),
)
CREDENTIALS = [
    {"name": "ZENFLOW_S3_0_ACCESS_KEY_ID", "valueFrom": {"secretKeyRef": {"name": "s3", "key": "id"}}},
    {
        "name": "ZENFLOW_S3_0_SECRET_ACCESS_KEY",
        "valueFrom": {"secretKeyRef": {"name": "s3", "key": "key", "optional": True}},
    },
]
S3_ORDER = {
    "bucket": "models",
    "key": "nightly/model.tar.gz",
    "endpoint": "https://s3.example.com",
    "region": "eu-1",
    "accessKeyIdEnv": "ZENFLOW_S3_0_ACCESS_KEY_ID",
    "secretAccessKeyEnv": "ZENFLOW_S3_0_SECRET_ACCESS_KEY",
}


def pod(**fields: Any) -> dict[str, Any]:
    return {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox:1.36"}], **fields}


def carried(
    pod_spec: dict[str, Any] | None = None,
    *,
    inputs: tuple[InputArtifact, ...] = (),
    outputs: tuple[OutputArtifact, ...] = (),
    located: dict[str, Located] | None = None,
) -> Carried:
    given = pod() if pod_spec is None else pod_spec
    before = copy.deepcopy(given)
    found = carry_artifacts(
        given,
        run=Run("0a-uid", "train", 2),
        inputs=inputs,
        outputs=outputs,
        image="zenflow:1",
        claim="nightly-art",
        located=located or {},
    )
    assert given == before
    return found


def orders(container: dict[str, Any]) -> list[dict[str, Any]]:
    """What a container of ours is told to do, as it will find it: Kubernetes reads `$$` as `$`."""
    assert container["env"][0]["name"] == "ZENFLOW_ARTIFACTS"
    found: list[dict[str, Any]] = json.loads(container["env"][0]["value"].replace("$$", "$"))
    return found


def test_an_output_moves_main_before_the_upload() -> None:
    found = carried(outputs=(OutputArtifact("model", "/output/model.bin", s3=S3),))
    assert found.annotations == {"kubectl.kubernetes.io/default-container": "main"}
    assert found.pod_spec == {
        "restartPolicy": "Never",
        "initContainers": [
            {
                "name": "main",
                "image": "busybox:1.36",
                "volumeMounts": [{"name": "zenflow-outputs", "mountPath": "/output", "subPath": "d0"}],
            }
        ],
        "containers": [
            {
                "name": "zenflow-outputs",
                "image": "zenflow:1",
                "imagePullPolicy": "IfNotPresent",
                "command": ["python3", "-m", "zenflow_runtime.artifacts"],
                "args": ["outputs"],
                "env": [found.pod_spec["containers"][0]["env"][0], *CREDENTIALS],
                "resources": {
                    "requests": {"cpu": "50m", "memory": "64Mi"},
                    "limits": {"cpu": "1", "memory": "128Mi"},
                },
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                    "readOnlyRootFilesystem": True,
                    "runAsNonRoot": True,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "terminationMessagePolicy": "FallbackToLogsOnError",
                "volumeMounts": [
                    {
                        "name": "zenflow-outputs",
                        "mountPath": "/zenflow/outputs/0",
                        "subPath": "d0",
                        "readOnly": True,
                    },
                    {
                        "name": "zenflow-no-token",
                        "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
                        "readOnly": True,
                    },
                ],
            }
        ],
        "volumes": [{"name": "zenflow-outputs", "emptyDir": {}}, {"name": "zenflow-no-token", "emptyDir": {}}],
    }
    assert orders(found.pod_spec["containers"][0]) == [
        {
            "name": "model",
            "root": "/zenflow/outputs/0",
            "from": "/zenflow/outputs/0/model.bin",
            "entry": "model.bin",
            "optional": False,
            "location": "s3://models/nightly/model.tar.gz",
            "s3": S3_ORDER,
            "archive": {"format": "tar", "compression": "none"},
        }
    ]
    assert main_container(found.pod_spec) == "main"


def test_an_input_is_fetched_before_main() -> None:
    found = carried(
        pod(initContainers=[{"name": "proxy", "restartPolicy": "Always"}]),
        inputs=(
            InputArtifact("data", "/in/data.csv", http=HttpSource("https://example.com/$(X)?a=$b", {"A": "b"})),
            InputArtifact("model", from_="fit/model", optional=True),
        ),
        located={"model": Located(S3, "ab" * 32, 7, Archive(ArchiveFormat.ZIP, Compression.NONE))},
    )
    assert found.annotations == {}
    names = [each["name"] for each in found.pod_spec["initContainers"]]
    assert names == ["proxy", "zenflow-inputs"]
    (main,) = found.pod_spec["containers"]
    assert main == {
        "name": "main",
        "image": "busybox:1.36",
        "volumeMounts": [
            {"name": "zenflow-inputs", "mountPath": "/in/data.csv", "subPath": "data"},
            {"name": "zenflow-inputs", "mountPath": "/tmp/artifacts/model", "subPath": "model"},
        ],
    }
    fetch = found.pod_spec["initContainers"][1]
    assert fetch["args"] == ["inputs"]
    assert [each["name"] for each in fetch["env"][1:]] == [
        "ZENFLOW_S3_1_ACCESS_KEY_ID",
        "ZENFLOW_S3_1_SECRET_ACCESS_KEY",
    ]
    assert orders(fetch) == [
        {
            "name": "data",
            "to": "/zenflow/inputs/data",
            "optional": False,
            "http": {"url": "https://example.com/$(X)?a=$b", "headers": {"A": "b"}},
        },
        {
            "name": "model",
            "to": "/zenflow/inputs/model",
            "optional": True,
            "s3": json.loads(json.dumps(S3_ORDER).replace("S3_0", "S3_1")),
            "sha256": "ab" * 32,
            "size": 7,
            "archive": {"format": "zip", "compression": "none", "whole": True},
        },
    ]


def test_headers_out_of_secrets_are_env_references_of_the_fetching_container_alone() -> None:
    headers = (
        SecretHeader("Authorization", KeySelector("data", "token"), prefix="Bearer "),
        SecretHeader("X-Team", KeySelector("team", "name", optional=True)),
    )
    page = HttpSource("https://example.com", {"Accept": "a/b"}, headers_from=headers)
    found = carried(inputs=(InputArtifact("first", http=HttpSource("https://x")), InputArtifact("data", http=page)))
    (fetch,) = found.pod_spec["initContainers"]
    assert fetch["env"][1:] == [
        {"name": "ZENFLOW_HTTP_1_HEADER_0", "valueFrom": {"secretKeyRef": {"name": "data", "key": "token"}}},
        {
            "name": "ZENFLOW_HTTP_1_HEADER_1",
            "valueFrom": {"secretKeyRef": {"name": "team", "key": "name", "optional": True}},
        },
    ]
    without, order = orders(fetch)
    assert "headersFrom" not in without["http"]
    assert order["http"] == {
        "url": "https://example.com",
        "headers": {"Accept": "a/b"},
        "headersFrom": [
            {"name": "Authorization", "prefix": "Bearer ", "env": "ZENFLOW_HTTP_1_HEADER_0"},
            {"name": "X-Team", "prefix": "", "env": "ZENFLOW_HTTP_1_HEADER_1"},
        ],
    }
    (main,) = found.pod_spec["containers"]
    assert "env" not in main


def test_kubernetes_expands_nothing_in_orders() -> None:
    found = carried(inputs=(InputArtifact("data", "/in", http=HttpSource("https://example.com/$(SECRET)")),))
    assert "$$(SECRET)" in found.pod_spec["initContainers"][0]["env"][0]["value"]


def test_what_is_on_the_claim_is_mounted_and_not_fetched() -> None:
    found = carried(
        inputs=(InputArtifact("data", "/in", from_="fetch/rows"), InputArtifact("log", "/log", from_="fetch/log")),
        located={"data": Located(ClaimFile("fetch/2/0a/rows")), "log": Located(ClaimFile("fetch/2/0a/log"))},
    )
    assert found.pod_spec == pod(
        containers=[
            {
                "name": "main",
                "image": "busybox:1.36",
                "volumeMounts": [
                    {"name": "zenflow-artifacts", "mountPath": "/in", "subPath": "fetch/2/0a/rows", "readOnly": True},
                    {"name": "zenflow-artifacts", "mountPath": "/log", "subPath": "fetch/2/0a/log", "readOnly": True},
                ],
            }
        ],
        volumes=[{"name": "zenflow-artifacts", "persistentVolumeClaim": {"claimName": "nightly-art"}}],
    )


def test_a_retry_of_a_flow_mounts_what_status_says() -> None:
    found = carried(
        inputs=(InputArtifact("data", "/in", from_="fetch/rows"),), located={"data": Located(ClaimFile("other/rows"))}
    )
    assert found.pod_spec["containers"][0]["volumeMounts"][0]["subPath"] == "other/rows"


def test_an_output_without_a_store_goes_to_the_claim() -> None:
    found = carried(outputs=(OutputArtifact("rows", "/out/rows"),))
    (store,) = found.pod_spec["containers"]
    assert {"name": "zenflow-artifacts", "mountPath": "/zenflow/claim"} in store["volumeMounts"]
    assert orders(store) == [
        {
            "name": "rows",
            "root": "/zenflow/outputs/0",
            "from": "/zenflow/outputs/0/rows",
            "entry": "rows",
            "optional": False,
            "location": "claim:train/2/",
            "claim": "/zenflow/claim/train/2/",
        }
    ]


@pytest.mark.parametrize(
    ("given", "then"),
    [
        pytest.param(None, {"fsGroup": 65532, "fsGroupChangePolicy": "OnRootMismatch"}, id="a group of ours"),
        pytest.param({"fsGroup": 7}, {"fsGroup": 7}, id="the template's group"),
        pytest.param(
            {"runAsUser": 5, "fsGroupChangePolicy": "Always"},
            {"runAsUser": 5, "fsGroup": 65532, "fsGroupChangePolicy": "Always"},
            id="what else the template says",
        ),
    ],
)
def test_who_writes_to_the_claim_may(given: dict[str, Any] | None, then: dict[str, Any]) -> None:
    outputs = (OutputArtifact("rows", "/out/rows"),)
    found = carried(pod(securityContext=given) if given else pod(), outputs=outputs)
    assert found.pod_spec["securityContext"] == then


def test_who_writes_to_no_claim_keeps_the_group() -> None:
    assert "securityContext" not in carried(outputs=(OutputArtifact("rows", "/out/rows", s3=S3),)).pod_spec


def test_an_attempt_has_a_place_of_its_own_where_the_key_is_a_directory() -> None:
    found = carried(outputs=(OutputArtifact("rows", "/out/rows", s3=S3Location("b", "nightly/")),))
    (order,) = orders(found.pod_spec["containers"][0])
    assert order["s3"]["key"] == "nightly/0a-uid/train/2/"
    assert order["location"] == "s3://b/nightly/0a-uid/train/2/"


def test_what_an_input_says_of_itself_is_passed_on() -> None:
    found = carried(
        inputs=(
            InputArtifact(
                "data",
                s3=S3Location("b", "k", ca_config_map_ref=KeySelector("authority", "ca.crt")),
                sha256="ab" * 32,
                archive=Archive(),
                size_limit="2Gi",
            ),
            InputArtifact("page", http=HttpSource("https://example.com", {}, KeySelector("authority", "ca.crt"))),
        )
    )
    fetch = found.pod_spec["initContainers"][0]
    data, page = orders(fetch)
    assert (data["sha256"], data["limit"], data["s3"]["caEnv"]) == ("ab" * 32, 2 << 30, "ZENFLOW_S3_0_CA")
    assert data["archive"] == {"format": "tar", "compression": "none", "whole": False}
    assert page["http"]["caEnv"] == "ZENFLOW_HTTP_1_CA"
    reference = {"configMapKeyRef": {"name": "authority", "key": "ca.crt"}}
    assert [each["valueFrom"] for each in fetch["env"][1:]] == [reference, reference]


@pytest.mark.parametrize(
    ("mounts", "path", "mounted", "read"),
    [
        pytest.param([], "/out/a/rows", "/out/a", "/zenflow/outputs/0/rows", id="a file gets its directory"),
        pytest.param([], "/out", "/out", "/zenflow/outputs/0", id="at the top it is a directory itself"),
        pytest.param([], "/out/rows/", "/out", "/zenflow/outputs/0/rows", id="a slash at the end says nothing"),
        pytest.param(["/out"], "/out/a/rows", "/out", "/zenflow/outputs/0/a/rows", id="a volume of its own is read"),
        pytest.param(["/out"], "/out", "/out", "/zenflow/outputs/0", id="a whole volume is read"),
        pytest.param(["/out", "/out/a"], "/out/a/rows", "/out/a", "/zenflow/outputs/0/rows", id="the innermost volume"),
        pytest.param(["/out/a", "/out"], "/out/a/rows", "/out/a", "/zenflow/outputs/0/rows", id="in whatever order"),
        pytest.param(
            ["/outer"], "/out/rows", "/out", "/zenflow/outputs/0/rows", id="a longer name is another directory"
        ),
    ],
)
def test_an_output_is_read_from_where_main_wrote_it(mounts: list[str], path: str, mounted: str, read: str) -> None:
    given = pod()
    given["containers"][0]["volumeMounts"] = [{"name": f"v{each}", "mountPath": each} for each in mounts]
    found = carried(given, outputs=(OutputArtifact("rows", path, s3=S3),))
    main, (store,) = found.pod_spec["initContainers"][-1], found.pod_spec["containers"]
    (written,) = (each for each in main["volumeMounts"] if each["mountPath"] == mounted)
    assert store["volumeMounts"][0] == {**written, "mountPath": "/zenflow/outputs/0", "readOnly": True}
    assert orders(store)[0]["from"] == read
    assert len(main["volumeMounts"]) == len(mounts) + (mounted not in mounts)


def test_outputs_in_one_directory_share_its_volume() -> None:
    found = carried(outputs=(OutputArtifact("a", "/out/a", s3=S3), OutputArtifact("b", "/out/b", s3=S3)))
    assert len(found.pod_spec["initContainers"][-1]["volumeMounts"]) == 1
    (store,) = found.pod_spec["containers"]
    assert [each["from"] for each in orders(store)] == ["/zenflow/outputs/0/a", "/zenflow/outputs/1/b"]


@pytest.mark.parametrize(
    ("of_pod", "of_main", "context"),
    [
        pytest.param({}, {}, {}, id="the image's own user"),
        pytest.param({"runAsUser": 1000}, {}, {"runAsUser": 1000}, id="the Pod's user"),
        pytest.param({"runAsUser": 1000}, {"runAsUser": 2000}, {"runAsUser": 2000}, id="main's user wins"),
        pytest.param({"runAsUser": 0}, {}, {"runAsUser": 65532}, id="never root by the Pod"),
        pytest.param({}, {"runAsUser": 0}, {"runAsUser": 65532}, id="never root by main"),
        pytest.param({}, {"runAsGroup": 30}, {"runAsGroup": 30}, id="main's group"),
    ],
)
def test_our_containers_run_restricted(
    of_pod: dict[str, int], of_main: dict[str, int], context: dict[str, int]
) -> None:
    given = pod(**({"securityContext": of_pod} if of_pod else {}))
    given["containers"][0] |= {"securityContext": of_main} if of_main else {}
    found = carried(given, outputs=(OutputArtifact("rows", "/out/rows"),))
    assert found.pod_spec["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
        **context,
    }


def test_no_token_needs_no_hiding_where_none_is_mounted() -> None:
    found = carried(pod(automountServiceAccountToken=False), outputs=(OutputArtifact("rows", "/out/rows"),))
    assert "zenflow-no-token" not in json.dumps(found.pod_spec)


IN = (InputArtifact("data", "/in", from_="fetch/data"),)
OUT = (OutputArtifact("rows", "/out/rows"),)


def mounting(**mount: str) -> dict[str, Any]:
    return pod(containers=[{"name": "main", "volumeMounts": [{"name": "v", **mount}]}])


@pytest.mark.parametrize(
    ("pod_spec", "inputs", "outputs", "paths"),
    [
        pytest.param(pod(), IN, OUT, [], id="nothing in the way"),
        pytest.param(
            pod(containers=[{"name": "zenflow-x"}]), (), (), [], id="a step without artifacts may use any names"
        ),
        pytest.param(pod(containers=[{"name": "main"}, {"name": "log"}]), IN, (), [], id="inputs with two containers"),
        pytest.param(
            pod(containers=[{"name": "main"}, {"name": "log"}]),
            (),
            OUT,
            ["template.spec.containers"],
            id="outputs with two containers",
        ),
        pytest.param(
            pod(initContainers=[{"name": "log", "restartPolicy": "Always"}]), (), OUT, [], id="outputs with a sidecar"
        ),
        pytest.param(
            pod(containers=[{"name": "main", "lifecycle": {}, "livenessProbe": {}, "startupProbe": {}}]),
            (),
            OUT,
            [
                "template.spec.containers[0].lifecycle",
                "template.spec.containers[0].livenessProbe",
                "template.spec.containers[0].startupProbe",
            ],
            id="outputs with hooks and probes",
        ),
        pytest.param(pod(containers=[{"name": "main", "readinessProbe": {}}]), IN, (), [], id="inputs with a probe"),
        pytest.param(
            pod(volumes=[{"name": "zenflow-artifacts"}], initContainers=[{"name": "zenflow-inputs"}]),
            IN,
            (),
            ["template.spec.initContainers[0].name", "template.spec.volumes[0].name"],
            id="names of ours",
        ),
        pytest.param(pod(containers=[]), IN, (), ["template.spec.containers"], id="no container"),
        pytest.param(
            mounting(mountPath="/in/"), IN, (), ["template.spec.containers[0].volumeMounts"], id="the path is taken"
        ),
        pytest.param(mounting(mountPath="/in/x"), IN, (), [], id="a mount below the input's path"),
        pytest.param(
            pod(),
            (*IN, InputArtifact("more", "/in", from_="a/b")),
            (),
            ["template.spec.containers[0].volumeMounts"],
            id="two inputs at one path",
        ),
        pytest.param(
            pod(),
            (),
            (OutputArtifact("x", "/etc/x"),),
            ["template.spec.containers[0].volumeMounts"],
            id="an output in a system directory",
        ),
        pytest.param(mounting(mountPath="/etc/x"), (), (OutputArtifact("x", "/etc/x"),), [], id="on a volume"),
        pytest.param(
            mounting(mountPath="/out", subPathExpr="$(POD)"),
            (),
            OUT,
            ["template.spec.containers[0].volumeMounts"],
            id="an output on a mount by subPathExpr",
        ),
    ],
)
def test_what_keeps_a_template_from_carrying_artifacts(
    pod_spec: dict[str, Any],
    inputs: tuple[InputArtifact, ...],
    outputs: tuple[OutputArtifact, ...],
    paths: list[str],
) -> None:
    found = artifact_obstacles(pod_spec, inputs=inputs, outputs=outputs)
    assert [each.path for each in found] == paths
    assert all(each.what and each.fix for each in found)
