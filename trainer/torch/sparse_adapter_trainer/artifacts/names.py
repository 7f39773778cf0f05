"""Which files ArtifactService moves: the names that it lists in artifacts.proto."""

import re
from pathlib import Path

from sparse_adapter.trainer.v1 import event_pb2

from sparse_adapter_engine.errors import JobFailed
from sparse_adapter_engine.files.names import resolve
from sparse_adapter_trainer.refusals import invalid
from sparse_adapter_trainer.validation.violations import Found, Violation, list_violations

_ID = "[a-z0-9-]{1,64}"
_PLAIN = r"(?=[^/]{1,128}(?:/|\Z))[a-z0-9_][a-z0-9_.-]*"
_FILE = rf"{_PLAIN}\.(?:json|safetensors)"
_TRIAL = f"trials/{_ID}"
_STEP = "checkpoints/step-[0-9]{1,19}"
_RUNG = "rungs/step-[0-9]{1,19}"
_FILES = re.compile(
    rf"(?:datasets|backbones)/{_ID}/{_FILE}"
    rf"|{_TRIAL}/(?:masks\.safetensors|{_STEP}/{_FILE})"
    rf"|{_TRIAL}/(?:{_RUNG}/)?(?:training\.json|adapter/{_FILE})"
    rf"|{_TRIAL}/predictions\.[a-z0-9_][a-z0-9_.-]{{0,127}}\.safetensors"
)
_FOLDERS = re.compile(
    rf"(?:datasets|backbones|trials)/{_ID}|{_TRIAL}/(?:(?:{_RUNG}/)?adapter|checkpoints|{_STEP})"
)
_SHA256 = re.compile("[0-9a-f]{64}")
LARGEST_SIZE = 2**53 - 1
MOST_NAMES = 1000


def is_file_name(name: str) -> bool:
    """Whether it is one of a file that can be moved."""
    return _FILES.fullmatch(name) is not None


def check_file(field: str, artifact: event_pb2.Artifact) -> Found:
    """What is wrong with a file's name, digest and size."""
    if not is_file_name(artifact.name):
        yield f"{field}.name", _describe_wrong(artifact.name)
    if not _SHA256.fullmatch(artifact.digest):
        yield f"{field}.digest", _describe_digest(artifact.digest)
    if artifact.size > LARGEST_SIZE:
        yield f"{field}.size", f"{artifact.size} is above {LARGEST_SIZE}"


def check_download(name: str, offset: int, digest: str) -> Found:
    """What is wrong with the request of a download."""
    if not is_file_name(name):
        yield "name", _describe_wrong(name)
    if digest == "":
        if offset > 0:
            yield "digest", "is empty; an offset above 0 needs the content that it counts in"
    elif not _SHA256.fullmatch(digest):
        yield "digest", _describe_digest(digest)


def check_file_or_folder(field: str, name: str) -> Found:
    """What is wrong with the name of a file or folder."""
    if not is_file_name(name) and not _FOLDERS.fullmatch(name):
        yield field, _describe_wrong(name)


def require(found: Found) -> None:
    """Raises Refusal (INVALID_ARGUMENT) if something is wrong."""
    if violations := list_violations(found):
        raise invalid(violations)


def locate(root: Path, field: str, name: str) -> Path:
    """The path of a checked name. Raises Refusal (INVALID_ARGUMENT) if it leaves the root through a
    link."""
    try:
        return resolve(root, name)
    except JobFailed as error:
        raise invalid([Violation(field=field, description=error.message)]) from None


def find_trial(name: str) -> str | None:
    """The trial that a file belongs to; None if it is of a data set or a backbone."""
    kind, id, *_ = name.split("/")
    return id if kind == "trials" else None


def _describe_wrong(name: str) -> str:
    shown = name if len(name) <= 200 else f"{name[:200]}…"
    return f"{shown!r} is not a name that artifacts.proto lists"


def _describe_digest(digest: str) -> str:
    return f"{digest[:70]!r} is not a SHA-256 in 64 hexadecimal digits"
