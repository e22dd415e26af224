"""What the owner of migration-with-approval.yaml relies on."""


def test_the_schema_stays_as_it_is_until_somebody_agrees(load_flow):
    flow = load_flow("../migration-with-approval.yaml").run("24h").expect(flow="Paused", creates={"migrate": 0})
    flow.approve("agree", by="ann").run().expect(flow="Succeeded", creates={"migrate": 1})


def test_without_a_backup_nobody_is_asked(load_flow):
    flow = load_flow("../migration-with-approval.yaml").script("backup", *3 * [{"exitCode": 1}]).run()
    flow.expect(flow="Failed", steps={"agree": "Skipped", "migrate": "Skipped"})


def test_a_migration_that_failed_is_not_tried_again(load_flow):
    flow = load_flow("../migration-with-approval.yaml").script("migrate", {"exitCode": 1})
    flow.run().approve("agree").run().expect(flow="Failed", creates={"migrate": 1})


def test_a_question_that_nobody_answers_is_withdrawn_after_two_days(load_flow):
    flow = load_flow("../migration-with-approval.yaml").run("49h")
    flow.expect(flow="Failed", flow_reason="ActiveDeadlineExceeded", creates={"migrate": 0})


def test_an_operator_that_dies_while_it_starts_the_migration_starts_it_once(load_flow):
    flow = load_flow("../migration-with-approval.yaml").run()
    flow.happens("OperatorCrashOn", verb="create", kind="Job", when="after").approve("agree")
    flow.happens("OperatorStart").run().expect(flow="Succeeded", creates={"migrate": 1})
