"""The ten larger examples, run to their ends in real containers.

What is replaced, and nothing else: images and commands by a shell that checks that the inputs are there and leaves the
outputs, what containers ask of the node (memory, devices), addresses of stores and pages, pauses between attempts, and
a TTL of 0, by which the flow would be gone before its end is seen. Secrets are made as they are named; approvals are
given as they are asked for. Some steps fail, as their flows foresee it; their Jobs repeat no Pods.
"""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest
import yaml

from tests.artifacts.servers import Answer, Asked, serving
from tests.cluster.controlplane import JobFlow
from tests.cluster.operators import EXAMPLES, phases, rows, status_of
from tests.node.flows import BUSYBOX, Home, Status
from tests.node.stores import EVERYWHERE, Store, give_secret

NOT_RESTORED: Final = ("compare", "approve-prune", "prune")
NOT_LOADED: Final = ("load", "check-load", "transform", "check-result", "docs")
ENDS: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "release-train": ("Succeeded", {}),
    "tsdb-ci": ("Succeeded", {}),
    "churn-model": ("Succeeded", {"train-net": "Failed"}),
    "rnaseq": ("Succeeded", {}),
    "db-backup": ("Succeeded", {"restore": "Failed", **dict.fromkeys(NOT_RESTORED, "Skipped")}),
    "npi-quality": ("Succeeded", {"check-source": "Failed", **dict.fromkeys(NOT_LOADED, "Skipped")}),
    "fan-out-300": ("Succeeded", {}),
    "vm-lifecycle": ("Succeeded", {}),
    "always-clean-up": ("Succeeded", {"unit": "Failed", "report-success": "Skipped", "never-used": "Skipped"}),
    "movie-stats": ("Succeeded", {}),
}
"""How each ends, and which of its steps do not succeed."""

FAILS: Final = {
    ("release-train", "checkout"): 'case "$HOSTNAME" in *-r1-*) ;; *) exit 64;; esac',  # one attempt
    ("churn-model", "train-net"): "exit 10",
    ("db-backup", "restore"): "exit 1",
    ("npi-quality", "check-source"): "exit 1",
    ("always-clean-up", "unit"): "exit 2",
}
CHECKS: Final = {
    ("churn-model", "score-check"): 'test "$AUC" = evaluate.auc',
    ("churn-model", "fetch"): 'test "$TABLE" = crm.events',
    ("release-train", "deploy"): 'test "$DIGEST" = image.digest',
    ("vm-lifecycle", "delete"): 'test "$ID" = create.id && test -n "$CLIENT_SECRET"',
    ("movie-stats", "join"): 'test "$HORROR" = genre-horror.median',
}
"""What a step's own command would see of its parameters."""


def command(flow: str, step: Mapping[str, Any]) -> str:
    """What stands for a step's own command."""
    lines = [FAILS.get((flow, step["name"]), ":"), CHECKS.get((flow, step["name"]), ":")]
    lines += [f"ls {each['path']}" for each in (step.get("inputs") or {}).get("artifacts", ())]
    outputs = step.get("outputs") or {}
    for each in outputs.get("artifacts", ()):
        parent = each["path"].rpartition("/")[0]
        # One at the top is a directory.
        file = each["path"] if parent else f"{each['path']}/file"
        lines += [f"mkdir -p {parent or each['path']}", f"echo {step['name']} > {file}"]
    result: dict[str, Any] = {}
    for each in outputs.get("parameters", ()):
        *above, last = each["valueFrom"]["jsonPath"].removeprefix("$.").split(".")
        place = result
        for name in above:
            place = place.setdefault(name, {})
        place[last] = f"{step['name']}.{last}"
    lines += [f"echo {shlex.quote(json.dumps(result))} > /dev/termination-log"] if result else []
    return " && ".join(line for line in lines if line != ":") or "true"


