"""The chart and the moves: what each cell and each line stands for."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve

from tests.core.builders import manifest, manual, retry, step
from zenflow_core.codec import read_flow
from zenflow_core.compile import compile_plan
from zenflow_core.plan import Plan
from zenflow_core.spec import JobFlow
from zenflow_core.styled import cells, plain
from zenflow_testing.gantt import ROWS, chart
from zenflow_testing.outcomes import (
    NeverDecided,
    Outcomes,
    Script,
    ScriptedApproval,
    ScriptedEnding,
    ScriptedOutcomes,
    SeededOutcomes,
)
from zenflow_testing.simulation import Simulation, simulate
from zenflow_testing.timeline import (
    GATHERED,
    LINES,
    moves_lines,
    result_lines,
    simulation_json,
    slowest_chain,
    timeline_lines,
)


def life(*steps: dict[str, Any], outcomes: Outcomes | None = None, **spec: Any) -> Simulation:
    flow = read_flow(manifest(*steps, **spec))
    assert isinstance(flow, JobFlow), flow
    plan = compile_plan(flow)
    assert isinstance(plan, Plan), plan
    return simulate(flow, plan, outcomes or ScriptedOutcomes(Script()))


def ending(seconds: int, code: int = 0) -> ScriptedEnding:
    return ScriptedEnding(timedelta(seconds=seconds), code)


def rows(simulation: Simulation, columns: int = 60) -> list[str]:
    return plain(chart(simulation, columns=columns)).splitlines()


def test_each_kind_of_waiting_has_its_own_shade() -> None:
    script = Script(
        steps={"b-suspended": (ending(10),), "c-retried": (ending(10, 1), ending(10))},
        approvals={"d-asked": ScriptedApproval(timedelta(seconds=40))},
        suspended={"b-suspended": timedelta(seconds=20)},
    )
    suspended = step("b-suspended")
    suspended["template"] = {"spec": {**suspended["template"]["spec"], "suspend": True}}
    simulation = life(
        step("a-runs"),
        suspended,
        step("c-retried", retryPolicy=retry(1, seconds=20)),
        manual("d-asked"),
        step("e-after", "d-asked"),
        step("f-queued"),
        outcomes=ScriptedOutcomes(script),
        policy={"parallelism": 3},
    )
    assert rows(simulation, columns=71) == [
        "             0s            15s            30s              50s",
        "a-runs       ██████████                                        ✔ 10s",
        "b-suspended  ╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌███████████                    ✔ 30s",
        "c-retried    ██████████▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒███████████          ✔ 40s ×2",
        "d-asked      ◌◌◌◌◌◌◌◌◌◌◌◌◌◌◌◌◌◌◌◌◌◌◌◌◌◌◌◌◌◌◌◌◌◌◌◌◌◌◌◌          ✔ 40s",
        "e-after                                             ██████████ ✔ 10s",
        "f-queued     ░░░░░░░░░███████████                              ✔ 10s",
        "             █ runs  ◌ waits for an approval  ╌ its Job is suspended",
        "             ▒ pauses before a retry  ░ waits for its turn",
    ]


def test_a_run_of_a_second_in_a_day_can_be_seen() -> None:
    script = Script(steps={"long": (ending(86_400),), "short": (ending(1),)})
    assert rows(life(step("short"), step("long"), outcomes=ScriptedOutcomes(script)))[1].startswith("short  █ ")


def test_what_never_ends_is_drawn_to_the_edge() -> None:
    simulation = life(step("a"), manual("ask", "a"), outcomes=ScriptedOutcomes(Script(approvals={"ask": None})))
    assert isinstance(ScriptedOutcomes(Script(approvals={"ask": None})).approval("ask"), NeverDecided)
    assert simulation.stuck
    bar = rows(simulation)[2]
    assert bar.startswith("ask  ")
    assert bar.endswith("◌ ◌ 2s")


def test_a_flow_in_which_no_time_passes_has_no_chart() -> None:
    simulation = life(step("a", when="never"))
    assert list(chart(simulation, columns=80)) == []
    assert "Succeeded in 0s of virtual time" in plain(timeline_lines(simulation, world="w"))


def test_a_family_is_one_row_and_its_height_is_how_many_run() -> None:
    steps = [step(f"shard-{number}") for number in range(ROWS + 1)]
    script = Script(steps={f"shard-{number}": (ending(10 + number),) for number in range(ROWS + 1)})
    (bar,) = rows(life(*steps, outcomes=ScriptedOutcomes(script)))[1:-1]
    assert bar.startswith(f"shard-* ({ROWS + 1})  █")
    assert "▁" in bar.rstrip(f"{ROWS + 1}✔ ")
    assert bar.endswith(f" {ROWS + 1}✔")
    heights = [" ▁▂▃▄▅▆▇█".index(char) for char in bar.split("  ")[1].split(" ")[0]]
    assert heights == sorted(heights, reverse=True)


def test_of_many_different_steps_the_longest_stay() -> None:
    names = ["x" * number for number in range(1, ROWS + 6)]
    script = Script(steps={name: (ending(len(name)),) for name in names})
    shown = rows(life(*(step(name) for name in names), outcomes=ScriptedOutcomes(script)), columns=80)
    assert len(shown) == ROWS + 2
    assert shown[-2] == "… and 6 shorter ones"
    assert not any(line.startswith("xxxxxx ") for line in shown)


@pytest.mark.parametrize("columns", [40, 60, 80, 133, 200])
@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_wider_than_its_columns(columns: int, seed: int) -> None:
    steps = [step("first", retryPolicy=retry(2)), manual("ask", "first", message="Shall we? " * 10)]
    steps += [step(f"{'very-' * 5}long-{number}", "ask", retryPolicy=retry(1)) for number in range(9)]
    simulation = life(*steps, outcomes=SeededOutcomes(seed))
    lines = plain(moves_lines(simulation, wrap=max(columns, 60))).splitlines()
    assert max(cells(line) for line in lines if "very-" not in line) <= max(columns, 60)
    assert max(cells(line) for line in rows(simulation, columns=columns)) <= columns


def test_equal_moves_of_one_instant_share_a_line() -> None:
    simulation = life(step("a"), step("b"), step("c", "a"))
    assert plain(moves_lines(simulation)) == (
        """ +0s  ● Running    a, b
