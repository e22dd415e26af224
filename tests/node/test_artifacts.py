"""Artifacts between real Pods: by S3, by the flow's own volume, from a web page; and what goes wrong on the way."""

from __future__ import annotations

import hashlib
import itertools
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from typing import Any, Final

import pytest
import yaml
from attrs import define, field
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import ConfigMap, PersistentVolumeClaim

from tests.artifacts.servers import RESET, Answer, Asked, serving
from tests.cluster.conftest import fresh_namespace
from tests.cluster.controlplane import ControlPlane
from tests.cluster.operators import reached, rows
from tests.node.flows import Home, Status, a_flow, a_step
from tests.node.stores import EVERYWHERE, Store, give_credentials

BUCKET: Final = "artifacts"
PAGE: Final = b"".join(b"line %d of the page\n" % number for number in range(2000))

# A directory with a name of several words, an empty file and something to run; then its digest, name by name.
TREE: Final = (
    "mkdir -p /out/tree/sub && echo one > '/out/tree/sub/a file' && : > /out/tree/empty && "
    "printf '#!/bin/sh\\necho ran\\n' > /out/tree/run && chmod +x /out/tree/run"
)
FILE: Final = "head -c 300000 /dev/urandom > /out/file && sha256sum /out/file | cut -c1-64 > /dev/termination-log"
READ: Final = (
    'test "`cat "/in/tree/sub/a file"`" = one && test -f /in/tree/empty && test ! -s /in/tree/empty && '
    'test "`/in/tree/run`" = ran && sha256sum /in/file | cut -c1-64 > /dev/termination-log'
)
DIGEST: Final = {"name": "digest", "valueFrom": {"jsonPath": "$.result"}}


@define
class Faults:
    """A store that answers every other request badly: by turns a reset and SlowDown."""

    numbers: Iterator[int] = field(factory=itertools.count)
    lock: threading.Lock = field(factory=threading.Lock)
    given: int = 0

    def __call__(self, asked: Asked) -> Answer | None:
        with self.lock:
            number = next(self.numbers)
            if number % 2:
                return None
            self.given += 1
        if number % 4:
            return Answer(503, b"<Error><Code>SlowDown</Code><Message>Please reduce</Message></Error>")
        return Answer(RESET)


def refuses_late(asked: Asked) -> Answer | None:
    """A store that takes the first artifact of a first attempt and not the second."""
    if asked.method in {"PUT", "POST"} and "/make/1/" in asked.path and asked.path.split("?")[0].endswith("/late"):
        return Answer(403, b"<Error><Code>AccessDenied</Code><Message>not this time</Message></Error>")
    return None


def page(asked: Asked) -> Answer:
    """A web page for those who ask for it as told; it breaks off once."""
    if asked.headers.get("X-Asked-By") != "zenflow":
        return Answer(403, b"who are you?")
    start = int((asked.headers.get("Range") or "bytes=0-").removeprefix("bytes=").split("-")[0])
    if start:
        ranged = {"ETag": '"1"', "Content-Range": f"bytes {start}-{len(PAGE) - 1}/{len(PAGE)}"}
        return Answer(206, PAGE[start:], ranged)
    return Answer(200, PAGE, {"ETag": '"1"'}, sent=20000, abrupt=False)


def handed_on(name: str, *, file: Mapping[str, Any], tree: Mapping[str, Any], twice: bool = False) -> Any:
    """A flow whose step `make` leaves a file and a directory in these stores, and whose step `use` finds them."""
    outputs = [{"name": "file", "path": "/out/file", **file}, {"name": "tree", "path": "/out/tree", **tree}]
    make = a_step("make", command=f"{TREE} && {FILE}", outputs={"parameters": [DIGEST], "artifacts": outputs})
    found = [{"name": each, "path": f"/in/{each}", "from": f"make/{each}"} for each in ("file", "tree")]
    use = a_step("use", "make", command=READ, inputs={"artifacts": found}, outputs={"parameters": [DIGEST]})
    return a_flow(name, make, use)


def fetched(name: str, url: str, *, digest: str, **fields: Any) -> Any:
    """A flow that fetches a page, keeps it on the claim, and from there in S3."""
    http = {"url": url, "headers": {"X-Asked-By": "zenflow"}}
    fetch = a_step(
        "fetch",
        command="mkdir -p /out && cp /in/page /out/page",
        inputs={"artifacts": [{"name": "page", "path": "/in/page", "http": http, "sha256": digest}]},
        outputs={"artifacts": [{"name": "page", "path": "/out/page"}]},
    )
    store = a_step(
        "store",
        "fetch",
        command="cp /in/page /out/page",
        inputs={"artifacts": [{"name": "page", "path": "/in/page", "from": "fetch/page"}]},
        outputs={"artifacts": [{"name": "page", "path": "/out/page", **fields}]},
    )
    check = a_step(
        "check",
        "store",
        command="sha256sum /in/page | cut -c1-64 > /dev/termination-log",
        inputs={"artifacts": [{"name": "page", "path": "/in/page", "from": "store/page"}]},
        outputs={"parameters": [DIGEST]},
    )
    return a_flow(name, fetch, store, check)


