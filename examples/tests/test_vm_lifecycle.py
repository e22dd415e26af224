"""What the owner of vm-lifecycle.yaml relies on."""

import pytest


@pytest.mark.parametrize("failing", ["wait-ssh", "configure", "test"])
def test_whatever_comes_out_the_machine_is_deleted(load_flow, failing):
    flow = load_flow("../vm-lifecycle.yaml").script(failing, {"exitCode": 1}, {"exitCode": 1}).run()
    flow.approve("keep").run().expect(flow="Succeeded", steps={failing: "Failed", "delete": "Succeeded"})


def test_it_is_kept_as_long_as_somebody_looks_at_it(load_flow):
    load_flow("../vm-lifecycle.yaml").run("48h").expect(
        flow="Paused", steps={"keep": "PendingApproval"}, creates={"delete": 0}
    )


def test_deleting_is_tried_eleven_times(load_flow):
    flow = load_flow("../vm-lifecycle.yaml").script("delete", *10 * [{"exitCode": 1}]).run()
    flow.approve("keep").run().expect(flow="Succeeded", creates={"delete": 11})


def test_the_machine_that_is_deleted_is_the_one_that_was_made(load_flow):
    flow = load_flow("../vm-lifecycle.yaml").script("create", {"outputs": {"id": "vm-17", "ip": "10.0.0.7"}})
    flow.run().approve("keep").run()
    machine = "spec.template.spec.containers[0].env[0].value"
    flow.expect(job_field=[{"step": "delete", "path": machine, "equals": "vm-17"}])
