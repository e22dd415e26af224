"""What the owner of release-train.yaml relies on."""


def test_nothing_is_deployed_without_an_approval(load_flow):
    flow = load_flow("../release-train.yaml").run().advance("12h").expect(flow="Paused", creates={"deploy": 0})
    flow.approve("approve-production", by="ann").run().expect(flow="Succeeded", creates={"deploy": 1, "announce": 1})


def test_a_release_that_is_rejected_is_over(load_flow):
    flow = load_flow("../release-train.yaml").run().reject("approve-production", "not on a Friday").run()
    flow.expect(flow="Failed", steps={"deploy": "Skipped"}, message={"approve-production": "Friday"})


def test_one_red_cell_of_the_matrix_builds_no_image(load_flow):
    flow = load_flow("../release-train.yaml").script("test-alpine-1-22", {"exitCode": 1}, {"exitCode": 1}).run()
    flow.expect(flow="Failed", steps={"test-linux-1-21": "Succeeded", "image": "Skipped"}, creates={"image": 0})


def test_an_opinion_of_the_linter_stops_nothing(load_flow):
    load_flow("../release-train.yaml").script("lint", {"exitCode": 1}).run().expect(
        flow="Paused", steps={"lint": "Failed"}
    )


def test_what_was_built_is_what_is_deployed(load_flow):
    flow = load_flow("../release-train.yaml").script("image", {"outputs": {"digest": "sha256:12ab"}})
    flow.run().approve("approve-production").run()
    deployed = "spec.template.spec.containers[0].env[0].value"
    flow.expect(job_field=[{"step": "deploy", "path": deployed, "equals": "sha256:12ab"}])
