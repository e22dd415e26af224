"""What the owner of movie-stats.yaml relies on."""

GENRES = ("comedy", "drama", "horror", "documentary")


def test_the_genres_are_counted_side_by_side(load_flow):
    flow = load_flow("../movie-stats.yaml").run("15s")
    flow.expect(steps=dict.fromkeys((f"genre-{each}" for each in GENRES), "Running"), active_jobs=5)


def test_the_join_sees_the_median_of_each_genre(load_flow):
    flow = load_flow("../movie-stats.yaml")
    for number, genre in enumerate(GENRES):
        flow.script(f"genre-{genre}", {"outputs": {"median": number}})
    path = "spec.template.spec.containers[0].env[{}].value".format
    seen = [{"step": "join", "path": path(number), "equals": str(number)} for number in range(4)]
    flow.run("35s").expect(job_field=seen)


def test_a_genre_that_fails_means_no_summary(load_flow):
    flow = load_flow("../movie-stats.yaml").script("genre-drama", {"exitCode": 1}).run()
    flow.expect(creates={"join": 0, "end": 0}, never={"flow": "Succeeded"})


def test_nothing_is_left_once_it_is_over(load_flow):
    load_flow("../movie-stats.yaml").run().expect(flow_exists=False, creates={"end": 1})
