"""Every bound of zenflow, each with the reason for its size.

What can grow has a bound here and nowhere else: validation refuses above it,
the core relies on it, and the documentation is generated from it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

SOURCE_BYTES: Final = 8 * 1024 * 1024
"""Bytes of one manifest file. etcd takes 1.5 MiB an object; comments and indentation may cost a few times that."""

SOURCE_DEPTH: Final = 64
"""Nesting of a manifest. A Job template nests about 15 deep, the Go JSON decoder of the API server allows far more."""

SOURCE_NODES: Final = 500_000
"""YAML nodes of one file after aliases are followed: ten times what an object of 1.5 MiB can hold."""

SOURCE_DOCUMENTS: Final = 1_000
"""Documents of one file, empty ones included. Each costs a little even if it holds nothing."""

SOURCE_ANCHORS: Final = 10_000
"""Anchors of one YAML document: far more than a person names, and half a million of them would cost a second."""

SOURCE_TAG_DIRECTIVES: Final = 16
"""%TAG lines of one file, which mean nothing here. libyaml compares each with all before it."""

PROBLEMS: Final = 1_000
"""Problems reported for one manifest. Nobody reads more; hostile input could make millions."""

OBJECT_BYTES: Final = 1_572_864
"""etcd's default request limit (`--max-request-bytes`), which a stored JobFlow has to stay under."""

STATUS_BYTES_PER_STEP: Final = 300
"""What a row of status costs at its end, with reason, times and Job uid (measured on golden lifecycles, rounded up)."""

ARTIFACT_STORE_BYTES: Final = 2048
"""What a default store for artifacts may have as JSON: each flow that uses it records it."""

ARTIFACT_STORE_KEY_CHARACTERS: Final = 256
"""A key of S3 has 1,024 bytes; the flow's uid, step, attempt and artifact follow the store's own."""

STATUS_BYTES_PER_ARTIFACT: Final = 280
"""What an output artifact adds to its step's row: name, digest, size and location with the flow's uid (rounded up)."""

STEPS: Final = 3_146
"""Steps of one flow, `finally` included: the most for which the API server takes the CRD's rules (their estimated
cost grows with steps times dependencies, at most 9.9 million). The object's size is mostly reached before."""

DEPENDENCIES: Final = 3_145
"""Dependencies of one step: a fan-in over every other step is legal."""

EXPRESSION_CHARACTERS: Final = 4096
"""Length of a `when`. CEL compiles in time proportional to it; nobody reads a longer condition."""

JSON_PATH_CHARACTERS: Final = 1024
"""Length of a jsonPath."""

PARAMETER_VALUE_BYTES: Final = 32 * 1024
"""UTF-8 bytes of one recorded value. A termination message ends at 4 KiB; a ConfigMap value may be longer."""

NAME_CHARACTERS: Final = 253
"""Kubernetes' limit on object names (DNS-1123 subdomain)."""

LABEL_CHARACTERS: Final = 63
"""Kubernetes' limit on label values, and on Job names, which become label values."""

INT32_MAX: Final = 2**31 - 1
INT64_MAX: Final = 2**63 - 1

STEP_TIMEOUT_SECONDS: Final = 2_592_000
"""30 days, as the JobFlow API has always said."""

RETRY_LIMIT_DEFAULT: Final = 3
FLOW_BACKOFF_LIMIT_DEFAULT: Final = 6
TTL_SECONDS_DEFAULT: Final = 86_400
BACKOFF_FACTOR_DEFAULT: Final = 2.0
BACKOFF_DURATION_DEFAULT: Final = timedelta(seconds=1)

BACKOFF_DURATION_MAX: Final = timedelta(hours=720)
"""Default and ceiling of `backoff.maxDuration`, and the longest `backoff.duration`: 30 days."""

REFUSAL_DELAY_MAX: Final = timedelta(seconds=60)
"""Longest pause before a create that the API server refused for now is sent again (1, 2, 4 ... seconds)."""

RESOURCE_REFUSAL_DELAY: Final = timedelta(seconds=10)
"""Pause before the create of an object of resourceTemplates that was refused for now is sent again."""

RETRY_AFTER_MAX: Final = timedelta(hours=1)
"""A server's Retry-After beyond this is taken as this: a typing error there must not park a flow for a year."""

HELD_STEPS_NAMED: Final = 3
"""How many steps a `WaitsFor` names before it only counts: a status row must not grow with the fan-in."""

MESSAGE_CHARACTERS: Final = 512
"""Text taken over from elsewhere (Job conditions, API errors) into status."""

MOVES_PER_WAVE: Final = 8
"""Longest chain of moves one step makes at one instant; more is our own bug."""

DUMP_BYTES: Final = 1024 * 1024
"""Bytes of the latest decisions that an operator keeps of one flow: some 400 decisions about a flow of ten steps."""
