"""Downloading backbones: the loop counts as moving meanwhile."""

import time
from pathlib import Path

import pytest

from sparse_adapter_engine.backbones import download


@pytest.mark.parametrize("weights", ["model.safetensors", "pytorch_model.bin"])
def test_a_slow_download_gives_signs_of_life_and_takes_only_what_is_loaded(
    weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def slow(hub_id: str, allow_patterns: list[str]) -> str:
        assert hub_id == "someone/bert"
        asked.extend(allow_patterns)
        time.sleep(0.2)
        if weights in allow_patterns:
            (tmp_path / weights).touch()
        return str(tmp_path)

    monkeypatch.setattr(download, "snapshot_download", slow)
    monkeypatch.setattr(download, "_SECONDS_BETWEEN_SIGNS", 0.02)
    moves: list[float] = []
    download.download("someone/bert", lambda: moves.append(time.monotonic()))
    assert (tmp_path / weights).exists()
    assert ("pytorch_model.bin" in asked) == (weights == "pytorch_model.bin")
    assert len(moves) > 4


def test_what_cannot_be_downloaded_is_left_to_the_loading(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(hub_id: str, allow_patterns: list[str]) -> str:
        raise OSError("no such host")

    monkeypatch.setattr(download, "snapshot_download", fail)
    download.download("someone/bert", lambda: None)
    assert [record.message for record in caplog.records] == [
        "someone/bert cannot be downloaded: no such host"
    ]
