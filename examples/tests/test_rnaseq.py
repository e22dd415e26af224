"""What the owner of rnaseq.yaml relies on."""

SAMPLES = ("gut", "liver", "lung", "brain", "heart", "skin")


def test_a_bad_quality_report_of_one_sample_stops_nothing(load_flow):
    flow = load_flow("../rnaseq.yaml").script("qc-gut", {"exitCode": 1}).run()
    flow.expect(flow="Succeeded", steps={"qc-gut": "Failed", "report": "Succeeded"})


def test_a_node_that_is_lost_costs_no_attempt(load_flow):
    flow = load_flow("../rnaseq.yaml").script("quant-liver", {"exitCode": 137}).run()
    flow.expect(flow="Succeeded", creates={"quant-liver": 1}, retry_count={"quant-liver": 0})


def test_a_sample_that_cannot_be_quantified_is_tried_three_times_and_ends_it(load_flow):
    flow = load_flow("../rnaseq.yaml").script("quant-skin", *3 * [{"exitCode": 1}]).run()
    flow.expect(flow="Failed", creates={"quant-skin": 3, "report": 0})


def test_quality_control_needs_no_index(load_flow):
    flow = load_flow("../rnaseq.yaml").script("index", {"after": "1h"}).run("30m")
    flow.expect(steps=dict.fromkeys((f"qc-{each}" for each in SAMPLES), "Succeeded"), creates={"quant-gut": 0})
