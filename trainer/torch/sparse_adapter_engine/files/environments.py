"""What made a file: Environments of event.proto, in order, as JSON in the file's metadata."""

import json
from collections.abc import Sequence
from pathlib import Path

from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from sparse_adapter.trainer.v1 import event_pb2

from sparse_adapter_engine.errors import bad_artifact

from .artifacts import read_metadata

Environments = list[event_pb2.Environment]


def continue_in(
    before: Sequence[event_pb2.Environment], now: event_pb2.Environment
) -> Environments:
    """What made a trial's work so far, and what continues it."""
    return [*before] if before and before[-1] == now else [*before, now]


def to_json(environments: Sequence[event_pb2.Environment]) -> list[object]:
    """The inverse of `from_json`."""
    return [MessageToDict(each) for each in environments]


def from_json(content: Sequence[dict[str, object]]) -> Environments:
    """Raises ParseError or TypeError for anything that `to_json` does not write."""
    return [ParseDict(each, event_pb2.Environment()) for each in content]


def to_metadata(environments: Sequence[event_pb2.Environment]) -> dict[str, str]:
    """The metadata of a file that these made."""
    return {"environments": json.dumps(to_json(environments), sort_keys=True)}


def read_environments(path: Path) -> Environments:
    """What made a safetensors file. One unknown environment if the file does not say so, as those
    of older trainers.

    Raises JobFailed (BAD_ARTIFACT) if it cannot be read.
    """
    found = read_metadata(path).get("environments")
    if found is None:
        return [event_pb2.Environment()]
    try:
        return from_json(json.loads(found))
    except (ValueError, TypeError, ParseError) as error:
        raise bad_artifact(
            f"{path}: environments in its metadata cannot be read: {error}"
        ) from None