def attempts(name: str, **stores: Mapping[str, Any]) -> Any:
    """A flow whose step says in two artifacts which attempt has made them."""
    make = a_step(
        "make",
        command="echo $HOSTNAME | sed 's/-[^-]*$//' | tee /out/early > /out/late",
        retryPolicy={"limit": 2, "backoff": {"type": "Fixed", "duration": "1s"}},
        outputs={"artifacts": [{"name": each, "path": f"/out/{each}", "s3": s3} for each, s3 in stores.items()]},
    )
    use = a_step(
        "use",
        "make",
        command="cat /in/early /in/late > /dev/termination-log",
        inputs={"artifacts": [{"name": e, "path": f"/in/{e}", "from": f"make/{e}"} for e in ("early", "late")]},
        outputs={"parameters": [{"name": "made-by", "valueFrom": {"jsonPath": "$.result"}}]},
    )
    return a_flow(name, make, use)


def tampered(name: str, s3: Mapping[str, Any]) -> Any:
    """A flow that waits between maker and user until somebody has changed the object."""
    make = a_step("make", command="echo whole > /out/it", outputs={"artifacts": [{"name": "it", "path": "/out/it"}]})
    make["outputs"]["artifacts"][0]["s3"] = s3
    use = a_step("use", "gate", command="cat /in/it", inputs={"artifacts": [{"name": "it", "from": "make/it"}]})
    return a_flow(name, make, {"name": "gate", "type": "Manual", "dependencies": ["make"]}, use)


def optional(name: str, s3: Mapping[str, Any]) -> Any:
    """A flow in which nothing optional is there."""
    outputs: list[dict[str, Any]] = [{"name": e, "path": f"/out/{e}", "optional": True} for e in ("log", "core")]
    outputs[1]["s3"] = s3
    wanted: list[dict[str, Any]] = [
        {"name": e, "path": f"/in/{e}", "from": f"make/{e}", "optional": True} for e in ("log", "core")
    ]
    wanted.append({"name": "old", "path": "/in/old", "s3": {**s3, "key": "never/made"}, "optional": True})
    use = a_step("use", "make", command='test -z "`ls /in/log /in/core /in/old | grep -v :`"')
    return a_flow(
        name, a_step("make", command="true", outputs={"artifacts": outputs}), {**use, "inputs": {"artifacts": wanted}}
    )


@define
class Played:
    """What has become of the flows of this file."""

    ran: Mapping[str, Status]
    store: Store
    faults: Faults

    def value(self, flow: str, step: str) -> str:
        """The first output parameter of a step that succeeded."""
        row = rows(self.ran[flow])[step]
        assert row["phase"] == "Succeeded", row
        return str(row["outputs"]["parameters"][0]["value"]).strip()

    def location(self, flow: str, step: str, name: str) -> str:
        """Where an artifact was recorded to be."""
        return next(str(e["location"]) for e in self.artifacts(flow, step) if e["name"] == name)

    def artifacts(self, flow: str, step: str) -> list[Mapping[str, Any]]:
        return list(rows(self.ran[flow])[step]["outputs"]["artifacts"])


@pytest.fixture(scope="module")
def with_store(plane: ControlPlane, store: Store) -> Iterator[Home]:
    """A namespace that says where its artifacts go."""
    said = {"store": yaml.safe_dump({"s3": store.s3(BUCKET, "everyone/")})}
    with fresh_namespace(plane) as name, closing(plane.client(name)) as client:
        home = Home(client, name)
        give_credentials(home)
        client.create(ConfigMap(metadata=ObjectMeta(name="zenflow-artifact-store"), data=said))
        yield home


