"""What the owner of churn-model.yaml relies on."""


def test_one_model_that_cannot_be_trained_is_left_out(load_flow):
    flow = load_flow("../churn-model.yaml").script("train-net", {"exitCode": 1}, {"exitCode": 1}).run()
    flow.expect(flow="Paused", steps={"train-net": "Failed", "evaluate": "Succeeded", "approve": "PendingApproval"})


def test_a_score_below_the_bar_is_never_offered_for_publishing(load_flow):
    flow = load_flow("../churn-model.yaml").script("score-check", {"exitCode": 10}).run()
    flow.expect(flow="Failed", steps={"approve": "Skipped", "publish": "Skipped"}, creates={"score-check": 1})


def test_the_best_model_is_published_once_somebody_agrees(load_flow):
    flow = load_flow("../churn-model.yaml").script("evaluate", {"outputs": {"best": "trees", "auc": 0.91}}).run()
    flow.expect(creates={"publish": 0}).approve("approve").run()
    best = "spec.template.spec.containers[0].env[0].value"
    flow.expect(flow="Succeeded", job_field=[{"step": "publish", "path": best, "equals": "trees"}])
