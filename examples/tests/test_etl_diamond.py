"""What the owner of etl-diamond.yaml relies on."""


def test_a_silent_source_is_asked_again_ever_later(load_flow):
    flow = load_flow("../etl-diamond.yaml").script("extract-a", *3 * [{"exitCode": 1, "after": "0s"}]).run()
    again = [{"step": "extract-a", "attempt": number, "from": at} for number, at in ((2, 10), (3, 30), (4, 70))]
    flow.expect(flow="Succeeded", created=again)


def test_a_source_that_stays_silent_loads_nothing(load_flow):
    flow = load_flow("../etl-diamond.yaml").script("extract-b", *4 * [{"exitCode": 1}]).run()
    flow.expect(flow="Failed", creates={"extract-b": 4, "merge": 0, "load": 0})


def test_nothing_is_merged_before_both_sides_are_there(load_flow):
    flow = load_flow("../etl-diamond.yaml").script("transform-b", {"after": "3h"}).run("3h")
    flow.expect(steps={"transform-a": "Succeeded"}, creates={"merge": 0}).run().expect(flow="Succeeded")


def test_loading_may_take_twenty_minutes(load_flow):
    flow = load_flow("../etl-diamond.yaml").script("load", {"after": "1h"}).run()
    flow.expect(flow="Failed", steps={"load": "Failed"}, message={"load": "timeoutSeconds|deadline"})
