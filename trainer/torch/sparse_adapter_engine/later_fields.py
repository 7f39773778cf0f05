"""The fields of a trial that the contract has gained since its first release. Unset, they change
nothing. A trainer lists those that it handles (Capabilities.fields), and refuses the others."""

from google.protobuf.message import Message
from sparse_adapter.trainer.v1 import job_pb2

# The first of them in each message; later numbers are later fields.
_FIRST = {
    "adapter": job_pb2.Adapter.DESCRIPTOR.fields_by_name["attention_scale"].number,
    "prune": job_pb2.Prune.DESCRIPTOR.fields_by_name["scoring_batch"].number,
    "train": job_pb2.Train.DESCRIPTOR.fields_by_name["optimizer"].number,
}


def set_later_fields(trial: job_pb2.Trial) -> list[str]:
    """Paths of the later fields that a trial sets, for example `adapter.frozen`."""
    return [
        f"{part}.{field.name}"
        for part, first in _FIRST.items()
        for field, _ in getattr(trial, part).ListFields()
        if field.number >= first
    ]


def is_later(message: Message, field: str) -> bool:
    """Whether a field of an Adapter, Prune or Train is one of them."""
    first = _FIRST.get(message.DESCRIPTOR.name.lower())
    return first is not None and message.DESCRIPTOR.fields_by_name[field].number >= first
