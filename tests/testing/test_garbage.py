from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zenflow_testing.clock import VirtualClock, instant_of, timestamp
from zenflow_testing.cluster import Cluster, EventType, Propagation
from zenflow_testing.errors import ApiError, forbidden
from zenflow_testing.garbage import GarbageCollector, expiry_of
from zenflow_testing.kinds import Object

NS = "default"


def at(seconds: float) -> datetime:
    return VirtualClock().now + timedelta(seconds=seconds)


class World:
    """A cluster with its collector, and time that goes from due to due."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.cluster = Cluster(self.clock)
        self.garbage = GarbageCollector(self.cluster)

    def make(self, kind: str, name: str, *owners: Object, blocks: bool = True, **metadata: Any) -> Object:
        references = [
            {
                "apiVersion": owner["apiVersion"],
                "kind": owner["kind"],
                "name": owner["metadata"]["name"],
                "uid": owner["metadata"]["uid"],
                "blockOwnerDeletion": blocks,
            }
            for owner in owners
        ]
        body: dict[str, Any] = {"metadata": {"name": name, "ownerReferences": references, **metadata}}
        if kind == "Job":
            pod = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox"}]}
            body["spec"] = {"template": {"spec": pod}}
        return self.cluster.create(kind, body, namespace=NS)

    def run_until(self, seconds: float) -> None:
        while (due := self.garbage.next_due()) is not None and due <= at(seconds):
            self.clock.advance_to(max(due, self.clock.now))
            self.garbage.run_due()
        self.clock.advance_to(at(seconds))

    def there(self, kind: str, name: str) -> bool:
        try:
            self.cluster.get(kind, NS, name)
        except ApiError:
            return False
        return True

    def metadata(self, kind: str, name: str) -> Any:
        return self.cluster.get(kind, NS, name)["metadata"]

    def finish(self, name: str, *, ttl: int | None = None, condition: str = "Complete") -> None:
        if ttl is not None:
            self.cluster.patch_merge("Job", NS, name, {"spec": {"ttlSecondsAfterFinished": ttl}})
        done = {"type": condition, "status": "True", "lastTransitionTime": timestamp(self.clock.now)}
        self.cluster.patch_merge("Job", NS, name, {"status": {"conditions": [done]}}, subresource="status")


def test_nothing_is_due_in_a_world_without_garbage() -> None:
    world = World()
    flow = world.make("JobFlow", "nightly")
    world.make("Job", "build", flow)
    assert world.garbage.next_due() is None
    assert world.garbage.run_due() == 0


def test_dependents_go_one_second_after_their_owner_and_theirs_after_them() -> None:
    world = World()
    flow = world.make("JobFlow", "nightly")
    job = world.make("Job", "build", flow)
    world.make("Pod", "p0", job)
    world.clock.advance(10)
    world.cluster.delete("JobFlow", NS, "nightly")
    assert world.garbage.next_due() == at(11)
    world.run_until(10.9)
    assert world.there("Job", "build")
    world.run_until(11)
    assert not world.there("Job", "build")
    assert world.there("Pod", "p0")
    world.run_until(12)
    assert not world.there("Pod", "p0")
    assert world.garbage.next_due() is None


def test_an_owner_that_was_never_there_is_gone_too() -> None:
    world = World()
    ghost = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ghost", "uid": "no-such-uid"}}
    world.make("Job", "build", ghost)
    world.run_until(0.5)
    assert world.there("Job", "build")
    world.run_until(1)
    assert not world.there("Job", "build")


def test_an_owner_of_the_same_name_and_another_uid_is_none() -> None:
    world = World()
    first = world.make("JobFlow", "nightly")
    world.make("Job", "build", first)
    world.cluster.delete("JobFlow", NS, "nightly")
    world.make("JobFlow", "nightly")
    world.run_until(1)
    assert not world.there("Job", "build")


def test_an_owner_in_another_namespace_is_none() -> None:
    world = World()
    far = world.cluster.create("ConfigMap", {"metadata": {"name": "far"}}, namespace="other")
    world.make("Job", "build", far)
    world.run_until(1)
    assert not world.there("Job", "build")


def test_an_owner_without_namespace_owns_everywhere() -> None:
    world = World()
    space = world.cluster.create("Namespace", {"metadata": {"name": NS}})
    world.make("Job", "build", space)
    world.run_until(5)
    assert world.there("Job", "build")


def test_an_object_that_lost_its_references_is_nobodys_garbage() -> None:
    world = World()
    flow = world.make("JobFlow", "nightly")
    world.make("Job", "build", flow)
    world.cluster.delete("JobFlow", NS, "nightly")
    world.cluster.patch_merge("Job", NS, "build", {"metadata": {"ownerReferences": None}})
    world.run_until(5)
    assert world.there("Job", "build")


def test_one_owner_left_keeps_an_object_and_dead_references_are_taken_off() -> None:
    world = World()
    one, two = world.make("JobFlow", "one"), world.make("JobFlow", "two")
    world.make("ConfigMap", "shared", one, two)
    world.cluster.delete("JobFlow", NS, "one")
    world.run_until(1)
    assert [ref["name"] for ref in world.metadata("ConfigMap", "shared")["ownerReferences"]] == ["two"]
    world.cluster.delete("JobFlow", NS, "two")
    world.run_until(2)
    assert not world.there("ConfigMap", "shared")


def test_an_adopted_orphan_stays() -> None:
    world = World()
    one, two = world.make("JobFlow", "one"), world.make("JobFlow", "two")
    shared = world.make("ConfigMap", "shared", one)
    world.cluster.delete("JobFlow", NS, "one")
    reference = {**shared["metadata"]["ownerReferences"][0], "name": "two", "uid": two["metadata"]["uid"]}
    world.cluster.patch_merge("ConfigMap", NS, "shared", {"metadata": {"ownerReferences": [reference]}})
    world.run_until(10)
    assert world.there("ConfigMap", "shared")


def test_foreground_deletes_dependents_first() -> None:
    world = World()
    flow = world.make("JobFlow", "nightly")
    job = world.make("Job", "build", flow)
    world.make("Pod", "p0", job)
    world.cluster.delete("JobFlow", NS, "nightly", propagation=Propagation.FOREGROUND)
    assert world.metadata("JobFlow", "nightly")["finalizers"] == ["foregroundDeletion"]
    assert world.there("Job", "build")
    world.run_until(0)
    assert not world.there("JobFlow", "nightly")
    gone = [event.name for event in world.cluster.events_since(0) if event.type is EventType.DELETED]
    assert gone == ["p0", "build", "nightly"]


def test_foreground_waits_for_a_dependent_that_is_kept() -> None:
    world = World()
    flow = world.make("JobFlow", "nightly")
    world.make("Job", "build", flow, finalizers=["a.io/x"])
    world.cluster.delete("JobFlow", NS, "nightly", propagation="Foreground")
    world.run_until(60)
    assert "deletionTimestamp" in world.metadata("Job", "build")
    assert world.there("JobFlow", "nightly")
    world.cluster.patch_merge("Job", NS, "build", {"metadata": {"finalizers": None}})
    world.run_until(60)
    assert not world.there("JobFlow", "nightly")


def test_foreground_does_not_wait_for_what_does_not_block() -> None:
    world = World()
    flow = world.make("JobFlow", "nightly")
    world.make("Job", "build", flow, blocks=False, finalizers=["a.io/x"])
    world.cluster.delete("JobFlow", NS, "nightly", propagation="Foreground")
    world.run_until(0)
    assert not world.there("JobFlow", "nightly")
    assert "deletionTimestamp" in world.metadata("Job", "build")


@pytest.mark.parametrize("blocks", [True, False], ids=["blocking", "not blocking"])
def test_foreground_leaves_what_somebody_else_owns_too(blocks: bool) -> None:
    world = World()
    one, two = world.make("JobFlow", "one"), world.make("JobFlow", "two")
    world.make("ConfigMap", "shared", one, two, blocks=blocks)
    world.cluster.delete("JobFlow", NS, "one", propagation="Foreground")
    world.run_until(5)
    assert not world.there("JobFlow", "one")
    assert [ref["name"] for ref in world.metadata("ConfigMap", "shared")["ownerReferences"]] == ["two"]


def test_orphan_strips_the_references_and_keeps_the_dependents() -> None:
    world = World()
    flow = world.make("JobFlow", "nightly")
    world.make("Job", "build", flow)
    world.cluster.delete("JobFlow", NS, "nightly", propagation="Orphan")
    world.run_until(10)
    assert not world.there("JobFlow", "nightly")
    assert "ownerReferences" not in world.metadata("Job", "build")


@pytest.mark.parametrize("condition", ["Complete", "Failed"])
def test_a_finished_job_goes_when_its_ttl_runs_out(condition: str) -> None:
    world = World()
    world.make("Job", "build")
    world.clock.advance(100)
    world.finish("build", ttl=30, condition=condition)
    assert world.garbage.next_due() == at(130)
    world.run_until(129)
    assert world.there("Job", "build")
    world.run_until(130)
    assert not world.there("Job", "build")


def test_a_ttl_of_zero_is_due_at_once_and_goes_in_the_foreground() -> None:
    world = World()
    job = world.make("Job", "build")
    world.make("Pod", "p0", job)
    world.finish("build", ttl=0)
    world.run_until(0)
    assert not world.there("Job", "build")
    gone = [event.name for event in world.cluster.events_since(0) if event.type is EventType.DELETED]
    assert gone == ["p0", "build"], "its Pods first, as in a foreground deletion"


@pytest.mark.parametrize("condition", ["FailureTarget", "SuccessCriteriaMet", "Suspended"])
def test_a_condition_that_is_not_final_starts_no_ttl(condition: str) -> None:
    world = World()
    world.make("Job", "build")
    world.finish("build", ttl=0, condition=condition)
    assert world.garbage.next_due() is None


def test_a_ttl_that_was_lengthened_counts_anew() -> None:
    world = World()
    world.make("Job", "build")
    world.finish("build", ttl=10)
    world.cluster.patch_merge("Job", NS, "build", {"spec": {"ttlSecondsAfterFinished": 100}})
    world.run_until(99)
    assert world.there("Job", "build")
    world.run_until(100)
    assert not world.there("Job", "build")


def test_the_largest_ttl_never_fires() -> None:
    world = World()
    world.make("Job", "build")
    world.finish("build", ttl=2_147_483_647)
    assert world.garbage.next_due() is None


def test_what_is_gone_is_not_due() -> None:
    world = World()
    world.make("Job", "build")
    world.finish("build", ttl=1000)
    world.cluster.delete("Job", NS, "build")
    assert world.garbage.next_due() is None


def test_a_ttl_does_not_hit_a_new_job_of_the_same_name() -> None:
    world = World()
    world.make("Job", "build")
    world.finish("build", ttl=10)
    world.cluster.delete("Job", NS, "build")
    world.make("Job", "build")
    world.run_until(60)
    assert world.there("Job", "build")


def test_the_expiry_of_a_job_is_the_end_plus_its_ttl() -> None:
    finished = {"type": "Complete", "status": "True", "lastTransitionTime": "2026-01-01T00:00:10Z"}
    job = {"spec": {"ttlSecondsAfterFinished": 5}, "status": {"conditions": [finished]}}
    assert expiry_of(job) == instant_of("2026-01-01T00:00:15Z")
    assert expiry_of({"spec": {}, "status": job["status"]}) is None
    assert expiry_of({"spec": job["spec"], "status": {}}) is None
    assert expiry_of({**job, "status": {"conditions": [{**finished, "status": "False"}]}}) is None


def test_held_deletes_stay_marked_for_their_time() -> None:
    world = World()
    world.make("Job", "build")
    world.make("Job", "test")
    world.cluster.hold_deletes("Job", 20)
    world.clock.advance(5)
    world.cluster.delete("Job", NS, "build")
    assert world.metadata("Job", "build")["deletionTimestamp"] == "2026-01-01T00:00:05Z"
    assert world.garbage.next_due() == at(25)
    world.run_until(24)
    assert world.there("Job", "build")
    world.cluster.delete("Job", NS, "build")
    world.run_until(25)
    assert not world.there("Job", "build")
    world.cluster.hold_deletes("Job", 0)
    world.cluster.delete("Job", NS, "test")
    assert not world.there("Job", "test")


def test_a_held_delete_waits_for_its_finalizers_too() -> None:
    world = World()
    world.make("Job", "build", finalizers=["a.io/x"])
    world.cluster.hold_deletes("Job", 20)
    world.cluster.delete("Job", NS, "build")
    world.run_until(30)
    assert world.there("Job", "build")
    world.cluster.patch_merge("Job", NS, "build", {"metadata": {"finalizers": None}})
    assert not world.there("Job", "build")


def test_a_held_delete_outlives_its_finalizers() -> None:
    world = World()
    world.make("Job", "build", finalizers=["a.io/x"])
    world.cluster.hold_deletes("Job", 20)
    world.cluster.delete("Job", NS, "build")
    world.cluster.patch_merge("Job", NS, "build", {"metadata": {"finalizers": None}})
    world.run_until(19)
    assert world.there("Job", "build")
    world.run_until(20)
    assert not world.there("Job", "build")


def test_foreground_waits_for_held_pods() -> None:
    world = World()
    job = world.make("Job", "build")
    world.make("Pod", "p0", job)
    world.cluster.hold_deletes("Pod", 30)
    world.cluster.delete("Job", NS, "build", propagation="Foreground")
    world.run_until(29)
    assert world.there("Job", "build")
    world.run_until(30)
    assert not world.there("Job", "build")


def test_the_collectors_own_requests_meet_no_faults() -> None:
    world = World()
    flow = world.make("JobFlow", "nightly")
    world.make("Job", "build", flow)
    world.cluster.delete("JobFlow", NS, "nightly")
    target = world.cluster.kind_info("Job").target("build")
    world.cluster.before_request = lambda *_: forbidden(target, "no requests today")
    world.run_until(1)
    world.cluster.before_request = None
    assert not world.there("Job", "build")


def test_a_closed_collector_hears_nothing_more() -> None:
    world = World()
    flow = world.make("JobFlow", "nightly")
    world.make("Job", "build", flow)
    world.garbage.close()
    world.cluster.delete("JobFlow", NS, "nightly")
    assert world.garbage.next_due() is None


def test_a_look_costs_the_same_however_many_objects_there_are() -> None:
    world = World()
    flow = world.make("JobFlow", "nightly")
    for index in range(2000):
        world.make("ConfigMap", f"bystander-{index}", flow)
    job = world.make("Job", "build")
    world.make("Pod", "p0", job)
    world.cluster.delete("Job", NS, "build")
    world.clock.advance(1)
    assert world.garbage.run_due() == 1


@settings(max_examples=150)
@given(
    st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=20),
    st.lists(st.tuples(st.integers(0, 8), st.sampled_from(["Background", "Foreground"])), min_size=1, max_size=5),
)
def test_in_the_end_everything_there_has_an_owner_or_never_had_one(
    edges: list[tuple[int, int]], deletes: list[tuple[int, str]]
) -> None:
    """Whatever is deleted in whatever way, no garbage stays, and nothing goes that is not garbage."""
    world = World()
    made: list[Object] = []
    owned: dict[int, set[int]] = {}
    for index in range(9):
        # Only earlier objects own later ones: no cycles, which a real collector leaves in background deletion, too.
        owners = sorted({low for low, high in (sorted(edge) for edge in edges) if high == index and low < index})
        owned[index] = set(owners)
        made.append(world.make("ConfigMap", f"c{index}", *(made[owner] for owner in owners)))
    deleted: set[int] = set()
    for index, propagation in deletes:
        if world.there("ConfigMap", f"c{index}"):
            world.cluster.delete("ConfigMap", NS, f"c{index}", propagation=propagation)
            deleted.add(index)
        world.run_until((world.clock.now - at(0)).total_seconds() + 20)
    expected: set[int] = set()
    for index in range(9):
        if index not in deleted and (not owned[index] or owned[index] & expected):
            expected.add(index)
    assert {index for index in range(9) if world.there("ConfigMap", f"c{index}")} == expected
    assert world.garbage.next_due() is None
