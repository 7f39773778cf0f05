"""Jobs: what they leave on disk, how they go on after a stop or a death, and what they do not do
twice.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from engine_support import Recorder, fresh_root, spec, train_work, trial, weights
from safetensors.torch import load_file, save
from sparse_adapter.trainer.v1 import event_pb2, job_pb2, trainer_pb2

from sparse_adapter_engine.engine import Engine
from sparse_adapter_engine.errors import Cancelled, Interrupted, JobFailed
from sparse_adapter_engine.files.digests import describe
from sparse_adapter_engine.files.environments import read_environments

PRUNE = job_pb2.PruneWork()
PAIR = [
    trial("a", seed=1, pruner="snip", sparsity=0.5),
    trial("b", seed=2, width=8, dropout=0.1, total_steps=45, batch_size=4),
]


@pytest.fixture(scope="module")
def uninterrupted(
    cola: Path, backbone_path: str, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Recorder]:
    """A root where the pair has been pruned and trained in one go, and what that told."""
    root = fresh_root(cola, tmp_path_factory.mktemp("uninterrupted") / "root")
    engine, told = Engine(root, threads=1), Recorder()
    engine.run(spec(backbone_path, PAIR, prune=PRUNE), Recorder())
    engine.run(spec(backbone_path, PAIR, train=train_work(checkpoint_every_steps=4)), told)
    return root, told


def pruned(cola: Path, root: Path, backbone_path: str, trials: list[job_pb2.Trial]) -> Engine:
    engine = Engine(fresh_root(cola, root), threads=1)
    engine.run(spec(backbone_path, trials, prune=PRUNE), Recorder())
    return engine


def test_training_leaves_adapter_and_head_with_their_configuration(
    uninterrupted: tuple[Path, Recorder],
) -> None:
    root, told = uninterrupted
    assert told.results["a"]["steps"] == 12
    assert told.results["a"]["rows"] == 12 * 8
    assert told.results["a"]["rows_per_second"] == pytest.approx(
        96 / told.results["a"]["wall_seconds"]
    )
    assert [artifact.name for artifact in told.artifacts["a"]] == ["trials/a/adapter"]
    tensors = weights(root, "a")
    assert tensors["layers.5.ffn.up.weight"].shape == (384, 16)
    assert tensors["head.out.weight"].shape == (2, 384)
    config = json.loads((root / "trials" / "a" / "adapter" / "adapter_config.json").read_text())
    assert config["adapter"]["ffn"] == "FFN_MODULE_SEQUENTIAL"
    assert config["step"] == 12
    assert config["base_model_digest"] == "b" * 64
    assert config["sizes"]["achieved_sparsity"] == pytest.approx(0.5)


def test_metrics_come_each_so_many_steps_and_at_the_end(
    uninterrupted: tuple[Path, Recorder],
) -> None:
    _, told = uninterrupted
    assert sorted(
        step for one, name, step in told.metric_values if (one, name) == ("a", "loss")
    ) == [5, 10, 12]
    assert {name for _, name, _ in told.metric_values} == {"loss", "learning_rate", "grad_norm"}


def test_the_newest_checkpoints_are_kept_until_the_training_is_whole(
    cola: Path, backbone_path: str, tmp_path: Path
) -> None:
    engine, told = pruned(cola, tmp_path / "root", backbone_path, PAIR[:1]), Recorder()
    checkpoints = tmp_path / "root" / "trials" / "a" / "checkpoints"
    engine.run(
        spec(backbone_path, PAIR[:1], train=train_work(until_step=10, checkpoint_every_steps=4)),
        told,
    )
    assert [step for _, step in told.checkpoints] == [4, 8, 10]
    assert sorted(path.name for path in checkpoints.iterdir()) == ["step-10", "step-8"]
    engine.run(spec(backbone_path, PAIR[:1], train=train_work()), Recorder())
    assert not checkpoints.exists()


def test_checkpoints_come_by_time_at_any_step_and_are_described_as_they_are_on_disk(
    uninterrupted: tuple[Path, Recorder], cola: Path, backbone_path: str, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    engine = pruned(cola, root, backbone_path, PAIR[:1])

    class Looking(Recorder):
        def checkpoint(self, trial_id: str, step: int, artifact: event_pb2.Artifact) -> None:
            assert artifact == describe(root, root / artifact.name)
            super().checkpoint(trial_id, step, artifact)

    told = Looking()
    # Above zero, and below what one step takes.
    engine.run(spec(backbone_path, PAIR[:1], train=train_work(checkpoint_seconds=1e-6)), told)
    # Metrics come every 5 steps. Writing the first one took too long for another at each step.
    assert told.checkpoints[0] == ("a", 1)
    assert told.checkpoints[-1] == ("a", 12)
    assert len(told.checkpoints) < 12
    _, whole = uninterrupted
    assert told.artifacts["a"][0].digest == whole.artifacts["a"][0].digest


def test_pruning_tells_sizes_by_the_budgets_rule(
    cola: Path, backbone_path: str, tmp_path: Path
) -> None:
    engine, told = Engine(fresh_root(cola, tmp_path / "root"), threads=1), Recorder()
    engine.run(
        spec(backbone_path, [trial("a", width=16, pruner="mag", sparsity=0.4)], prune=PRUNE), told
    )
    prunable, others = 12 * 2 * 16 * 384, 12 * (16 + 384 + 2 * 384)
    kept = int(0.6 * prunable + 0.5)
    head = 384 * 384 + 384 + 2 * 384 + 2
    values = {
        "kept": kept + others,
        "prunable": prunable,
        "trainable": prunable + others,
        "head": head,
    }
    assert told.results["a"] == values | {"achieved_sparsity": 1 - kept / prunable}
    masks = load_file(tmp_path / "root" / "trials" / "a" / "masks.safetensors")
    assert sum(int(mask.sum()) for mask in masks.values()) == kept


def test_trials_that_differ_in_sparsity_only_rank_by_one_snip_score(
    cola: Path, backbone_path: str, tmp_path: Path
) -> None:
    trials = [
        trial("dense", pruner="snip", sparsity=0.2),
        trial("sparse", pruner="snip", sparsity=0.9),
    ]
    pruned(cola, tmp_path / "root", backbone_path, trials)
    dense, sparse = (
        load_file(tmp_path / "root" / "trials" / name / "masks.safetensors")
        for name in ("dense", "sparse")
    )
    assert all(not (sparse[name] & ~dense[name] & 1).any() for name in dense)


def test_a_snip_mask_does_not_depend_on_who_else_is_scored(
    cola: Path, backbone_path: str, tmp_path: Path
) -> None:
    trials = [
        trial(f"t{seed}", seed=seed, width=8 * seed, pruner="snip", sparsity=0.5)
        for seed in (1, 2, 3)
    ]
    pruned(cola, tmp_path / "together", backbone_path, trials)
    pruned(cola, tmp_path / "alone", backbone_path, trials[1:2])
    one, two = (
        (tmp_path / where / "trials" / "t2" / "masks.safetensors").read_bytes()
        for where in ("together", "alone")
    )
    assert one == two


def test_a_degenerate_trial_fails_alone(cola: Path, backbone_path: str, tmp_path: Path) -> None:
    zero_up = trial("z", pruner="snip", sparsity=0.5)
    zero_up.adapter.init, zero_up.prune.scope = (
        job_pb2.ADAPTER_INIT_ZERO_UP,
        job_pb2.PRUNE_SCOPE_LOCAL,
    )
    engine, told = Engine(fresh_root(cola, tmp_path / "root"), threads=1), Recorder()
    engine.run(spec(backbone_path, [zero_up, PAIR[0]], prune=PRUNE), told)
    assert told.failures["z"].reason == event_pb2.FAILURE_REASON_DEGENERATE_MASK
    assert told.results["a"]["achieved_sparsity"] == pytest.approx(0.5)


KILLED = """
import sys
from pathlib import Path
from engine_support import Recorder, spec, train_work
from sparse_adapter.trainer.v1 import job_pb2
from sparse_adapter_engine.engine import Engine

