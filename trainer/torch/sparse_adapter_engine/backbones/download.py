"""Downloading a backbone from the Hugging Face hub, which may take far longer than a working loop
may be silent."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from huggingface_hub import snapshot_download

_SECONDS_BETWEEN_SIGNS = 1.0
# What Transformers loads: the second only where a repository has none of the first.
_SAFETENSORS = ["model.safetensors", "model-*.safetensors", "model.safetensors.index.json"]
_PICKLES = ["pytorch_model.bin", "pytorch_model-*.bin", "pytorch_model.bin.index.json"]
_log = logging.getLogger(__name__)


def download(hub_id: str, working: Callable[[], None]) -> None:
    """Brings configuration and weights into the hub's cache. Calls `working` each second.

    What cannot be downloaded is left to the loading, which says so.
    """
    thread = threading.Thread(target=_download, args=(hub_id,), daemon=True)
    thread.start()
    while thread.is_alive():
        working()
        thread.join(_SECONDS_BETWEEN_SIGNS)


def _download(hub_id: str) -> None:
    try:
        folder = Path(snapshot_download(hub_id, allow_patterns=["config.json", *_SAFETENSORS]))
        if not any(folder.glob("model*.safetensors")):
            snapshot_download(hub_id, allow_patterns=_PICKLES)
    except Exception as error:
        _log.warning("%s cannot be downloaded: %s", hub_id, error)
