"""What the owner of db-backup.yaml relies on."""


def test_old_backups_go_only_when_somebody_agrees(load_flow):
    flow = load_flow("../db-backup.yaml").run().advance("8h").expect(flow="Paused", creates={"prune": 0})
    flow.approve("approve-prune", by="ann").run().expect(flow="Succeeded", creates={"prune": 1})


def test_a_backup_that_cannot_be_restored_replaces_no_older_one(load_flow):
    flow = load_flow("../db-backup.yaml").script("restore", {"exitCode": 1}).run()
    flow.expect(steps={"approve-prune": "Skipped", "prune": "Skipped"}, never={"flow": "Paused"})


def test_the_scratch_database_is_dropped_after_a_failed_restore_too(load_flow):
    flow = (
        load_flow("../db-backup.yaml").script("restore", {"exitCode": 1}).script("drop-scratch", {"exitCode": 1}).run()
    )
    flow.expect(steps={"restore": "Failed", "drop-scratch": "Succeeded"}, creates={"drop-scratch": 2})


def test_a_dump_is_tried_again_after_one_minute_and_then_after_two(load_flow):
    flow = load_flow("../db-backup.yaml").script("dump", *2 * [{"exitCode": 1, "after": "0s"}]).run()
    flow.expect(created=[{"step": "dump", "attempt": 2, "from": 60}, {"step": "dump", "attempt": 3, "from": 180}])
