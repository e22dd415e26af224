"""Parameters on their way from one real container to another: byte for byte, and never through the wrong hands."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

import pytest
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import ConfigMap

from tests.cluster.controlplane import Job
from tests.cluster.operators import phases, rows
from tests.node.flows import Home, Status, a_flow, a_step
from tests.node.stores import give_secret

VALUES: Final = {
    "quotes": """it's "quoted" `and` so 'on'""",
    "lines": "first\nsecond\n\n",
    "carriage returns": "a\r\nb\tc",
    "other scripts": "Grüße 漢字 🚀 \u202e",
    "a control character": "\x01\x7f",
    "a placeholder": "{{.parameters.v0}} {{ if }} ${parameters.v0}",
    "a reference": "$(HOME) $(V0) $$(V0) $( $ $$",
    "leading zeros": "007",
    "a number": "1e3",
    "a boolean": "true",
    "nothing of JSON": "null",
    "spaces": "  two  ",
    "a shell": "; rm -rf / # \\n \\",
    "an option": "-n",
    "YAML": "- a: {b: *c}",
    "JSON": '{"a": [1, "}"]}',
}
SOURCES: Final = ("value", "flow", "configmap", "secret", "step")
NAMES: Final = [f"v{number}" for number in range(len(VALUES))]
EXPECTED: Final = [hashlib.sha256(value.encode()).hexdigest() for value in VALUES.values()]

# The digest of each argument, then of each env var; the shell only ever sees the values in variables.
DIGESTS: Final = (
    'digest() { printf %s "$1" | sha256sum | cut -c1-64; }; { for each in "$@"; do digest "$each"; done; i=0; '
    f'while [ $i -lt {len(VALUES)} ]; do eval "digest \\"\\$V$i\\""; i=`expr $i + 1`; done; '
    "} > /dev/termination-log"
)
ROWS: Final = {"parameters": [{"name": "digests", "valueFrom": {"jsonPath": "$.result"}}]}


def inputs(source: str) -> list[dict[str, Any]]:
    """All values as parameters from this source."""
    made: list[dict[str, Any]] = []
    for name, value in zip(NAMES, VALUES.values(), strict=True):
        origins: dict[str, dict[str, Any]] = {
            "flow": {"valueFrom": {"parameter": name}},
            "configmap": {"valueFrom": {"configMapKeyRef": {"name": "values", "key": name}}},
            "secret": {"valueFrom": {"secretKeyRef": {"name": "values", "key": name}}},
            "step": {"valueFrom": {"jsonPath": f"emit:$.{name}"}},
            "value": {"value": value},
        }
        made.append({"name": name, **origins[source]})
    return made


def verbatim() -> Any:
    """A flow in which a step for each source tells what has arrived."""
    document = json.dumps(dict(zip(NAMES, VALUES.values(), strict=True)), ensure_ascii=False)
    emit = a_step(
        "emit",
        command='printf %s "$DOCUMENT" > /dev/termination-log',
        container={"env": [{"name": "DOCUMENT", "value": "{{.parameters.document}}"}]},
        inputs={"parameters": [{"name": "document", "value": document}]},
    )
    placeholders = [f"{{{{.parameters.{name}}}}}" for name in NAMES]
    env = [{"name": name.upper(), "value": text} for name, text in zip(NAMES, placeholders, strict=True)]
    container = {"command": ["sh", "-c", DIGESTS, "sh", *placeholders], "env": env}
    steps = [
        a_step(
            f"from-{source}",
            *(("emit",) if source == "step" else ()),
            command="",
            container=container,
            inputs={"parameters": inputs(source)},
            outputs=ROWS,
        )
        for source in SOURCES
    ]
    parameters = [{"name": name, "value": value} for name, value in zip(NAMES, VALUES.values(), strict=True)]
    return a_flow("verbatim", emit, *steps, parameters=parameters)


def typed() -> Any:
    """Numbers and a boolean from texts, in fields that are none."""
    step = a_step(
        "typed",
        command="id -u > /dev/termination-log; test ! -e /var/run/secrets/kubernetes.io",
        pod={
            "activeDeadlineSeconds": "{{.parameters.seconds}}",
            "automountServiceAccountToken": "{{.parameters.token}}",
            "securityContext": {"runAsUser": "{{.parameters.user}}"},
        },
        inputs={"parameters": [{"name": n, "value": v} for n, v in (("seconds", "90"), ("token", "false"))]},
        outputs={"parameters": [{"name": "user", "valueFrom": {"jsonPath": "$.result"}}]},
    )
    step["inputs"]["parameters"].append({"name": "user", "valueFrom": {"jsonPath": "who:$.user"}})
    step["dependencies"] = ["who"]
    return a_flow("typed", a_step("who", command="echo '{\"user\": 1234}' > /dev/termination-log"), step)


def mistyped() -> Any:
    step = a_step("mistyped", command="true", inputs={"parameters": [{"name": "seconds", "valueFrom": {}}]})
    step["inputs"]["parameters"][0]["valueFrom"] = {"configMapKeyRef": {"name": "values", "key": "v0"}}
    step["template"]["spec"]["activeDeadlineSeconds"] = "{{.parameters.seconds}}"
    return a_flow("mistyped", step)


