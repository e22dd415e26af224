"""What the owner of fan-out-300.yaml relies on."""


def test_results_are_merged_once_every_shard_is_there(load_flow):
    flow = load_flow("../fan-out-300.yaml").script("shard-001", {"after": "1h"}).run("1h")
    flow.expect(steps={"shard-295": "Succeeded"}, creates={"merge": 0}, active_jobs=1)


def test_a_shard_that_failed_is_repeated_alone(load_flow):
    flow = load_flow("../fan-out-300.yaml").script("shard-007", {"exitCode": 1}).run()
    flow.expect(flow="Succeeded", creates={"shard-007": 2}, creates_total=301)


def test_a_shard_that_is_missing_is_not_merged_over(load_flow):
    load_flow("../fan-out-300.yaml").script("shard-001", {"exitCode": 1}).run().expect(
        flow="Failed", creates={"merge": 0}
    )


def test_a_cold_cache_costs_time_and_nothing_else(load_flow):
    flow = load_flow("../fan-out-300.yaml").script("warm-cache", {"exitCode": 1}).run()
    flow.expect(flow="Succeeded", steps={"warm-cache": "Failed", "shard-000": "Succeeded"})
