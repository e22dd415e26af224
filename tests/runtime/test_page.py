"""The page about the operator names every flag, variable and metric there is, and none that there is not."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from zenflow_runtime.metrics import Metrics, State
from zenflow_runtime.settings import _parser

PAGE = (Path(__file__).parents[2] / "docs" / "operator.md").read_text(encoding="utf-8")


def test_every_flag_is_on_the_page_and_every_flag_on_the_page_is_there() -> None:
    actions = [action for action in _parser()._actions if action.help != argparse.SUPPRESS]
    flags = {option for action in actions for option in action.option_strings if option.startswith("--")}
    ours = "\n".join(line for line in PAGE.splitlines() if not line.startswith("$ kubectl"))
    named = set(re.findall(r"--[a-z][-a-z]+", ours))
    assert named - flags == set()
    assert flags - named == {"--help", "--version", "--eager-completion"}


def test_every_metric_is_on_the_page_and_every_metric_on_the_page_is_there() -> None:
    metrics = Metrics()
    metrics.watch_state(State(flows=lambda: ()))
    families = {family.name + ("_total" if family.type == "counter" else "") for family in metrics.registry.collect()}
    assert set(re.findall(r"zen_flow_[a-z_]+", PAGE)) == families