def precise() -> Any:
    text = '{"big": 12345678901234567890123, "small": 3.141592653589793, "list": [1, "two", null]}'
    names = ("big", "small", "list")
    outputs = [{"name": each, "valueFrom": {"jsonPath": f"$.{each}"}} for each in names]
    read = [{"name": each, "valueFrom": {"jsonPath": f"says:$.{each}"}} for each in names]
    says = a_step("says", command=f"echo '{text}' > /dev/termination-log", outputs={"parameters": outputs})
    hears = a_step(
        "hears",
        "says",
        command='printf "%s " "$@" > /dev/termination-log',
        inputs={"parameters": read},
        outputs={"parameters": [{"name": "all", "valueFrom": {"jsonPath": "$.result"}}]},
    )
    command = hears["template"]["spec"]["template"]["spec"]["containers"][0]["command"]
    command += ["sh", *(f"{{{{.parameters.{each}}}}}" for each in names)]
    return a_flow("precise", says, hears)


def writes(name: str, size: int, *, beside: int = 0) -> Any:
    """A flow whose result has so many bytes, in a Pod with so many containers more."""
    other = {"image": "busybox:1.35", "command": ["true"]}
    step = a_step(
        "writes",
        command=f"head -c {size} /dev/zero | tr '\\0' x > /dev/termination-log",
        pod={"initContainers": [{"name": f"init-{number}", **other} for number in range(beside)]},
        outputs={"parameters": [{"name": "text", "valueFrom": {"jsonPath": "$.result"}}]},
    )
    return a_flow(name, step)


@pytest.fixture(scope="module")
def ran(home: Home) -> Mapping[str, Status]:
    """The ends of all flows of this file."""
    data = dict(zip(NAMES, VALUES.values(), strict=True))
    home.client.create(ConfigMap(metadata=ObjectMeta(name="values"), data=data))
    give_secret(home, "values", **data)
    flows = [
        *(verbatim(), typed(), mistyped(), precise()),
        *(writes("fits", 4095), writes("too-long", 5000)),
        *(writes("shared", 3071, beside=3), writes("crowded", 3500, beside=3)),
    ]
    for flow in flows:
        home.client.create(flow)
    return home.ended(*(flow["metadata"]["name"] for flow in flows))


def output(ran: Mapping[str, Status], flow: str, step: str) -> str:
    """The first output parameter of a step that succeeded."""
    row = rows(ran[flow])[step]
    assert row["phase"] == "Succeeded", row
    return str(row["outputs"]["parameters"][0]["value"])


@pytest.mark.parametrize("source", SOURCES)
def test_every_value_arrives_byte_for_byte(ran: Mapping[str, Status], source: str) -> None:
    found = output(ran, "verbatim", f"from-{source}").split()
    for place, digests in (("argument", found[: len(VALUES)]), ("env var", found[len(VALUES) :])):
        wrong = [name for name, here, wanted in zip(VALUES, digests, EXPECTED, strict=True) if here != wanted]
        assert wrong == [], f"not as given, as {place}"


def test_a_secret_is_a_reference_in_the_job(ran: Mapping[str, Status], home: Home) -> None:
    (job,) = home.client.list(Job, labels={"workflow.kube-zen.io/step": "from-secret"})
    container = job["spec"]["template"]["spec"]["containers"][0]
    references = [each for each in container["env"] if "secretKeyRef" in each.get("valueFrom", {})]
    assert len(references) == len(VALUES)
    assert container["command"][4] == f"$({references[0]['name']})"
    assert "it's" not in json.dumps(job)
    row = rows(ran["verbatim"])["from-secret"]
    assert "it's" not in json.dumps(row)


def test_texts_become_numbers_and_booleans_where_these_belong(ran: Mapping[str, Status], home: Home) -> None:
    assert output(ran, "typed", "typed").strip() == "1234"
    (job,) = home.client.list(Job, labels={"workflow.kube-zen.io/step": "typed"})
    pod = job["spec"]["template"]["spec"]
    assert (pod["activeDeadlineSeconds"], pod["automountServiceAccountToken"]) == (90, False)


def test_what_is_no_number_fails_the_step_with_its_path(ran: Mapping[str, Status]) -> None:
    row = rows(ran["mistyped"])["mistyped"]
    assert (row["phase"], row["reason"]) == ("Failed", "InputInvalid")
    assert "activeDeadlineSeconds" in row["message"]


def test_numbers_keep_all_their_digits(ran: Mapping[str, Status]) -> None:
    assert output(ran, "precise", "hears") == '12345678901234567890123 3.141592653589793 [1,"two",null] '


@pytest.mark.parametrize(("flow", "size"), [("fits", 4095), ("shared", 3071)])
def test_a_message_within_the_limit_is_whole(ran: Mapping[str, Status], flow: str, size: int) -> None:
    assert output(ran, flow, "writes") == "x" * size


@pytest.mark.parametrize(
    ("flow", "limit"),
    [
        pytest.param("too-long", "4096 bytes", id="4 KiB a container"),
        pytest.param("crowded", "3072 bytes at which it is cut off, its share of the Pod's 12 KiB", id="12 KiB a Pod"),
    ],
)
def test_a_message_that_the_kubelet_has_cut_is_no_result(ran: Mapping[str, Status], flow: str, limit: str) -> None:
    row = rows(ran[flow])["writes"]
    assert (row["phase"], row["reason"]) == ("Failed", "OutputMissing")
    assert limit in row["message"]


def test_all_else_went_well(ran: Mapping[str, Status]) -> None:
    assert {name for name, status in ran.items() if status["phase"] != "Succeeded"} == {
        "mistyped",
        "too-long",
        "crowded",
    }
    assert set(phases(ran["verbatim"]).values()) == {"Succeeded"}
