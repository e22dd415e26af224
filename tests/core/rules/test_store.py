"""Which default store a flow gets at its start, and what stands against it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from attrs import evolve

from tests.core.builders import TEMPLATE, Around, at
from zenflow_core.observation import UNREAD, Absent, Lookup, Origin, OriginLookup, Present
from zenflow_core.placeholders import compile_template
from zenflow_core.plan import ConfigMapKey, PlannedStep
from zenflow_core.reasons import ArtifactStoreInvalid, NeedsArtifactStore
from zenflow_core.rules.store import Choice, chosen_store
from zenflow_core.settings import Settings
from zenflow_core.spec import ArtifactStore, InputArtifact, OutputArtifact, S3Location, StepName

NAME = "zenflow-artifact-store"
OPERATORS = ArtifactStore(S3Location("operator", "flows/"))
NAMESPACES = ArtifactStore(S3Location("namespace", "flows/"))
EARLIER = ArtifactStore(S3Location("earlier", "flows/"))
SAID = Present("s3: {bucket: namespace, key: flows/}")
NOW = at("10:00:00")
ALL = Settings("zenflow:1", artifact_store=OPERATORS, namespace_stores=True)
OWN = OutputArtifact("log", "/out/log", s3=S3Location("own", "log"))


def chosen(
    settings: Settings,
    found: Lookup = UNREAD,
    *,
    made: tuple[OutputArtifact, ...],
    origin: OriginLookup = UNREAD,
    containers: int = 1,
    taken: tuple[InputArtifact, ...] = (),
) -> Choice:
    main = TEMPLATE["spec"]["template"]["spec"]["containers"][0]
    pod = {"containers": [{**main, "name": f"c{number}"} for number in range(containers)]}
    template = compile_template({"spec": {"template": {"spec": pod}}})
    step = PlannedStep(StepName("build"), 0, 0, output_artifacts=made, input_artifacts=taken, template=template)
    view = Around(started=None, retry_of="older", origin=origin).view((step,), "10:00:00")
    inputs: Mapping[ConfigMapKey, Lookup] = {ConfigMapKey("zenflow-artifact-store", "store"): found}
    return chosen_store(evolve(view, plan=evolve(view.plan, settings=settings), inputs=inputs))


APP = OutputArtifact("app", "/out/app")


@pytest.mark.parametrize(
    ("settings", "found", "then"),
    [
        pytest.param(ALL, UNREAD, NeedsArtifactStore(NAME), id="the namespace is asked first"),
        pytest.param(ALL, SAID, NAMESPACES, id="what it says counts"),
        pytest.param(ALL, Absent(), OPERATORS, id="if it says nothing the operator's counts"),
        pytest.param(ALL, Present(""), None, id="an empty text is the claim"),
        pytest.param(evolve(ALL, artifact_store=None), SAID, NAMESPACES, id="the operator need not have one"),
        pytest.param(evolve(ALL, artifact_store=None), Absent(), None, id="nobody says anything: the claim"),
        pytest.param(evolve(ALL, namespace_stores=False), UNREAD, OPERATORS, id="namespaces have no say"),
        pytest.param(evolve(ALL, artifact_image=None), UNREAD, None, id="no bytes are moved: nothing is asked"),
        pytest.param(Settings("zenflow:1"), UNREAD, None, id="an operator without stores asks nobody"),
        pytest.param(
            ALL,
            Present("s3: {bucket: namespace, key: flows}"),
            ArtifactStoreInvalid(
                NOW,
                f"ConfigMap {NAME}",
                "s3.key: 'flows' is one object, and a default store is a directory; fix: let the key end in '/'",
            ),
            id="nonsense is no reason to take another store",
        ),
    ],
)
def test_the_namespace_the_operator_the_claim(settings: Settings, found: Lookup, then: Choice) -> None:
    assert chosen(settings, found, made=(OWN, APP)) == then


def test_a_flow_whose_artifacts_all_have_stores_asks_nobody() -> None:
    assert chosen(ALL, made=(OWN,)) is None


@pytest.mark.parametrize(
    ("origin", "then"),
    [
        pytest.param(Origin({}, EARLIER), EARLIER, id="it goes on with the earlier flow's store"),
        pytest.param(Origin({}), NAMESPACES, id="which had none: the present one"),
    ],
)
def test_a_retry(origin: OriginLookup, then: Choice) -> None:
    assert chosen(ALL, SAID, made=(APP,), origin=origin) == then


MANY = tuple(OutputArtifact(f"a{number}", f"/out/{number}") for number in range(15))
LONG = evolve(ALL, artifact_store=ArtifactStore(S3Location("b", "k" * 200 + "/")))
TAKEN = (InputArtifact("in", "/in"),)


@pytest.mark.parametrize(
    ("containers", "taken", "room"),
    [
        pytest.param(2, (), 4096, id="two containers, and the one that reports"),
        pytest.param(2, TAKEN, 3072, id="and the one that fetches"),
        pytest.param(3, (), 3072, id="a container more"),
    ],
)
def test_a_store_whose_names_make_a_report_too_long_is_refused_before_anything_runs(
    containers: int, taken: tuple[InputArtifact, ...], room: int
) -> None:
    assert isinstance(chosen(LONG, Absent(), made=MANY[:5], containers=containers, taken=taken), ArtifactStore)
    assert chosen(LONG, Absent(), made=MANY, containers=containers, taken=taken) == ArtifactStoreInvalid(
        NOW,
        "the operator",
        "its names make the report of step build on its artifacts up to 5995 bytes long, and a termination message "
        f"of its Pod has {room}; fix: shorten the key, or put files into one directory",
    )


@pytest.mark.parametrize(
    ("found", "origin", "source"),
    [
        pytest.param(UNREAD, Origin({}, LONG.artifact_store), "the flow that it retries", id="the earlier flow"),
        pytest.param(
            Present(f"s3: {{bucket: b, key: {'k' * 200}/}}"), Origin({}), f"ConfigMap {NAME}", id="the namespace"
        ),
        pytest.param(Absent(), Origin({}), "the operator", id="the operator"),
    ],
)
def test_who_said_so_is_told(found: Lookup, origin: OriginLookup, source: str) -> None:
    refused = chosen(LONG, found, made=MANY, origin=origin)
    assert isinstance(refused, ArtifactStoreInvalid)
    assert refused.source == source
