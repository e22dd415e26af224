"""The programs that move a step's artifacts, in the step's own Pod: `python -m zenflow_runtime.artifacts`.

`inputs` fetches what the step is to find, `outputs` stores what it has left,
`removal` runs in a Pod of its own once a flow is deleted whose artifacts go along.
The operator decides what they are told (`zenflow_core.artifact_pod`) and reads
what they say (`zenflow_core.artifact_report`); the bytes and the credentials
never come to it. They need the standard library, attrs and obstore.

From the bottom up: `errors` (what may go wrong, in words), `orders` (what they
are told), `streams` (bytes on their way, counted and hashed), `web` and `s3`
(the stores), `tree` (file systems that nobody trusts), `pack` and `unpack`
(archives), `fetching`, `storing` and `removing` (one order each), `program` (all orders,
the message and the exit code).
"""
