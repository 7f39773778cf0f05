"""How a job's frozen backbone is computed."""

from sparse_adapter.trainer.v1 import job_pb2


def read_precision(spec: job_pb2.JobSpec) -> job_pb2.Precision:
    """FLOAT32 where the job leaves it unsaid."""
    return spec.precision or job_pb2.PRECISION_FLOAT32


def other_precision(spec: job_pb2.JobSpec) -> str | None:
    """The name of a precision other than FLOAT32, for digests of what work was made from; else
    None.

    Digests of FLOAT32 are those from before there was a choice, so that what is on disk stays done.
    """
    precision = read_precision(spec)
    return None if precision == job_pb2.PRECISION_FLOAT32 else job_pb2.Precision.Name(precision)