+10s  ✔ Succeeded  a, b  in 10s
+10s  ● Running    c
+20s  ✔ Succeeded  c     in 10s
"""
    )


def test_a_crowd_is_gathered_and_no_move_is_lost() -> None:
    steps = [step(f"shard-{number}") for number in range(LINES + 10)]
    simulation = life(*steps, outcomes=SeededOutcomes(1), policy={"failFast": False, "backoffLimit": 0})
    few = plain(moves_lines(simulation)).splitlines()
    every = plain(moves_lines(simulation, full=True)).splitlines()
    assert len(few) <= GATHERED < LINES < len(every)
    assert few[-1] != every[-1]


def test_different_steps_are_never_gathered() -> None:
    names = [chr(97 + number % 26) * (1 + number // 26) for number in range(LINES)]
    simulation = life(*(step(name) for name in names), outcomes=SeededOutcomes(1))
    assert plain(moves_lines(simulation)) == plain(moves_lines(simulation, full=True))


def test_the_longest_chain_is_the_one_that_the_end_waited_for() -> None:
    script = Script(steps={"b": (ending(60),), "c": (ending(90),), "e": (ending(5),)})
    steps = [step("a"), step("b", "a"), step("c"), step("d", "b", "c"), step("e", "a")]
    simulation = life(*steps, outcomes=ScriptedOutcomes(script), last=[step("clean")])
    assert slowest_chain(simulation) == ["c 1m30s", "d 10s", "clean 10s"]


def test_the_result_says_why_a_flow_failed() -> None:
    script = Script(steps={"a": (ending(1, 1),)})
    text = plain(result_lines(life(step("a"), step("b", "a"), outcomes=ScriptedOutcomes(script))))
    assert text == (
        """Failed in 1s of virtual time
  because  step a failed
  steps    0 of 2 succeeded, 1 failed, 1 skipped
  Jobs     1
"""
    )


def test_no_machine_is_in_the_json() -> None:
    simulation = life(step("a"))
    moved = evolve(simulation, decisions=99)
    assert simulation_json(simulation) == simulation_json(moved)
    assert simulation_json(simulation)["endedAt"] == "2026-01-01T00:00:10Z"


def test_a_message_cannot_steer_the_terminal() -> None:
    simulation = life(manual("ask", message="\x1b[2Jgone\nForged line"))
    text = plain(moves_lines(simulation))
    assert "\x1b" not in text
    assert "\\x1b[2Jgone\\nForged line" in text
