"""config.json of a Hugging Face directory or hub id."""

from pathlib import Path
from typing import Any

from transformers import AutoConfig

from sparse_adapter_engine.errors import bad_artifact


def read_config(path: str) -> Any:
    """The configuration of a Hugging Face directory or hub id.

    Raises JobFailed (BAD_ARTIFACT) if it is missing or broken.
    """
    if path.startswith("/") and not Path(path, "config.json").is_file():
        raise bad_artifact(
            f"backbone {path}: no config.json there; a backbone is a Hugging Face directory or a "
            "hub id"
        )
    try:
        return AutoConfig.from_pretrained(path)
    except (OSError, ValueError) as error:
        raise bad_artifact(f"backbone {path}: its config.json cannot be loaded: {error}") from error