def replaced(name: str, store: Store, page: str) -> dict[str, Any]:
    """An example for this node."""
    manifest: dict[str, Any] = yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8"))
    del manifest["metadata"]["namespace"]
    policy = manifest["spec"].get("executionPolicy") or {}
    if policy.get("ttlSecondsAfterFinished") == 0:
        policy["ttlSecondsAfterFinished"] = 600
    for step in manifest["spec"]["steps"]:
        if "template" not in step:
            continue
        (step.get("retryPolicy") or {}).get("backoff", {})["duration"] = "1s"
        job = step["template"]["spec"]
        if (name, step["name"]) in FAILS:
            job["backoffLimit"] = 0
        pod = job["template"]["spec"]
        for field in ("initContainers", "containers"):
            for container in pod.get(field, ()):
                line = command(name, step) if field == "containers" else "true"
                container |= {"image": BUSYBOX, "command": ["sh", "-c", line]}
                container.pop("resources", None)
        for artifact in (step.get("inputs") or {}).get("artifacts", ()):
            if "http" in artifact:
                artifact["http"]["url"] = page
        for artifact in (step.get("outputs") or {}).get("artifacts", ()):
            if "s3" in artifact:
                artifact["s3"]["endpoint"] = store.url()
    return manifest


def secrets(part: Any) -> Iterator[tuple[str, str]]:
    """Name and key of each Secret that a manifest refers to."""
    if isinstance(part, list):
        for each in part:
            yield from secrets(each)
    elif isinstance(part, dict):
        for key, value in part.items():
            if key.endswith(("SecretRef", "secretKeyRef")):
                yield value["name"], value["key"]
            else:
                yield from secrets(value)


def approved_to_the_end(home: Home, names: set[str], *, within: float) -> dict[str, Status]:
    """The statuses of these flows once all have ended; each approval is given when it is asked for."""
    ends: dict[str, Status] = {}
    deadline = time.monotonic() + within
    while names - ends.keys():
        assert time.monotonic() < deadline, f"not ended: {names - ends.keys()}"
        for name in names - ends.keys():
            status = status_of(home.client, name)
            if status.get("phase") in {"Succeeded", "Failed"}:
                ends[name] = status
            for row in status.get("steps", ()):
                if row.get("phase") == "PendingApproval":
                    home.approve(name, row["name"])
        time.sleep(0.2)
    return ends


@pytest.fixture(scope="module")
def ends(home: Home, store: Store, volumes: None) -> Iterator[Mapping[str, Status]]:
    """The ends of all of them."""

    def page(asked: Asked) -> Answer:
        return Answer(200 if asked.headers.get("Accept") == "text/csv" else 406, b"title,genre\nAlien,horror\n")

    store.make("backups")
    with serving(page, listens=EVERYWHERE) as web:
        manifests = [replaced(name, store, f"{store.url(web.port)}/movies.csv") for name in ENDS]
        found: dict[str, dict[str, str]] = {}
        for name, key in secrets(manifests):
            found.setdefault(name, {})[key] = f"{name}.{key}"
        for name, values in found.items():
            give_secret(home, name, **values)
        for manifest in manifests:
            home.client.create(JobFlow.from_dict(manifest))
        yield approved_to_the_end(home, set(ENDS), within=600)


@pytest.mark.parametrize("name", ENDS)
def test_the_example_ends_as_it_should(ends: Mapping[str, Status], name: str) -> None:
    phase, others = ENDS[name]
    found = {step: each for step, each in phases(ends[name]).items() if each != "Succeeded"}
    assert (ends[name]["phase"], found) == (phase, others)


def test_the_attempt_that_failed_was_repeated(ends: Mapping[str, Status]) -> None:
    assert rows(ends["release-train"])["checkout"]["retryCount"] == 1


def test_the_dump_is_in_its_bucket(ends: Mapping[str, Status], store: Store) -> None:
    assert store.keys("backups") == ["shop/latest.tgz"]
