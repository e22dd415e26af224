"""The public face of the harness."""

from __future__ import annotations

import pytest

import zenflow_testing
from zenflow_core import Plan, compile_plan, load_documents, read_flow
from zenflow_core.spec import JobFlow
from zenflow_testing import SeededOutcomes, simulate

FLOW = """
apiVersion: workflow.kube-zen.io/v1alpha1
kind: JobFlow
metadata: {name: two}
spec:
  steps:
  - name: a
    template: &work {spec: {template: {spec: {restartPolicy: Never, containers: [{name: main, image: busybox}]}}}}
  - {name: b, dependencies: [a], template: *work}
"""


@pytest.mark.parametrize("name", zenflow_testing.__all__)
def test_a_public_name_can_be_imported(name: str) -> None:
    assert getattr(zenflow_testing, name) is not None


def test_the_list_and_the_table_agree() -> None:
    assert sorted(zenflow_testing.__all__) == sorted(zenflow_testing._HOME_OF)
    assert set(dir(zenflow_testing)) == set(zenflow_testing.__all__)


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        zenflow_testing.nothing  # noqa: B018 - the access is what raises


def test_what_the_docstring_shows_works() -> None:
    flow = read_flow(load_documents(FLOW, file="two.yaml")[0].data)  # type: ignore[union-attr]  # it is valid
    assert isinstance(flow, JobFlow)
    plan = compile_plan(flow)
    assert isinstance(plan, Plan)
    assert simulate(flow, plan, SeededOutcomes(7)).state.record.phase == "Succeeded"