class Telling(Recorder):
    def checkpoint(self, trial_id, step, artifact):
        print(trial_id, step, flush=True)

work = job_pb2.JobSpec.FromString(sys.stdin.buffer.read())
Engine(Path(sys.argv[1]), threads=1).run(work, Telling())
"""


def test_a_killed_training_goes_on_from_its_checkpoint_to_the_same_bits(
    uninterrupted: tuple[Path, Recorder], cola: Path, backbone_path: str, tmp_path: Path
) -> None:
    engine = pruned(cola, tmp_path / "root", backbone_path, PAIR)
    job = spec(backbone_path, PAIR, train=train_work(checkpoint_every_steps=4))
    tests = Path(__file__).parent
    path = os.pathsep.join([str(tests), str(tests.parent), *sys.path])
    command = [sys.executable, "-c", KILLED, str(tmp_path / "root")]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": path},
    ) as child:
        assert child.stdin and child.stdout
        child.stdin.write(job.SerializeToString())
        child.stdin.close()
        assert [child.stdout.readline() for _ in range(3)][-1] == b"a 8\n"
        child.send_signal(signal.SIGKILL)
    told = Recorder()
    engine.run(job, told)
    _, whole = uninterrupted
    for name in ("a", "b"):
        assert [artifact.digest for artifact in told.artifacts[name]] == [
            artifact.digest for artifact in whole.artifacts[name]
        ]
        assert told.results[name]["rows"] == whole.results[name]["rows"]
    assert told.metric_values.items() <= whole.metric_values.items()
    assert "environment_changed" not in {code for _, code, _ in told.warnings}


def test_a_stop_with_checkpoint_interrupts_after_a_step_and_costs_nothing(
    uninterrupted: tuple[Path, Recorder], cola: Path, backbone_path: str, tmp_path: Path
) -> None:
    engine = pruned(cola, tmp_path / "root", backbone_path, PAIR)
    job = spec(backbone_path, PAIR, train=train_work())
    stopping = Recorder(stop=trainer_pb2.CANCEL_MODE_CHECKPOINT, stop_after=10)
    with pytest.raises(Interrupted):
        engine.run(job, stopping)
    assert len({step for _, step in stopping.checkpoints}) == 1
    assert {name for name, _ in stopping.checkpoints} == {"a", "b"}
    told = Recorder()
    engine.run(job, told)
    _, whole = uninterrupted
    assert told.artifacts["b"][0].digest == whole.artifacts["b"][0].digest
    assert stopping.metric_values | told.metric_values == whole.metric_values


def test_an_abort_stops_between_passes(cola: Path, backbone_path: str, tmp_path: Path) -> None:
    engine = pruned(cola, tmp_path / "root", backbone_path, PAIR)
    with pytest.raises(Cancelled):
        engine.run(
            spec(backbone_path, PAIR, train=train_work()),
            Recorder(stop=trainer_pb2.CANCEL_MODE_ABORT, stop_after=6),
        )


def test_a_rung_leaves_an_adapter_and_the_next_one_goes_on_from_it(
    uninterrupted: tuple[Path, Recorder], cola: Path, backbone_path: str, tmp_path: Path
) -> None:
    engine = pruned(cola, tmp_path / "root", backbone_path, PAIR)
    first, second = Recorder(), Recorder()
    engine.run(spec(backbone_path, PAIR, train=train_work(until_step=6)), first)
    assert {values["steps"] for values in first.results.values()} == {6}
    engine.run(spec(backbone_path, PAIR, train=train_work()), second)
    assert min(step for _, _, step in second.metric_values) > 6
    assert second.artifacts["a"][0].digest == uninterrupted[1].artifacts["a"][0].digest


def test_work_that_is_on_disk_is_reported_and_not_done_again(
    uninterrupted: tuple[Path, Recorder], backbone_path: str
) -> None:
    root, whole = uninterrupted
    engine = Engine(root, threads=1)
    for work in ({"prune": PRUNE}, {"train": train_work(checkpoint_every_steps=4)}):
        told = Recorder()
        engine.run(spec(backbone_path, PAIR, **work), told)
        assert told.results.keys() == {"a", "b"}
        assert not told.metric_values and not told.checkpoints
        assert event_pb2.PHASE_TRAIN not in told.phases and event_pb2.PHASE_SCORE not in told.phases
    assert told.results == whole.results


def test_a_broken_checkpoint_is_passed_over_with_a_warning(
    uninterrupted: tuple[Path, Recorder], cola: Path, backbone_path: str, tmp_path: Path
) -> None:
    engine = pruned(cola, tmp_path / "root", backbone_path, PAIR[:1])
    engine.run(
        spec(backbone_path, PAIR[:1], train=train_work(until_step=8, checkpoint_every_steps=4)),
        Recorder(),
    )
    state = tmp_path / "root" / "trials" / "a" / "checkpoints" / "step-8" / "state.safetensors"
    state.write_bytes(state.read_bytes()[:1000])
    told = Recorder()
    engine.run(spec(backbone_path, PAIR[:1], train=train_work()), told)
    assert [(one, code) for one, code, _ in told.warnings] == [("a", "checkpoint_passed_over")]
    assert min(step for _, _, step in told.metric_values) == 5
    assert told.artifacts["a"][0].digest == uninterrupted[1].artifacts["a"][0].digest


def test_a_resume_in_another_environment_warns_and_the_adapter_lists_both(
    cola: Path, backbone_path: str, tmp_path: Path
) -> None:
    engine = pruned(cola, tmp_path / "root", backbone_path, PAIR[:1])
    engine.run(spec(backbone_path, PAIR[:1], train=train_work(until_step=4)), Recorder())
    position = tmp_path / "root" / "trials" / "a" / "checkpoints" / "step-4" / "position.json"
    content = json.loads(position.read_text())
    content["environments"][0]["details"]["threads"] = "64"
    position.write_text(json.dumps(content))
    told = Recorder()
    engine.run(spec(backbone_path, PAIR[:1], train=train_work(until_step=6)), told)
    ((one, code, message),) = told.warnings
    assert (one, code) == ("a", "environment_changed")
    assert "threads 64 → " in message
    first, second = told.made_by["a"]
    assert (first.details["threads"], second.details["threads"]) == (
        "64",
        engine.environment["threads"],
    )
    # Who finds it later does not count.
    told = Recorder()
    engine.run(spec(backbone_path, PAIR[:1], train=train_work(until_step=6)), told)
    assert told.made_by["a"] == [first, second]


def test_what_made_it_is_stored_with_mask_adapter_and_predictions(
    cola: Path, backbone_path: str, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    engine = pruned(cola, root, backbone_path, PAIR[:1])
    told = Recorder()
    engine.run(spec(backbone_path, PAIR[:1], train=train_work(until_step=4)), told)
    predict = job_pb2.PredictWork(splits=["validation"], at_step=4)
    engine.run(spec(backbone_path, PAIR[:1], predict=predict), Recorder())
    (now,) = told.environments
    assert (now.framework, now.framework_version, now.device) == ("torch", torch.__version__, "cpu")
    assert now.precision == job_pb2.PRECISION_FLOAT32
    assert now.details == engine.environment
    trial = root / "trials" / "a"
    for name in (
        "masks.safetensors",
        "rungs/step-4/adapter/adapter_model.safetensors",
        "predictions.validation.step4.safetensors",
    ):
        assert read_environments(trial / name) == [now], name


def test_a_checkpoint_or_an_adapter_of_an_older_trainer_is_made_by_an_unknown_environment(
    cola: Path, backbone_path: str, tmp_path: Path
) -> None:
    engine = pruned(cola, tmp_path / "root", backbone_path, PAIR[:1])
    engine.run(spec(backbone_path, PAIR[:1], train=train_work(until_step=4)), Recorder())
    trial = tmp_path / "root" / "trials" / "a"
    position = trial / "checkpoints" / "step-4" / "position.json"
    content = json.loads(position.read_text())
    content["environment"] = content.pop("environments")[0]["details"]
    position.write_text(json.dumps(content))
    weights = trial / "rungs" / "step-4" / "adapter" / "adapter_model.safetensors"
    weights.write_bytes(save(load_file(weights)))
    again, further = Recorder(), Recorder()
    engine.run(spec(backbone_path, PAIR[:1], train=train_work(until_step=4)), again)
    assert [made.framework for made in again.made_by["a"]] == [""]
    engine.run(spec(backbone_path, PAIR[:1], train=train_work(until_step=6)), further)
    assert [made.framework for made in further.made_by["a"]] == ["", "torch"]
    assert further.warnings == []


def test_predictions_are_in_the_data_sets_row_order_and_equal_a_cohort_of_one(
    uninterrupted: tuple[Path, Recorder], backbone_path: str
) -> None:
    root, _ = uninterrupted
    engine, together, again, alone = Engine(root, threads=1), Recorder(), Recorder(), Recorder()
    predict = job_pb2.PredictWork(splits=["validation", "train"])
    engine.run(spec(backbone_path, PAIR, predict=predict), together)
    path = root / "trials" / "a" / "predictions.validation.safetensors"
    assert load_file(path)["logits"].shape == (60, 2)
    assert together.artifacts["a"][0].name == "trials/a/predictions.validation.safetensors"
    engine.run(spec(backbone_path, PAIR, predict=predict), again)
    assert event_pb2.PHASE_PREDICT not in again.phases
    written = path.read_bytes()
    path.unlink()
    engine.run(
        spec(backbone_path, PAIR[:1], predict=job_pb2.PredictWork(splits=["validation"])), alone
    )
    assert path.read_bytes() == written
    trained = load_file(root / "trials" / "a" / "predictions.train.safetensors")["logits"].argmax(
        -1
    )
    labels = load_file(root / "datasets" / "cola" / "train.safetensors")["labels"]
    assert (trained == labels).float().mean() > 0.6


def test_a_missing_backbone_or_data_set_fails_the_job_and_names_it(
    cola: Path, backbone_path: str, tmp_path: Path
) -> None:
    engine = Engine(fresh_root(cola, tmp_path / "root"), threads=1)
    with pytest.raises(JobFailed, match=r"backbone /nowhere: no config\.json there") as failed:
        engine.run(spec("/nowhere", PAIR, train=train_work()), Recorder())
    assert failed.value.reason == event_pb2.FAILURE_REASON_BAD_ARTIFACT
    with pytest.raises(JobFailed, match=r"test\.safetensors is missing"):
        engine.run(
            spec(backbone_path, PAIR, predict=job_pb2.PredictWork(splits=["test"])), Recorder()
        )


def test_a_mask_of_another_adapter_fails_its_trial_alone(
    cola: Path, backbone_path: str, tmp_path: Path
) -> None:
    engine = pruned(cola, tmp_path / "root", backbone_path, PAIR)
    other = trial("a", seed=1, width=32)
    told = Recorder()
    engine.run(spec(backbone_path, [other, PAIR[1]], train=train_work(until_step=2)), told)
    assert "masks.safetensors: tensor" in told.failures["a"].message
    assert told.results["b"]["steps"] == 2


def test_threads_are_never_more_than_cores(tmp_path: Path) -> None:
    Engine(tmp_path, threads=1000)
    assert torch.get_num_threads() <= (os.cpu_count() or 1)
