"""What the owner of tsdb-ci.yaml relies on."""


def test_coverage_is_welcome_and_not_required(load_flow):
    flow = load_flow("../tsdb-ci.yaml").script("cover-query", {"exitCode": 1}).run()
    flow.expect(flow="Succeeded", steps={"cover-query": "Failed", "report": "Succeeded"})


def test_unit_tests_that_fail_end_it(load_flow):
    flow = load_flow("../tsdb-ci.yaml").script("unit", {"exitCode": 1}).run()
    flow.expect(flow="Failed", creates={"cover-wire": 0, "report": 0})


def test_unit_tests_that_hang_are_ended_after_half_an_hour(load_flow):
    flow = load_flow("../tsdb-ci.yaml").script("unit", {"after": "3h"}).run()
    flow.expect(flow="Failed", steps={"unit": "Failed"}, deleted_by_engine=[{"step": "unit", "from": 1810, "to": 1815}])


def test_nothing_is_asked_before_all_producers_have_written(load_flow):
    flow = load_flow("../tsdb-ci.yaml").script("producer-3", {"exitCode": 1}, {"after": "10m"}).run("9m")
    flow.expect(steps={"producer-1": "Succeeded"}, creates={"producer-3": 2, "consumer": 0})
