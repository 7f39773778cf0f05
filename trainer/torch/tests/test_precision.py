"""What was made at one precision is never taken for what another would make; float32 stays made."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from engine_support import Recorder, fresh_root, spec, train_work, trial
from sparse_adapter.trainer.v1 import event_pb2, job_pb2

from sparse_adapter_engine.engine import Engine
from sparse_adapter_engine.files.trials import mask_source, training_source
from sparse_adapter_engine.work import predict as work_predict

TRIAL = trial("a", pruner="snip", sparsity=0.5)
MASK_DIGEST = "d" * 64
# As they were before there was a choice.
MASK_SOURCE = "fa738126c6ca27409f51b745a41c1851e92be8c6ae5cdce9f8ce4178e2d64bf7"
TRAINING_SOURCE = "1676d83699e5e0a096b0a866d4cd18b5e4098606af616d1faf03adf6c8debf02"
ADAPTER_DIGEST = "5246455da71252273e68731cba012ede6bf219c7975cd3c5d04f9de2f3a882b3"
SAME = [job_pb2.PRECISION_UNSPECIFIED, job_pb2.PRECISION_FLOAT32]
OTHERS = [job_pb2.PRECISION_TF32, job_pb2.PRECISION_BF16]


def prune_job(precision: job_pb2.Precision, path: str = "/m") -> job_pb2.JobSpec:
    return spec(path, [TRIAL], prune=job_pb2.PruneWork(), precision=precision)


def prediction_source(root: Path, precision: job_pb2.Precision) -> str:
    folder = root / "trials" / "a" / "adapter"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter_config.json").write_text("{}")
    return work_predict._source(
        SimpleNamespace(root=root), SimpleNamespace(spec=prune_job(precision)), TRIAL
    )


@pytest.mark.parametrize("precision", SAME)
def test_digests_of_float32_are_those_from_before_there_was_a_choice(precision, tmp_path):
    assert mask_source(prune_job(precision), TRIAL) == MASK_SOURCE
    assert training_source(prune_job(precision), TRIAL, MASK_DIGEST) == TRAINING_SOURCE
    assert prediction_source(tmp_path, precision) == f"{ADAPTER_DIGEST} datasets/cola {'b' * 64}"


def test_every_other_precision_has_digests_of_its_own(tmp_path):
    each = [*OTHERS, job_pb2.PRECISION_FLOAT32]
    assert len({mask_source(prune_job(precision), TRIAL) for precision in each}) == 3
    assert (
        len({training_source(prune_job(precision), TRIAL, MASK_DIGEST) for precision in each}) == 3
    )
    assert len({prediction_source(tmp_path, precision) for precision in each}) == 3


def test_work_that_is_done_is_done_for_a_job_that_says_float32_too(cola, backbone_path, tmp_path):
    engine, short = (
        Engine(fresh_root(cola, tmp_path / "root"), threads=1),
        trial("a", pruner="mag", sparsity=0.5, total_steps=2),
    )
    predictions = tmp_path / "root" / "trials" / "a" / "predictions.validation.safetensors"
    done: dict[job_pb2.Precision, list[event_pb2.Artifact]] = {}
    written: dict[job_pb2.Precision, int] = {}
    for precision in SAME:
        made: list[event_pb2.Artifact] = []
        predict = job_pb2.PredictWork(splits=["validation"])
        for work in ({"prune": job_pb2.PruneWork()}, {"train": train_work()}, {"predict": predict}):
            told = Recorder()
            engine.run(spec(backbone_path, [short], precision=precision, **work), told)
            made += told.artifacts["a"]
        done[precision] = made
        written[precision] = predictions.stat().st_mtime_ns
    first, second = (done[precision] for precision in SAME)
    assert first == second
    assert len(set(written.values())) == 1
