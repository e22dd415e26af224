"""What the owner of always-clean-up.yaml relies on."""

import pytest

STEPS = ("clone", "compile", "unit")


@pytest.mark.parametrize("failing", STEPS)
def test_whatever_fails_the_workspace_is_cleaned_and_somebody_is_told(load_flow, failing):
    flow = load_flow("../always-clean-up.yaml").script(failing, {"exitCode": 1}, {"exitCode": 1}).run()
    flow.expect(
        steps={failing: "Failed", "clean-workspace": "Succeeded", "report-failure": "Succeeded", "close": "Succeeded"}
    )


def test_a_good_run_is_cleaned_up_too_and_reported_as_such(load_flow):
    flow = load_flow("../always-clean-up.yaml").run()
    flow.expect(steps={"clean-workspace": "Succeeded", "report-success": "Succeeded", "report-failure": "Skipped"})


def test_cleaning_waits_until_nobody_uses_the_workspace(load_flow):
    flow = load_flow("../always-clean-up.yaml").script("unit", {"after": "2h"}).run("2h")
    flow.expect(steps={"unit": "Running"}, creates={"clean-workspace": 0})


def test_a_flow_that_is_stopped_cleans_nothing_for_that_a_step_has_to_be_in_finally(load_flow):
    flow = load_flow("../always-clean-up.yaml").run("5s")
    flow.happens("FlowEdited", json_patch=[{"op": "add", "path": "/spec/shutdown", "value": "Stop"}]).run()
    flow.expect(flow="Failed", steps={"clone": "Failed", "clean-workspace": "Skipped"}, active_jobs=0)
