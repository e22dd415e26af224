"""What must hold of the release, whatever happens to it. No cluster, no waiting: time is virtual."""


def test_deploy_never_runs_without_approval(load_flow):
    flow = load_flow("flows/release.yaml").run()
    flow.expect(flow="Paused", steps={"approve": "PendingApproval"}, never={"steps": {"deploy": "Running"}})
    flow.approve("approve", by="ann").run()
    flow.expect(flow="Succeeded", steps={"deploy": "Succeeded"}, creates={"deploy": 1})


def test_a_rejected_release_is_reported(load_flow):
    flow = load_flow("flows/release.yaml").run().reject("approve", "not on a Friday").run()
    flow.expect(flow="Failed", steps={"deploy": "Skipped", "report": "Succeeded"}, message={"approve": "Friday"})


def test_a_build_that_was_killed_is_tried_again_after_half_a_minute(load_flow):
    flow = load_flow("flows/release.yaml")
    flow.script("build", {"exitCode": 137, "after": "5s"}, {"exitCode": 0, "after": "1m"})
    flow.run(until="1h").expect(creates={"build": 2}, created=[{"step": "build", "attempt": 2, "from": 35}])


def test_a_test_that_hangs_is_stopped_after_ten_minutes(load_flow):
    flow = load_flow("flows/release.yaml").script("test", {"after": "2h"}).run()
    flow.expect(flow="Failed", steps={"test": "Failed", "approve": "Skipped"}, message={"test": "deadline|timeout"})


def test_an_operator_that_crashes_deploys_once_all_the_same(load_flow):
    flow = load_flow("flows/release.yaml").run().approve("approve")
    flow.happens("OperatorCrash").advance("5m").happens("OperatorStart").run()
    flow.expect(flow="Succeeded", creates={"deploy": 1}, distinct_names=True)
