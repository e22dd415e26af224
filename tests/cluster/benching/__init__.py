"""What `nox -s bench_cluster` is made of."""
