"""Names of artifacts, which never lead out of the artifact root."""

from pathlib import Path

from sparse_adapter.trainer.v1 import job_pb2

from sparse_adapter_engine.errors import bad_artifact


def resolve(root: Path, name: str) -> Path:
    """The path of an artifact's name.

    Raises JobFailed (BAD_ARTIFACT) if it is absolute, has `..` or leaves the root through a link.
    """
    parts = name.split("/")
    if (
        not name
        or name.startswith("/")
        or "\\" in name
        or "\0" in name
        or any(part in ("", ".", "..") for part in parts)
    ):
        raise bad_artifact(
            f"artifact name {name!r} is not a relative name with '/' between its parts"
        )
    path = root.joinpath(*parts)
    if not path.resolve().is_relative_to(root.resolve()):
        raise bad_artifact(f"artifact {name!r} leaves the artifact root {root}")
    return path


def place_backbone(root: Path, spec: job_pb2.JobSpec) -> job_pb2.JobSpec:
    """The specification with the absolute path of a backbone that is under the root.

    Raises JobFailed (BAD_ARTIFACT) if that leaves the root through a link.
    """
    backbone = spec.backbone
    if not is_under_root(backbone):
        return spec
    placed = job_pb2.JobSpec()
    placed.CopyFrom(spec)
    placed.backbone.path = str(resolve(root, backbone.path))
    return placed


def is_under_root(backbone: job_pb2.Backbone) -> bool:
    """Whether a job names its backbone as a folder under the artifact root."""
    return bool(backbone.path == f"backbones/{backbone.digest}")
