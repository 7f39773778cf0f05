"""The precision at which a job's frozen backbone is computed."""

from sparse_adapter.trainer.v1 import job_pb2


def read_precision(spec: job_pb2.JobSpec) -> job_pb2.Precision:
    """The job's precision; FLOAT32 if it names none."""
    return spec.precision or job_pb2.PRECISION_FLOAT32


def other_precision(spec: job_pb2.JobSpec) -> str | None:
    """The name of the job's precision, for digests of inputs; None for FLOAT32.

    Digests for FLOAT32 are the same as before there was a choice, so finished work stays valid.
    """
    precision = read_precision(spec)
    return None if precision == job_pb2.PRECISION_FLOAT32 else job_pb2.Precision.Name(precision)
