"""What the API server does with a batch/v1 Job: decode it, fill in defaults, refuse what it does not take.

The model follows Kubernetes 1.35. Three stages, as there:

1. decode: a field of the wrong type is 400 BadRequest; a field that the API does not know is dropped
   without a word (`template_problems` reports it all the same, for tools that check manifests);
2. defaults: those of the Job itself, and the generated selector and labels. The Pod template's own
   defaults (pull policy, grace period ...) are left out: no decision depends on them;
3. validation: 422 Invalid, with one cause for each field at fault.

Not modelled: validation of the status a controller writes.
"""

from __future__ import annotations

from zenflow_testing.errors import (
    Causes,
    Target,
)
from zenflow_testing.job_decoding import decode_job
from zenflow_testing.job_defaults import defaulted_job, job_as_read
from zenflow_testing.job_updates import validate_job_update
from zenflow_testing.job_validation import validate_job
from zenflow_testing.kinds import Object


class JobRules:
    """The rules of kind Job, as the cluster asks for them."""

    def decoded(self, body: Object, target: Target) -> Object:
        """See `decode_job`."""
        return decode_job(body, target)

    def defaulted(self, body: Object) -> Object:
        """See `defaulted_job`."""
        return defaulted_job(body)

    def as_read(self, body: Object) -> Object:
        """See `job_as_read`."""
        return job_as_read(body)

    def create_causes(self, body: Object) -> Causes:
        """See `validate_job`."""
        return validate_job(body)

    def update_causes(self, old: Object, new: Object) -> Causes:
        """See `validate_job_update`."""
        return validate_job_update(old, new)
