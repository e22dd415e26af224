"""What a flow costs the API server: in proportion to what happens, and nothing where nothing happens."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.defects.lives import HANGS, Life, flow, step, succeeds


def chain(length: int) -> dict[str, Any]:
    return dict(flow(*(step(f"s{n}", *([f"s{n - 1}"] if n else [])) for n in range(length))))


def fan(length: int) -> dict[str, Any]:
    return dict(flow(*(step(f"s{n}") for n in range(length))))


@pytest.mark.parametrize("length", [10, 40])
@pytest.mark.parametrize("shape", [chain, fan])
def test_no_finished_job_is_read_again_and_again(shape: Any, length: int) -> None:
    """N Jobs cost N creates and about as many writes; nothing is got, however long the flow."""
    life = Life(shape(length)).to_the_end()
    sent = Counter((verb, kind) for verb, kind, _ in life.requests)
    assert life.phase() == "Succeeded"
    assert sent["create", "Job"] == length
    assert sent["get", "Job"] == 0
    assert sent["patch", "JobFlow/status"] <= (length + 2 if shape is chain else 4)
    assert set(sent) <= {
        ("create", "Job"),
        ("patch", "JobFlow/status"),
        *(("list", k) for k in ("JobFlow", "Job", "Pod")),
    }
    assert all(sent["list", kind] <= 1 for kind in ("JobFlow", "Job", "Pod"))


def test_no_write_changes_nothing() -> None:
    """Each write of status leaves it different from before."""
    life = Life(chain(10))
    seen: list[Any] = []
    life.cluster.subscribe(lambda event: seen.append(event.object.get("status")) if event.kind == "JobFlow" else None)
    life.to_the_end()
    assert life.writes() == len(seen)
    assert all(before != after for before, after in zip([None, *seen], seen, strict=False))


def test_no_write_sends_rows_that_have_not_changed() -> None:
    """After the first, a write names the rows of the steps that moved and not the whole status."""
    life = Life(chain(30))
    rows: list[int] = []

    def keep(verb: str, kind: str, _name: str, body: Any) -> None:
        if (verb, kind) == ("patch", "JobFlow/status"):
            rows.append(sum(1 for operation in body if operation["path"].startswith("/status/steps/")))
            assert not rows[1:] or all(operation["path"] != "/status" for operation in body)

    life.answers = keep
    life.to_the_end()
    assert max(rows[1:]) <= 2


def test_no_number_of_neighbours_makes_a_flow_dearer() -> None:
    """A hundred other flows in the namespace, and not one more request for this one."""
    alone = Life(flow(step("a"), step("b", "a"), policy={"concurrencyPolicy": "Forbid"})).to_the_end()
    life = Life(*(flow(step("x"), name=f"other-{n}") for n in range(100)), x=[HANGS] * 100)
    life.after(30)  # what is known of their Jobs has been noted by then
    before = len(life.requests)
    life.submit(flow(step("a"), step("b", "a"), policy={"concurrencyPolicy": "Forbid"}))
    life.after(60)
    assert life.phase() == "Succeeded"
    assert len(life.requests) - before == len([r for r in alone.requests if r[0] != "list"])


def test_no_request_is_sent_while_nothing_happens() -> None:
    """Hours in which a Job runs cost one note of its uid; a finished flow costs nothing until its time is over."""
    life = Life(flow(step("a")), a=[succeeds(7_200)])
    life.after(30)
    assert [(verb, kind) for verb, kind, _ in life.requests] == [
        ("patch", "JobFlow/status"),
        ("create", "Job"),
        ("patch", "JobFlow/status"),
    ]
    sent = len(life.requests)
    life.after(7_000)
    assert len(life.requests) == sent
    life.after(7_201)
    sent = len(life.requests)
    life.after(80_000)
    assert len(life.requests) == sent
