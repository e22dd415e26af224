"""Flows that really run, on this machine and without a cluster: `LocalRun`.

The core and the cluster in memory are those of a simulation; only what a Job does is real: its containers are processes
of this machine, or containers of podman or docker, and time is the clock on the wall.

From the bottom up: `mounts` (where a container's paths are on disk), `environment` (its variables), `engine` (the
command line that runs it), `processes` (processes, their output and their ends), `pod` (one Pod's containers, in
order), `jobs` (the Job controller), `saved` (what an interrupted run leaves), `run` (all of it, to the flow's end).
"""
