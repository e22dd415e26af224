"""The Kustomize base and its components held to `zenflow manifests`, by kubectl itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.install.objects import DEPLOY, Key, Object, by_name, printed, ran, read

KUSTOMIZE = DEPLOY / "kustomize"


def built(kubectl: tuple[str, ...], folder: Path) -> dict[Key, Object]:
    return read(ran(*kubectl, "kustomize", folder))


def overlay(folder: Path, text: str) -> Path:
    """A kustomization of somebody's own, beside a copy of ours: kustomize follows no absolute path."""
    (folder / "kustomize").symlink_to(KUSTOMIZE)
    own = folder / "own"
    own.mkdir()
    (own / "kustomization.yaml").write_text(text, encoding="utf-8")
    return own


def test_the_base_is_what_is_printed(kubectl: tuple[str, ...]) -> None:
    assert built(kubectl, KUSTOMIZE / "base") == printed()


@pytest.mark.parametrize(
    ("components", "options"),
    [
        pytest.param(("ha",), ("--replicas=2",), id="two replicas"),
        pytest.param(("network-policy",), ("--network-policy",), id="a network policy"),
        pytest.param(("network-policy", "ha"), ("--replicas=2", "--network-policy"), id="both"),
    ],
)
def test_a_component_is_an_option(
    kubectl: tuple[str, ...], tmp_path: Path, components: tuple[str, ...], options: tuple[str, ...]
) -> None:
    lines = ["resources: [../kustomize/base]", "components:"]
    lines += [f"  - ../kustomize/components/{each}" for each in components]
    assert built(kubectl, overlay(tmp_path, "\n".join(lines))) == printed(*options)


def test_the_example_names_an_image_once(kubectl: tuple[str, ...]) -> None:
    options = ("--replicas=2", "--network-policy", "--image=registry.example.com/zenflow:1")
    assert built(kubectl, KUSTOMIZE / "overlays" / "example") == printed(*options)


def test_another_namespace(kubectl: tuple[str, ...], tmp_path: Path) -> None:
    own = overlay(tmp_path, "namespace: ops\nresources: [../kustomize/base]\n")
    made = by_name(map(_with_no_namespace_of_policies, built(kubectl, own).values()))
    assert made == printed("--namespace=ops")


def _with_no_namespace_of_policies(made: Object) -> Object:
    """kustomize does not know that they have none; the API server drops it (tests/cluster/test_installing.py)."""
    if made["kind"].startswith("ValidatingAdmissionPolicy"):
        assert made["metadata"].pop("namespace") == "ops"
    return made
