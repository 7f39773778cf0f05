"""The code in docs/use-an-adapter.md gives a trial's own predictions."""

import json
import re
from pathlib import Path

import pytest
import torch
from engine_support import Recorder, fresh_root, spec, train_work, trial
from safetensors.torch import load_file, save_file
from sparse_adapter.trainer.v1 import job_pb2
from test_encoder import padded

from sparse_adapter_engine.data.rows import load_split
from sparse_adapter_engine.engine import Engine

PAGE = Path(__file__).parents[3] / "docs" / "use-an-adapter.md"


def test_the_documented_code_gives_a_trials_own_logits(
    cola: Path, tmp_path: Path, backbone_path: str
) -> None:
    root = fresh_root(cola, tmp_path / "root")
    engine, trials = Engine(root, threads=1), [trial("a", pruner="snip", sparsity=0.5)]
    predict = job_pb2.PredictWork(splits=["validation"])
    for work in ({"prune": job_pb2.PruneWork()}, {"train": train_work()}, {"predict": predict}):
        engine.run(spec(backbone_path, trials, **work), Recorder())
    expected = load_file(root / "trials" / "a" / "predictions.validation.safetensors")["logits"]

    documented: dict[str, object] = {}
    (code, _) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    exec(code, documented)
    dataset = spec(backbone_path, trials).dataset
    rows = load_split(root, dataset, "validation", vocabulary=30522, token_types=2, longest=512)
    folder = root / "trials" / "a" / "adapter"
    logits = documented["load"](folder, backbone_path)(padded(rows, padding=0))  # type: ignore[operator]
    assert torch.allclose(logits, expected, atol=1e-5)

    weights, config = folder / "adapter_model.safetensors", folder / "adapter_config.json"
    tensors, content = load_file(weights), json.loads(config.read_text())
    # Whatever it would not read, of the adapter or its tensors, it refuses.
    for later in ({"attention_scale": 2.0}, {"unfrozen_tensors": ["*.bias"]}, {"later": True}):
        adapter = content["adapter"] | later
        config.write_text(json.dumps(content | {"adapter": adapter}))
        with pytest.raises(AssertionError, match=next(iter(later))):
            documented["load"](folder, backbone_path)  # type: ignore[operator]
    config.write_text(json.dumps(content))
    save_file(tensors | {"layers.0.ffn.scale": torch.ones(1)}, weights)
    with pytest.raises(AssertionError, match=r"layers\.0\.ffn\.scale"):
        documented["load"](folder, backbone_path)  # type: ignore[operator]
