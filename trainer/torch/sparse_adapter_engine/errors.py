"""How work ends other than by finishing."""

from sparse_adapter.trainer.v1 import event_pb2


class JobFailed(Exception):
    """The job as a whole cannot go on.

    The message is for a person: what, where, and what would help.
    """

    def __init__(self, reason: event_pb2.FailureReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class TrialFailed(Exception):
    """One trial cannot go on; its neighbours can."""

    def __init__(self, reason: event_pb2.FailureReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message

    def failure(self) -> event_pb2.Failure:
        return event_pb2.Failure(reason=self.reason, message=self.message)


class Interrupted(Exception):
    """Stopped by CANCEL_MODE_CHECKPOINT: the work so far is on disk, and the same job continues
    from there when it is submitted again."""


class Cancelled(Exception):
    """Stopped by CANCEL_MODE_ABORT."""


def bad_artifact(message: str) -> JobFailed:
    """A missing or broken artifact, backbone or data set; the message names the file."""
    return JobFailed(event_pb2.FAILURE_REASON_BAD_ARTIFACT, message)
