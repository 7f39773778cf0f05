"""A cohort's trials are their lone runs."""

import json
from pathlib import Path

import pytest
import torch
from engine_support import Recorder, adapter, fresh_root, spec, train_work, trial, weights
from safetensors.torch import load_file
from sparse_adapter.trainer.v1 import event_pb2, job_pb2

from sparse_adapter_engine.engine import Engine

SIX = [
    trial("t1", seed=1, width=8, pruner="none", batch_size=8, learning_rate=1e-3),
    trial("t2", seed=2, width=16, pruner="rand", sparsity=0.4, batch_size=5, learning_rate=1e-4),
    trial(
        "t3",
        seed=3,
        width=24,
        pruner="mag",
        sparsity=0.8,
        batch_size=8,
        learning_rate=1e-2,
        max_grad_norm=0,
    ),
    trial("t4", seed=4, width=64, pruner="snip", sparsity=0.9, batch_size=12, learning_rate=5e-4),
    trial(
        "t5",
        seed=5,
        width=32,
        pruner="snip",
        sparsity=0.4,
        batch_size=32,
        learning_rate=1e-3,
        total_steps=8,
    ),
    trial(
        "t6",
        seed=1,
        width=64,
        pruner="rand",
        sparsity=0.5,
        batch_size=5,
        learning_rate=3e-3,
        weight_decay=0.0,
    ),
]


def with_dropout(
    trials: list[job_pb2.Trial], dropout: float, attention_dropout: float
) -> list[job_pb2.Trial]:
    changed = [job_pb2.Trial.FromString(trial.SerializeToString()) for trial in trials]
    for one in changed:
        one.train.dropout, one.train.attention_dropout = dropout, attention_dropout
    return changed


def run(root: Path, backbone: str, trials: list[job_pb2.Trial], threads: int = 1) -> Recorder:
    """Prunes and trains these trials as one cohort."""
    engine = Engine(root, threads=threads)
    if engine.environment["row_invariant"] != "true":
        pytest.skip(
            "on this processor products give a row other bits beside other rows: equality holds to "
            "rounding only"
        )
    pruned = Recorder()
    engine.run(spec(backbone, trials, prune=job_pb2.PruneWork()), pruned)
    assert not pruned.failures
    trained = Recorder()
    engine.run(spec(backbone, trials, train=train_work()), trained)
    return trained


def assert_equal_weights(root: Path, other: Path, trial_id: str) -> None:
    one, two = weights(root, trial_id), weights(other, trial_id)
    assert one.keys() == two.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, two[name]), f"{trial_id} {name}"


@pytest.mark.parametrize(
    ("dropout", "attention_dropout", "threads"), [(0.0, 0.0, 1), (0.1, 0.1, 2)]
)
def test_six_trials_in_a_cohort_have_every_weight_of_their_lone_runs_beside_one_that_diverges(
    dropout: float,
    attention_dropout: float,
    threads: int,
    cola: Path,
    backbone_path: str,
    tmp_path: Path,
) -> None:
    trials = with_dropout(SIX, dropout, attention_dropout)
    diverging = trial("t7", seed=7, width=48, learning_rate=1e30, max_grad_norm=0)
    together = fresh_root(cola, tmp_path / "together")
    told = run(together, backbone_path, [*trials[:3], diverging, *trials[3:]], threads)
    assert told.failures.keys() == {"t7"}
    assert told.failures["t7"].reason == event_pb2.FAILURE_REASON_NON_FINITE
    assert "at step" in told.failures["t7"].message
    assert not (together / "trials" / "t7" / "adapter").exists()
    for one in trials:
        alone = fresh_root(cola, tmp_path / one.trial_id)
        lone = run(alone, backbone_path, [one], threads)
        assert_equal_weights(together, alone, one.trial_id)
        own = {key: value for key, value in told.metric_values.items() if key[0] == one.trial_id}
        assert own == lone.metric_values


def test_a_pruned_trial_with_a_prompt_learns_and_predicts_in_a_cohort_what_it_does_alone(
    cola: Path, backbone_path: str, tmp_path: Path
) -> None:
    prompted = trial(
        "p", seed=3, pruner="snip", sparsity=0.6, total_steps=3, dropout=0.1, attention_dropout=0.1
    )
    prompted.adapter.CopyFrom(
        adapter("prompt", "parallel", attention_bottleneck=5, ffn_bottleneck=8)
    )
    beside = trial("b", seed=4, width=8, total_steps=3)
    cohorts = {"together": [beside, prompted], "alone": [prompted]}
    for name, trials in cohorts.items():
        root = fresh_root(cola, tmp_path / name)
        run(root, backbone_path, trials)
        Engine(root, threads=1).run(
            spec(backbone_path, trials, predict=job_pb2.PredictWork(splits=["validation"])),
            Recorder(),
        )
    assert_equal_weights(tmp_path / "together", tmp_path / "alone", "p")
    assert weights(tmp_path / "alone", "p")["prompt"].shape == (5, 384)
    together, alone = (
        (tmp_path / name / "trials" / "p" / "predictions.validation.safetensors").read_bytes()
        for name in cohorts
    )
    assert together == alone


def test_weights_that_are_masked_stay_exactly_zero_and_the_others_move(
    cola: Path, backbone_path: str, tmp_path: Path
) -> None:
    root = fresh_root(cola, tmp_path / "root")
    run(root, backbone_path, SIX[2:3])
    masks = load_file(root / "trials" / "t3" / "masks.safetensors")
    trained = weights(root, "t3")
    for name, mask in masks.items():
        assert mask.dtype == torch.uint8
        assert not trained[name][mask == 0].any()
        assert (trained[name][mask == 1] != 0).all()


def test_a_trial_whose_time_is_up_leaves_its_neighbour_alone_and_goes_on_under_a_higher_limit(
    cola: Path, backbone_path: str, tmp_path: Path
) -> None:
    slow, beside = (trial(name, seed=3, width=8, total_steps=6) for name in ("slow", "beside"))
    root, undisturbed = (fresh_root(cola, tmp_path / name) for name in ("root", "undisturbed"))
    run(undisturbed, backbone_path, [slow, beside])
    engine = Engine(root, threads=1)
    engine.run(spec(backbone_path, [slow, beside], prune=job_pb2.PruneWork()), Recorder())
    engine.run(spec(backbone_path, [slow], train=train_work(until_step=2)), Recorder())
    position = root / "trials" / "slow" / "checkpoints" / "step-2" / "position.json"
    content = json.loads(position.read_bytes())
    content["position"]["seconds"] = 7200
    position.write_text(json.dumps(content))

    limited = Recorder()
    engine.run(
        spec(backbone_path, [slow, beside], train=train_work(max_seconds=3600, until_step=6)),
        limited,
    )
    assert {name: failure.reason for name, failure in limited.failures.items()} == {
        "slow": event_pb2.FAILURE_REASON_TIME_LIMIT
    }
    assert limited.failures["slow"].message == (
        "the time limit of 3600 s was reached at step 2 of 6; with a higher limit it continues "
        "there"
    )
    assert_equal_weights(root, undisturbed, "beside")

    resumed = Recorder()
    engine.run(spec(backbone_path, [slow, beside], train=train_work(max_seconds=9000)), resumed)
    assert not resumed.failures
    assert resumed.results["slow"]["wall_seconds"] > 7200
    assert_equal_weights(root, undisturbed, "slow")
