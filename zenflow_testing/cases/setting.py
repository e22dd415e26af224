"""What goes on by itself in a case with `outcomes`: a Job controller, people who approve, ConfigMaps."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from attrs import frozen

from zenflow_core.codec import read_flow
from zenflow_core.compile import compile_plan
from zenflow_core.plan import KeyRead, Plan, ResourceKind
from zenflow_core.spec import JobFlow
from zenflow_core.state import StepPhase
from zenflow_testing.cases.format import Case
from zenflow_testing.cases.history import Impossible
from zenflow_testing.cases.journal import Decided, Journal
from zenflow_testing.cluster import Cluster, KubernetesVersion
from zenflow_testing.demands import demands_of
from zenflow_testing.kinds import Object
from zenflow_testing.outcomes import Outcomes, ScriptedOutcomes
from zenflow_testing.outcomes_file import read_outcomes
from zenflow_testing.world import World


class People:
    """The Job controller of a case, and the people of its flow."""

    def __init__(self, cluster: Cluster, plan: Plan, outcomes: Outcomes) -> None:
        self._cluster = cluster
        self._world = World(cluster, outcomes, demands=demands_of(plan))
        self._manual = any(step.manual for step in plan.steps)
        self._read = 0
        self._asked: set[tuple[str, str]] = set()

    def next_due(self) -> datetime | None:
        """When something is due next."""
        return self._world.next_due()

    def play(self, journal: Journal) -> int:
        """Do all that is due now; how many things happened."""
        if self._manual:
            self._ask(journal)
        return self._world.run_due()

    def _ask(self, journal: Journal) -> None:
        entries = journal.entries
        for entry in entries[self._read :]:
            if not isinstance(entry, Decided):
                continue
            for move in entry.moves:
                flow = journal.last_seen[entry.flow]
                key = (flow["metadata"]["uid"], move.step)
                if move.phase is StepPhase.PENDING_APPROVAL and key not in self._asked and self._is_there(flow):
                    self._asked.add(key)
                    self._world.approval_asked(flow, move.step, at=self._cluster.clock.now)
        self._read = len(entries)

    def _is_there(self, flow: Object) -> bool:
        """Whether the flow still exists: a process may ask about one that was deleted."""
        metadata = flow["metadata"]
        flows = self._cluster.list("JobFlow", metadata["namespace"]).items
        return any(each["metadata"]["uid"] == metadata["uid"] for each in flows)


@frozen
class Setting:
    """What a case is played in."""

    plan: Plan | None = None
    """Of the flow of the file; None: nobody needs it."""
    spec: Mapping[str, Any] | None = None
    """What `plan` was compiled from."""
    outcomes: Outcomes | None = None
    """None: Jobs change through the history alone."""
    version: KubernetesVersion | None = None

    @property
    def known(self) -> tuple[Mapping[str, Any], Plan] | None:
        """The compiled spec."""
        return None if self.plan is None or self.spec is None else (self.spec, self.plan)

    def furnish(self, cluster: Cluster, namespace: str) -> People | None:
        """Make the ConfigMaps that the flow reads, and somebody who runs its Jobs."""
        if self.plan is None or self.outcomes is None:
            return None
        for name, data in _config_maps(self.plan, self.outcomes).items():
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
            cluster.create("ConfigMap", body, namespace=namespace)
        return People(cluster, self.plan, self.outcomes)


def _config_maps(plan: Plan, outcomes: Outcomes) -> dict[str, dict[str, str]]:
    wanted: dict[str, dict[str, str]] = {}
    # The flow makes those of its own itself, as `<flow>-<name>`: one that is there already would be in its way.
    own = tuple(f"-{ref.name}" for ref in plan.resources if ref.kind is ResourceKind.CONFIG_MAP)
    for step in plan.steps:
        for given in step.inputs:
            if isinstance(given.source, KeyRead) and not given.source.ref.name.endswith(own):
                ref = given.source.ref
                value = outcomes.config_map(ref.name, ref.key)
                if value is not None:
                    wanted.setdefault(ref.name, {})[ref.key] = value
    return wanted


def setting_of(case: Case) -> Setting:
    """The setting that a case describes. Raises Impossible if its outcomes do not fit its flow."""
    version = None if case.kubernetes_minor is None else KubernetesVersion(1, case.kubernetes_minor)
    if case.outcomes is None or case.flow is None:
        return Setting(version=version)
    flow = read_flow(case.flow)
    plan = compile_plan(flow) if isinstance(flow, JobFlow) else flow
    if not isinstance(plan, Plan):
        raise Impossible("outcomes need a flow that is valid: " + "; ".join(map(str, plan)))
    manual = {step.name for step in plan.steps if step.manual}
    script = read_outcomes(dict(case.outcomes), steps=set(plan.by_name), manual=manual)
    if isinstance(script, tuple):
        raise Impossible("; ".join(map(str, script)))
    return Setting(plan, case.flow["spec"], ScriptedOutcomes(script), version)
