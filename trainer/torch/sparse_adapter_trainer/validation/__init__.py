"""What is wrong with a SubmitJobRequest, field by field.

`invalid_fields` needs nothing but the request (INVALID_ARGUMENT). `unmet_preconditions` looks at
what this trainer can do and has on its disk (FAILED_PRECONDITION) and expects a valid request. Both
return violations with the field's path in the request.
"""

from .job import invalid_fields, invalid_identity
from .preconditions import unmet_preconditions
from .violations import Violation, bad_request

__all__ = [
    "Violation",
    "bad_request",
    "invalid_fields",
    "invalid_identity",
    "unmet_preconditions",
]
