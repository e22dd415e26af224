"""What the owner of hello-linear.yaml relies on. Time is virtual; a Job takes 10 s unless a test says otherwise."""


def test_one_step_follows_the_other(load_flow):
    flow = load_flow("../hello-linear.yaml").script("work", {"after": "5m"}).run()
    flow.expect(
        created=[{"step": "work", "from": 10}, {"step": "say-goodbye", "from": 310}], never={"activeJobsAbove": 1}
    )


def test_a_step_that_fails_is_the_last_one(load_flow):
    flow = load_flow("../hello-linear.yaml").script("work", {"exitCode": 1}).run()
    flow.expect(flow="Failed", steps={"work": "Failed", "say-goodbye": "Skipped"})


def test_nothing_is_left_an_hour_after_the_end(load_flow):
    flow = load_flow("../hello-linear.yaml").run().advance("59m").expect(flow="Succeeded", flow_exists=True)
    flow.advance("1m").expect(flow_exists=False, active_jobs=0)
