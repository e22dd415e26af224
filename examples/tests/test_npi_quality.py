"""What the owner of npi-quality.yaml relies on."""

BELOW = ("load", "check-load", "transform", "check-result", "docs")


def test_bad_files_go_to_quarantine_and_nowhere_else(load_flow):
    flow = load_flow("../npi-quality.yaml").script("check-source", {"exitCode": 1}).run()
    flow.expect(steps={"quarantine": "Succeeded"}, creates={"quarantine": 1} | dict.fromkeys(BELOW, 0))


def test_good_files_are_loaded_and_not_put_away(load_flow):
    flow = load_flow("../npi-quality.yaml").run()
    flow.expect(flow="Succeeded", steps={"quarantine": "Skipped"} | dict.fromkeys(BELOW, "Succeeded"))


def test_a_result_that_does_not_pass_is_not_published(load_flow):
    flow = load_flow("../npi-quality.yaml").script("check-result", {"exitCode": 1}).run()
    flow.expect(flow="Failed", creates={"check-result": 1, "docs": 0})


def test_a_page_that_cannot_be_written_fails_nothing(load_flow):
    load_flow("../npi-quality.yaml").script("docs", {"exitCode": 1}).run().expect(
        flow="Succeeded", steps={"docs": "Failed"}
    )