@pytest.fixture(scope="module")
def played(home: Home, with_store: Home, store: Store, volumes: None) -> Iterator[Played]:
    """All flows of this file, run side by side to their ends."""
    give_credentials(home)
    store.make(BUCKET)
    with_store.client.create(handed_on("by-default", file={}, tree={}))
    faults = Faults()
    with ExitStack() as stack:
        faulty = stack.enter_context(serving(faults, behind=store.port, listens=EVERYWHERE))
        late = stack.enter_context(serving(refuses_late, behind=store.port, listens=EVERYWHERE))
        web = stack.enter_context(serving(page, listens=EVERYWHERE))
        url, digest = store.url(web.port) + "/page", hashlib.sha256(PAGE).hexdigest()
        directory = {"s3": store.s3(BUCKET, "runs/")}
        through_faults = {"s3": store.s3(BUCKET, "faulty/", port=faulty.port)}
        stubborn = store.s3(BUCKET, "attempts/", port=late.port)
        zipped = {"archive": {"format": "zip", "compression": "none"}, "s3": store.s3(BUCKET, "zipped/tree.zip")}
        packed = {"archive": {"compression": "gzip"}, "s3": store.s3(BUCKET, "packed/file.tgz")}
        flows = [
            handed_on("by-s3", file=directory, tree=directory),
            handed_on("packed", file=packed, tree=zipped),
            handed_on("by-claim", file={}, tree={}),
            handed_on("mixed", file={}, tree=directory),
            handed_on("through-faults", file=through_faults, tree=through_faults),
            fetched("fetched", url, digest=digest, s3=store.s3(BUCKET, "page.tar")),
            fetched("other-page", url, digest="0" * 64),
            handed_on("no-bucket", file={"s3": store.s3("no-such-bucket", "x")}, tree={}),
            attempts("attempts", early=stubborn, late=stubborn),
            attempts("replaced", early=store.s3(BUCKET, "replaced/early"), late=stubborn),
            optional("optional", store.s3(BUCKET, "optional/")),
            tampered("tampered", store.s3(BUCKET, "tampered.tar")),
        ]
        for flow in flows:
            home.client.create(flow)
        reached(home.client, "tampered", "Paused", within=180)
        store.put(BUCKET, "tampered.tar", store.get(BUCKET, "tampered.tar").replace(b"whole", b"other"))
        home.approve("tampered", "gate")
        ran = with_store.ended("by-default") | home.ended(*(flow["metadata"]["name"] for flow in flows))
        yield Played(ran, store, faults)


@pytest.mark.parametrize(
    ("flow", "file", "tree"),
    [
        pytest.param("by-s3", "s3://artifacts/runs/", "s3://artifacts/runs/", id="S3, each attempt in its place"),
        pytest.param("packed", "s3://artifacts/packed/file.tgz", "s3://artifacts/zipped/tree.zip", id="gzip and zip"),
        pytest.param("by-claim", "claim:make/1/", "claim:make/1/", id="the flow's own claim"),
        pytest.param("by-default", "s3://artifacts/everyone/", "s3://artifacts/everyone/", id="the namespace's store"),
        pytest.param("mixed", "claim:make/1/", "s3://artifacts/runs/", id="a store each"),
        pytest.param("through-faults", "s3://artifacts/faulty/", "s3://artifacts/faulty/", id="a store with troubles"),
    ],
)
def test_files_and_directories_arrive_whole(played: Played, flow: str, file: str, tree: str) -> None:
    assert played.value(flow, "use") == played.value(flow, "make")
    assert played.location(flow, "make", "file").startswith(file)
    assert played.location(flow, "make", "tree").startswith(tree)


def test_what_status_records_is_what_the_store_has(played: Played) -> None:
    for each in played.artifacts("by-s3", "make"):
        data = played.store.get(BUCKET, each["location"].removeprefix(f"s3://{BUCKET}/"))
        assert (len(data), hashlib.sha256(data).hexdigest()) == (each["sizeBytes"], each["sha256"])


def test_a_namespace_with_a_store_needs_no_claim(played: Played, with_store: Home) -> None:
    assert played.ran["by-default"]["artifactStore"]["s3"]["bucket"] == BUCKET
    assert not list(with_store.client.list(PersistentVolumeClaim))


def test_the_faults_were_given(played: Played) -> None:
    assert played.faults.given >= 4


def test_a_page_goes_by_the_claim_to_s3(played: Played) -> None:
    assert played.value("fetched", "check") == hashlib.sha256(PAGE).hexdigest()


@pytest.mark.parametrize(
    ("flow", "step", "message"),
    [
        pytest.param(
            "other-page", "fetch", "zenflow-inputs exited with 12: artifact page", id="a page that was not asked for"
        ),
        pytest.param(
            "no-bucket", "make", "zenflow-outputs exited with 13: artifact file: s3://no-such-bucket/x", id="no bucket"
        ),
        pytest.param("tampered", "use", "zenflow-inputs exited with 12: artifact it", id="another object by now"),
    ],
)
def test_what_cannot_be_moved_fails_the_step_with_the_reason(
    played: Played, flow: str, step: str, message: str
) -> None:
    row = rows(played.ran[flow])[step]
    assert row["phase"] == "Failed"
    assert message in row["message"]


@pytest.mark.parametrize("flow", ["attempts", "replaced"])
def test_nothing_of_a_failed_attempt_is_served(played: Played, flow: str) -> None:
    row = rows(played.ran[flow])["make"]
    assert row["retryCount"] == 1, row
    first, second = played.value(flow, "use").split()
    assert first == second
    assert first.endswith("-r1")


def test_what_is_optional_may_be_missing(played: Played) -> None:
    assert played.ran["optional"]["phase"] == "Succeeded"
    assert "artifacts" not in (rows(played.ran["optional"])["make"].get("outputs") or {})


def test_all_else_went_well(played: Played) -> None:
    failed = {name for name, status in played.ran.items() if status["phase"] != "Succeeded"}
    assert failed == {"other-page", "no-bucket", "tampered"}
