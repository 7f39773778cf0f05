"""Pruning during training (Zhu & Gupta 2017): rounds between steps, each at its own step of each
trial; nothing else is changed by them.
"""

import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

import pytest
import torch
from conftest import write_split
from engine_support import Recorder, spec, train_work, trial, weights
from safetensors.torch import load_file
from server_support import IdleEngine, make_root, valid_request
from sparse_adapter.trainer.v1 import event_pb2, job_pb2, trainer_pb2
from torch import Tensor

from sparse_adapter_engine.backbones.encoder.encoder import Encoder
from sparse_adapter_engine.backbones.encoder.loading import load_encoder
from sparse_adapter_engine.data.rows import Split, load_split
from sparse_adapter_engine.device.how import How
from sparse_adapter_engine.engine import Engine
from sparse_adapter_engine.errors import Cancelled, Interrupted
from sparse_adapter_engine.masks.densities import densities, kept_count
from sparse_adapter_engine.masks.pruning import Pruning
from sparse_adapter_engine.masks.scoring import (
    Start,
    choose_scoring_rows,
    score,
    score_without_rows,
)
from sparse_adapter_engine.modules.layout import layout
from sparse_adapter_engine.pruners import find_pruner
from sparse_adapter_engine.tasks.rows import RowTask
from sparse_adapter_trainer.capabilities import describe
from sparse_adapter_trainer.validation import invalid_fields, unmet_preconditions

CLASSIFICATION = job_pb2.TASK_KIND_CLASSIFICATION
EXPONENTIAL, LINEAR, CUBIC = (
    job_pb2.PRUNE_SCHEDULE_EXPONENTIAL,
    job_pb2.PRUNE_SCHEDULE_LINEAR,
    job_pb2.PRUNE_SCHEDULE_CUBIC,
)
GLOBAL, LOCAL = job_pb2.PRUNE_SCOPE_GLOBAL, job_pb2.PRUNE_SCOPE_LOCAL
ROWS = 44
EveryStep: TypeAlias = tuple[dict[tuple[str, int], dict[str, Tensor]], Recorder]


def gradual(
    trial_id: str,
    pruner: str,
    begin: int = 2,
    every: int = 3,
    rounds: int = 3,
    sparsity: float = 0.7,
    **fields: object,
) -> job_pb2.Trial:
    """A trial of 12 steps with dropout whose rounds are before its steps begin + 1, begin + every +
    1, …; fields: of Prune, seed and width of the trial, and batch_size."""
    numbers = {name: fields.pop(name) for name in ("seed", "width") if name in fields}
    made = trial(
        trial_id,
        pruner=pruner,
        sparsity=sparsity,
        dropout=0.1,
        batch_size=fields.pop("batch_size", 8),
        **numbers,
    )
    made.prune.MergeFrom(
        job_pb2.Prune(
            begin_step=begin, every_steps=every, rounds=rounds, scoring_rows=24, temperature=2
        )
    )
    made.prune.MergeFrom(job_pb2.Prune(**{"schedule": LINEAR} | fields))
    return made


# Different widths, batches, first rounds and distances, so that a turn of the loop has rounds of
# some and none of others.
MIXED = [
    gradual("rand", "rand", begin=0, every=1, rounds=4, seed=1, width=4, schedule=EXPONENTIAL),
    gradual(
        "mag", "mag", begin=4, every=2, rounds=3, seed=2, width=6, batch_size=5, schedule=CUBIC
    ),
    gradual("snip", "snip", begin=2, every=3, seed=3, width=8, scope=LOCAL),
    gradual("grasp", "grasp", begin=2, every=4, seed=4, width=3, batch_size=12),
    gradual("synflow", "synflow", begin=1, every=5, seed=5, width=5, schedule=CUBIC, scope=LOCAL),
    gradual("once", "snip", begin=11, every=7, rounds=1, seed=6, width=4),
]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact root with 44 rows of 3 to 16 random tokens."""
    root, random = tmp_path_factory.mktemp("progressive"), torch.Generator().manual_seed(1)
    lengths = torch.randint(3, 17, (ROWS,), generator=random).tolist()
    rows = [torch.randint(5, 200, (length,), generator=random).tolist() for length in lengths]
    write_split(
        root / "datasets" / "cola" / "train.safetensors",
        rows,
        torch.tensor([row[0] % 2 for row in rows], dtype=torch.int32),
    )
    return root


@pytest.fixture(scope="module")
def engine(tiny_roberta: Path, root: Path) -> Engine:
    """An engine with passes, and parts of scoring rows, so small that a round has several."""
    engine = Engine(root, threads=1, how=How(120, part_rows=8))
    if (
        not load_encoder(str(tiny_roberta), torch.device("cpu")).row_invariant
        or engine.environment["row_invariant"] != "true"
    ):
        pytest.skip(
            "on this processor products give a row other bits beside other rows: equality holds to "
            "rounding only"
        )
    return engine


@pytest.fixture
def trials_folder(root: Path) -> Iterator[Path]:
    """`trials/` of the engine's root, not there before and after."""
    folder = root / "trials"
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def prune(engine: Engine, backbone: Path, trials: list[job_pb2.Trial]) -> Recorder:
    told = Recorder()
    engine.run(spec(backbone, trials, prune=job_pb2.PruneWork()), told)
    return told


def train(
    engine: Engine,
    backbone: Path,
    trials: list[job_pb2.Trial],
    told: Recorder | None = None,
    **work: int,
) -> Recorder:
    told = told or Recorder()
    engine.run(spec(backbone, trials, train=train_work(**work)), told)
    return told


def count_kept(masks: dict[str, Tensor]) -> int:
    return sum(int(mask.sum()) for mask in masks.values())


def rounds_done(one: job_pb2.Trial, step: int) -> int:
    """Rounds before a step of the trial or before an earlier one."""
    steps = [one.prune.begin_step + k * one.prune.every_steps + 1 for k in range(one.prune.rounds)]
    return sum(at <= step for at in steps)


@pytest.fixture(scope="module")
def every_step(engine: Engine, root: Path, tiny_roberta: Path) -> Iterator[EveryStep]:
    """The mixed trials trained as one cohort with a checkpoint after each step: its tensors by
    trial and step, and what was told. Step 12 has no checkpoint: the training is whole then."""
    prune(engine, tiny_roberta, MIXED)
    told = train(
        engine, tiny_roberta, MIXED, until_step=11, checkpoint_every_steps=1, keep_checkpoints=99
    )
    states = {
        (one.trial_id, step): load_file(
            root / "trials" / one.trial_id / "checkpoints" / f"step-{step}" / "state.safetensors"
        )
        for one in MIXED
        for step in range(1, 12)
    }
    shutil.rmtree(root / "trials")
    yield states, told


def masks_in(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix("mask."): tensor
        for name, tensor in state.items()
        if name.startswith("mask.")
    }


def test_the_job_that_prunes_writes_masks_of_ones_and_scores_nothing(
    engine: Engine, tiny_roberta: Path, trials_folder: Path
) -> None:
    told = prune(engine, tiny_roberta, MIXED)
    for one in MIXED:
        masks = load_file(trials_folder / one.trial_id / "masks.safetensors")
        assert len(masks) == 8
        assert all(mask.all() for mask in masks.values())
        assert told.results[one.trial_id]["achieved_sparsity"] == 0
        assert told.results[one.trial_id]["kept"] == told.results[one.trial_id]["trainable"]
    assert event_pb2.PHASE_LOAD in told.phases


@pytest.mark.parametrize("one", MIXED, ids=[one.trial_id for one in MIXED])
def test_after_each_step_the_kept_counts_are_the_schedules_and_masks_are_nested(
    one: job_pb2.Trial, every_step: EveryStep
) -> None:
    states, told = every_step
    masks = [masks_in(states[one.trial_id, step]) for step in range(1, 12)]
    n = sum(mask.numel() for mask in masks[0].values())
    for step, each in enumerate(masks, 1):
        done = rounds_done(one, step)
        density = densities(one.prune)[done - 1] if done else 1.0
        if one.prune.scope == LOCAL:
            assert {name: int(mask.sum()) for name, mask in each.items()} == {
                name: kept_count(mask.numel(), density) for name, mask in each.items()
            }
        assert one.prune.scope == LOCAL or count_kept(each) == kept_count(n, density)
    for before, after in pairwise(masks):
        assert not any((after[name] & ~before[name] & 1).any() for name in after)
    told_densities = {
        step: value
        for (of, name, step), value in told.metric_values.items()
        if (of, name) == (one.trial_id, "density")
    }
    steps = [one.prune.begin_step + k * one.prune.every_steps + 1 for k in range(one.prune.rounds)]
    assert told_densities == {step: count_kept(masks[step - 1]) / n for step in steps if step <= 11}


@pytest.mark.parametrize("one", MIXED, ids=[one.trial_id for one in MIXED])
def test_removed_weights_and_their_moments_are_exactly_zero_and_kept_ones_move(
    one: job_pb2.Trial, every_step: EveryStep
) -> None:
    states, _ = every_step
    for step in range(1, 12):
        state = states[one.trial_id, step]
        for name, mask in masks_in(state).items():
            for tensor in (
                state[name],
                state[f"first_moment.{name}"],
                state[f"second_moment.{name}"],
            ):
                assert not tensor[mask == 0].any()
            assert (state[name][mask == 1] != 0).all()


@pytest.mark.parametrize("one", MIXED[:5], ids=[one.trial_id for one in MIXED[:5]])
def test_a_round_ranks_the_weights_as_they_are_then_with_dropout_off(
    one: job_pb2.Trial, every_step: EveryStep, root: Path, tiny_roberta: Path
) -> None:
    states, _ = every_step
    backbone, split = parts(root, tiny_roberta)
    task = RowTask(backbone, split, CLASSIFICATION, How(10**6, part_rows=8))
    shapes = layout(one.adapter, backbone, 2)
    for round_ in range(1, one.prune.rounds):
        at = one.prune.begin_step + round_ * one.prune.every_steps
        if at > 10:
            continue
        state = states[one.trial_id, at]
        present, masks = {name: state[name] for name in shapes.shapes}, masks_in(state)
        pruning = Pruning(one.prune, one.seed, shapes.prunable_shapes)
        pruning.go_on(masks, round_)
        if find_pruner(one.prune).reads_rows:
            start = Start(one, {one.trial_id: pruning}, present, choose_scoring_rows(one, task))
            (scores,) = score(task, [start], lambda _: None)
        else:
            scores = score_without_rows(one, pruning, backbone, present).scores
        pruning.keep(scores)
        after = masks_in(states[one.trial_id, at + 1])
        assert count_kept(after) < count_kept(masks)
        assert all(torch.equal(mask, after[name]) for name, mask in pruning.masks.items())


def parts(root: Path, path: Path) -> tuple[Encoder, Split]:
    backbone = load_encoder(str(path), torch.device("cpu"))
    split = load_split(
        root,
        spec("", []).dataset,
        "train",
        backbone.vocabulary,
        backbone.token_types,
        backbone.longest,
    )
    return backbone, split


def test_by_magnitude_the_smallest_weights_of_the_step_before_go(
    every_step: EveryStep,
) -> None:
    states, _ = every_step
    # MAG's rounds are before steps 5, 7 and 9.
    for step in (4, 6, 8):
        before, after = states["mag", step], masks_in(states["mag", step + 1])
        size = torch.cat([before[name].abs().flatten() for name in after])
        kept = torch.cat([mask.flatten() for mask in after.values()])
        assert size[kept == 1].min() >= size[kept == 0].max()


def test_random_rounds_end_at_the_mask_that_one_random_round_before_training_gives(
    engine: Engine, tiny_roberta: Path, trials_folder: Path
) -> None:
    before = trial("before", seed=1, width=4, pruner="rand", sparsity=0.7)
    prune(engine, tiny_roberta, [MIXED[0], before])
    train(engine, tiny_roberta, [MIXED[0]])
    one, two = (
        load_file(trials_folder / "rand/adapter/masks.safetensors"),
        load_file(trials_folder / "before/masks.safetensors"),
    )
    assert all(torch.equal(mask, two[name]) for name, mask in one.items())


def test_a_cohort_of_mixed_rounds_has_the_bits_of_lone_runs_beside_one_that_fails(
    engine: Engine, tiny_roberta: Path, trials_folder: Path
) -> None:
    plain = trial("plain", seed=9, width=7, pruner="mag", sparsity=0.5, dropout=0.1)
    failing = gradual("failing", "snip", begin=0, seed=8, scope=LOCAL)
    failing.adapter.init = job_pb2.ADAPTER_INIT_ZERO_UP
    cohort = [MIXED[0], failing, *MIXED[1:4], plain, *MIXED[4:]]
    prune(engine, tiny_roberta, cohort)
    told = train(engine, tiny_roberta, cohort)
    assert told.failures.keys() == {"failing"}
    assert told.failures["failing"].reason == event_pb2.FAILURE_REASON_DEGENERATE_MASK
    assert told.failures["failing"].message.startswith("round 1 of 3, before step 1: snip: all ")
    assert not (trials_folder / "failing" / "adapter").exists()
    trials_folder.rename(trials_folder.with_name("together"))
    try:
        for one in [*MIXED, plain]:
            prune(engine, tiny_roberta, [one])
            lone = train(engine, tiny_roberta, [one])
            assert (
                lone.artifacts[one.trial_id][0].digest == told.artifacts[one.trial_id][0].digest
            ), one.trial_id
            assert lone.metric_values == {
                key: value for key, value in told.metric_values.items() if key[0] == one.trial_id
            }
    finally:
        shutil.rmtree(trials_folder.with_name("together"))


def test_a_score_of_zeros_at_the_start_is_no_obstacle_to_a_later_round(
    engine: Engine, tiny_roberta: Path, trials_folder: Path
) -> None:
    late = gradual("late", "snip", begin=5, scope=LOCAL)
    late.adapter.init = job_pb2.ADAPTER_INIT_ZERO_UP
    prune(engine, tiny_roberta, [late])
    assert not train(engine, tiny_roberta, [late]).failures


def test_the_result_tells_the_sizes_of_the_last_masks_which_are_in_the_adapters_folder(
    engine: Engine, tiny_roberta: Path, trials_folder: Path
) -> None:
    pruned = prune(engine, tiny_roberta, MIXED)
    told = train(engine, tiny_roberta, MIXED)
    again = train(engine, tiny_roberta, MIXED)
    for one in MIXED:
        folder, values = trials_folder / one.trial_id, told.results[one.trial_id]
        masks, adapter = (
            load_file(folder / "adapter/masks.safetensors"),
            weights(folder.parent.parent, one.trial_id),
        )
        first = load_file(folder / "masks.safetensors")
        assert {name: (mask.shape, mask.dtype) for name, mask in masks.items()} == {
            name: (mask.shape, torch.uint8) for name, mask in first.items()
        }
        assert not any(adapter[name][mask == 0].any() for name, mask in masks.items())
        before = pruned.results[one.trial_id]
        removed = before["prunable"] - count_kept(masks)
        assert values["achieved_sparsity"] == 1 - count_kept(masks) / before["prunable"]
        assert values["kept"] == before["kept"] - removed
        assert {name: values[name] for name in ("prunable", "trainable", "head")} == {
            name: before[name] for name in ("prunable", "trainable", "head")
        }
        assert values["steps"] == 12
    assert again.results == told.results
    assert {name: each[0].digest for name, each in again.artifacts.items()} == {
        name: each[0].digest for name, each in told.artifacts.items()
    }
    assert not again.metric_values


def test_an_adapter_without_its_masks_is_trained_again(
    engine: Engine, tiny_roberta: Path, trials_folder: Path
) -> None:
    prune(engine, tiny_roberta, MIXED[1:2])
    told = train(engine, tiny_roberta, MIXED[1:2])
    (trials_folder / "mag/adapter/masks.safetensors").unlink()
    again = train(engine, tiny_roberta, MIXED[1:2])
    assert again.metric_values == told.metric_values
    assert again.artifacts["mag"][0].digest == told.artifacts["mag"][0].digest


def test_other_rounds_are_another_training(
    engine: Engine, tiny_roberta: Path, trials_folder: Path
) -> None:
    prune(engine, tiny_roberta, MIXED[1:2])
    told = train(engine, tiny_roberta, MIXED[1:2])
    later = job_pb2.Trial.FromString(MIXED[1].SerializeToString())
    later.prune.begin_step += 1
    again = train(engine, tiny_roberta, [later])
    assert again.metric_values
    assert again.artifacts["mag"][0].digest != told.artifacts["mag"][0].digest


class Dying(Recorder):
    """Raises an error of its own at the first report of a loss at this step, as a death would end
    it.
    """

    def __init__(self, step: int) -> None:
        super().__init__()
        self._step = step

    def metrics(self, metrics: list[event_pb2.Metric]) -> None:
        super().metrics(metrics)
        if any(metric.name == "loss" and metric.step == self._step for metric in metrics):
            raise RuntimeError("dead")


@pytest.fixture(scope="module")
def undisturbed(engine: Engine, root: Path, tiny_roberta: Path) -> Recorder:
    prune(engine, tiny_roberta, MIXED)
    told = train(engine, tiny_roberta, MIXED, log_every_steps=1)
    shutil.rmtree(root / "trials")
    return told


def assert_same(told: Recorder, undisturbed: Recorder) -> None:
    for one in MIXED:
        assert (
            told.artifacts[one.trial_id][0].digest == undisturbed.artifacts[one.trial_id][0].digest
        ), one.trial_id
        for name in ("steps", "rows", "achieved_sparsity", "kept"):
            assert told.results[one.trial_id][name] == undisturbed.results[one.trial_id][name]


@pytest.mark.parametrize("step", range(1, 13))
def test_a_training_that_dies_at_any_step_goes_on_to_the_same_bits(
    step: int, undisturbed: Recorder, engine: Engine, tiny_roberta: Path, trials_folder: Path
) -> None:
    prune(engine, tiny_roberta, MIXED)
    # Every second step has a checkpoint: some have rounds behind them, some at them, some before
    # them.
    work = {"checkpoint_every_steps": 2, "log_every_steps": 1}
    with pytest.raises(RuntimeError, match="dead"):
        train(engine, tiny_roberta, MIXED, Dying(step), **work)
    told = train(engine, tiny_roberta, MIXED, **work)
    assert_same(told, undisturbed)
    assert told.metric_values.items() <= undisturbed.metric_values.items()


@pytest.mark.parametrize("moves", [0, 1, 7, 8, 9, 12, 15, 20, 25, 30, 40])
def test_a_stop_in_a_round_or_between_rounds_costs_no_bit(
    moves: int, undisturbed: Recorder, engine: Engine, tiny_roberta: Path, trials_folder: Path
) -> None:
    prune(engine, tiny_roberta, MIXED)
    stopping = Recorder(stop=trainer_pb2.CANCEL_MODE_CHECKPOINT, stop_after=moves)
    with pytest.raises(Interrupted):
        train(engine, tiny_roberta, MIXED, stopping, log_every_steps=1)
    assert {name for name, _ in stopping.checkpoints} == {one.trial_id for one in MIXED}
    told = train(engine, tiny_roberta, MIXED, log_every_steps=1)
    assert_same(told, undisturbed)
    assert stopping.metric_values | told.metric_values == undisturbed.metric_values


def test_a_stop_is_heard_within_a_round_and_the_round_is_done_again(
    engine: Engine, tiny_roberta: Path, trials_folder: Path
) -> None:
    one = gradual("one", "grasp", begin=3, every=4, rounds=2, scoring_rows=40)
    prune(engine, tiny_roberta, [one])
    whole = train(engine, tiny_roberta, [one], log_every_steps=1)
    # One move for reading the trial and some for the files; three steps; then a round of 2 · 5
    # parts of 8 rows.
    for mode, ends in (
        (trainer_pb2.CANCEL_MODE_ABORT, Cancelled),
        (trainer_pb2.CANCEL_MODE_CHECKPOINT, Interrupted),
    ):
        shutil.rmtree(trials_folder / "one" / "adapter")
        heard = InRound(mode)
        with pytest.raises(ends):
            train(engine, tiny_roberta, [one], heard, log_every_steps=1)
        assert max(step for _, name, step in heard.metric_values if name == "loss") == 3
        assert heard.checkpoints == ([("one", 3)] if ends is Interrupted else [])
        told = train(engine, tiny_roberta, [one], log_every_steps=1)
        assert told.artifacts["one"][0].digest == whole.artifacts["one"][0].digest


class FullAtRound(Recorder):
    """Is stopped while the metrics of a round wait for room on the disk."""

    def metrics(self, metrics: list[event_pb2.Metric]) -> None:
        if any(metric.name == "density" for metric in metrics):
            raise Interrupted
        super().metrics(metrics)


def test_a_stop_while_a_rounds_metrics_wait_for_room_leaves_the_round_to_the_next_run(
    engine: Engine, tiny_roberta: Path, trials_folder: Path
) -> None:
    one = gradual("one", "mag", rounds=2)
    prune(engine, tiny_roberta, [one])
    whole = train(engine, tiny_roberta, [one], log_every_steps=1)
    shutil.rmtree(trials_folder / "one" / "adapter")
    stopped = FullAtRound()
    with pytest.raises(Interrupted):
        train(engine, tiny_roberta, [one], stopped, log_every_steps=1)
    assert stopped.checkpoints == []
    told = train(engine, tiny_roberta, [one], log_every_steps=1)
    assert told.artifacts["one"][0].digest == whole.artifacts["one"][0].digest
    assert stopped.metric_values | told.metric_values == whole.metric_values


class InRound(Recorder):
    """Asks to stop at the second pass after the loss of step 3."""

    def __init__(self, mode: int) -> None:
        super().__init__(stop=mode)
        self._after: int | None = None

    def metrics(self, metrics: list[event_pb2.Metric]) -> None:
        super().metrics(metrics)
        if any(metric.name == "loss" and metric.step == 3 for metric in metrics):
            self._after = self.moves + 2

    def stop_requested(self) -> int:
        return (
            self._stop
            if self._after is not None and self.moves >= self._after
            else trainer_pb2.CANCEL_MODE_UNSPECIFIED
        )


def test_each_pass_of_a_round_tells_that_the_loop_moves_at_the_steps_that_are_done(
    engine: Engine, tiny_roberta: Path, trials_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sparse_adapter_engine.progress.SECONDS_BETWEEN_PROGRESS", 0)
    one = gradual("one", "snip", begin=3, every=4, rounds=1, scoring_rows=40)
    prune(engine, tiny_roberta, [one])
    told = train(engine, tiny_roberta, [one])
    in_training = [
        (each.done, each.total, each.trial_steps)
        for each in told.told
        if each.phase == event_pb2.PHASE_TRAIN
    ]
    # Five parts of 8 rows, and a pass of 120 tokens holds one or two of them.
    assert in_training.count((3, 12, {"one": 3})) >= 4
    assert in_training[-1] == (12, 12, {"one": 12})


def test_a_rung_that_ends_at_a_rounds_step_leaves_the_round_to_the_next(
    undisturbed: Recorder, engine: Engine, tiny_roberta: Path, trials_folder: Path
) -> None:
    prune(engine, tiny_roberta, MIXED)
    # SNIP and GRASP have rounds before step 3, MAG before step 5.
    for until in (2, 4, 6):
        told = train(engine, tiny_roberta, MIXED, until_step=until, log_every_steps=1)
        for one in MIXED:
            n = told.results[one.trial_id]["prunable"]
            done = rounds_done(one, until)
            expected = densities(one.prune)[done - 1] if done else 1
            assert 1 - told.results[one.trial_id]["achieved_sparsity"] == pytest.approx(
                expected, abs=8 / n
            )
    assert_same(train(engine, tiny_roberta, MIXED, log_every_steps=1), undisturbed)


def test_rounds_that_keep_all_are_idle_and_leave_the_dense_trials_weights(
    engine: Engine, tiny_roberta: Path, trials_folder: Path
) -> None:
    # All scores are 0 before step 1: a round that looked at them would fail the trial.
    idle, dense = (
        gradual("idle", "snip", begin=0, sparsity=0.0, scope=LOCAL),
        trial("dense", dropout=0.1),
    )
    for one in (idle, dense):
        one.adapter.init = job_pb2.ADAPTER_INIT_ZERO_UP
    prune(engine, tiny_roberta, [idle, dense])
    told = train(engine, tiny_roberta, [idle, dense])
    assert {key: value for key, value in told.metric_values.items() if key[1] == "density"} == {
        ("idle", "density", step): 1.0 for step in (1, 4, 7)
    }
    one, two = (weights(trials_folder.parent, name) for name in ("idle", "dense"))
    assert all(torch.equal(tensor, two[name]) for name, tensor in one.items())


def test_matrices_that_rounds_have_emptied_are_warned_of_once_at_the_end(
    engine: Engine, tiny_roberta: Path, trials_folder: Path
) -> None:
    one = gradual("one", "mag", begin=0, every=1, rounds=2, sparsity=0.6)
    one.adapter.init = job_pb2.ADAPTER_INIT_ZERO_UP
    prune(engine, tiny_roberta, [one])
    ((trial_id, code, message),) = train(engine, tiny_roberta, [one]).warnings
    assert (trial_id, code) == ("one", "layers_emptied")
    assert "layers.0.attention.up.weight" in message


def test_masks_with_zeros_before_a_training_that_prunes_are_refused(
    engine: Engine, tiny_roberta: Path, trials_folder: Path
) -> None:
    before = trial("one", pruner="mag", sparsity=0.5)
    during = gradual("one", "mag")
    prune(engine, tiny_roberta, [before])
    told = train(engine, tiny_roberta, [during])
    assert told.failures["one"].reason == event_pb2.FAILURE_REASON_BAD_ARTIFACT
    assert "the job that prunes writes ones" in told.failures["one"].message


@pytest.mark.parametrize("scope", [GLOBAL, LOCAL])
def test_a_pruning_taken_up_after_any_round_breaks_ties_as_one_that_was_never_put_down(
    scope: int,
) -> None:
    shapes, random = (
        {"a.down.weight": (6, 9), "a.up.weight": (9, 6)},
        torch.Generator().manual_seed(5),
    )
    settings = gradual("t", "mag", rounds=5, sparsity=0.8, scope=scope).prune
    rounds = [
        {
            name: torch.randint(0, 3, shape, generator=random).float()
            for name, shape in shapes.items()
        }
        for _ in range(5)
    ]
    whole = Pruning(settings, 1, shapes)
    for done, scores in enumerate(rounds, 1):
        whole.keep(scores)
        taken_up = Pruning(settings, 1, shapes)
        taken_up.go_on(whole.masks, done)
        other = Pruning(settings, 1, shapes)
        for earlier in rounds[:done]:
            other.keep(earlier)
        for later in rounds[done:]:
            taken_up.keep(later)
            other.keep(later)
        assert taken_up.done
        assert all(
            torch.equal(mask, other.finished()[name]) for name, mask in taken_up.finished().items()
        )


def test_the_cubic_schedule_falls_fast_at_first_and_ends_at_exactly_the_final_density() -> None:
    found = densities(
        job_pb2.Prune(
            pruner=job_pb2.PRUNER_MAG, sparsity=0.8, every_steps=1, rounds=4, schedule=CUBIC
        )
    )
    assert found == pytest.approx(
        [0.2 + 0.8 * 0.75**3, 0.2 + 0.8 * 0.5**3, 0.2 + 0.8 * 0.25**3, 0.2]
    )
    assert found[-1] == 1 - 0.8


@pytest.mark.parametrize(
    ("changes", "field", "says"),
    [
        ({"every_steps": 0}, "begin_step", "2 is not 0, as it is unless every_steps is set"),
        (
            {"pruner": "PRUNER_ER", "rounds": 1},
            "every_steps",
            "3 is not 0; ER prunes at initialization only",
        ),
        (
            {"control": "MASK_CONTROL_INVERTED"},
            "control",
            "MASK_CONTROL_INVERTED is not NONE, as it is where every_steps, 3 here",
        ),
        (
            {"reinitialize": True},
            "reinitialize",
            "is not false, as it is where every_steps, 3 here",
        ),
        (
            {"begin_step": 4},
            "every_steps",
            "begin_step + (rounds − 1) · every_steps = 4 + (3 − 1) · 3 = 10 is not less than",
        ),
        (
            {"begin_step": 10, "rounds": 1},
            "every_steps",
            "= 10 is not less than train.total_steps, 10",
        ),
        ({"schedule": 0}, "schedule", "is not set"),
    ],
)
def test_what_does_not_go_with_pruning_during_training_is_named(
    changes: dict[str, object], field: str, says: str, tmp_path: Path
) -> None:
    request = during_request(tmp_path, **changes)
    (found,) = invalid_fields(request)
    assert found.field == f"spec.trials[0].prune.{field}"
    assert says in found.description


def test_official_rules_do_not_go_with_pruning_during_training(tmp_path: Path) -> None:
    found = invalid_fields(during_request(tmp_path, rules="MASK_RULES_OFFICIAL"))
    assert "spec.trials[0].prune.rules" in {each.field for each in found}


@pytest.mark.parametrize("pruner", ["RAND", "MAG", "SNIP", "GRASP", "SYNFLOW"])
def test_rounds_of_every_pruner_but_er_may_be_during_training(pruner: str, tmp_path: Path) -> None:
    make_root(tmp_path)
    request = during_request(tmp_path, pruner=f"PRUNER_{pruner}")
    assert invalid_fields(request) == []
    capabilities = describe(IdleEngine(), tmp_path, 4)
    assert unmet_preconditions(request.spec, capabilities, tmp_path) == []


def test_without_a_pruner_the_steps_of_rounds_are_ignored(tmp_path: Path) -> None:
    request = during_request(tmp_path)
    request.spec.trials[0].prune.CopyFrom(
        job_pb2.Prune(pruner=job_pb2.PRUNER_NONE, every_steps=3, begin_step=99)
    )
    assert invalid_fields(request) == []


def during_request(root: Path, **changes: object) -> trainer_pb2.SubmitJobRequest:
    """A valid request of 10 steps with rounds before steps 3, 6 and 9, and these changes."""
    request = valid_request(root)
    values = {
        "begin_step": 2,
        "every_steps": 3,
        "rounds": 3,
        "schedule": LINEAR,
        "temperature": 2,
    } | changes
    prune = request.spec.trials[0].prune
    prune.MergeFrom(job_pb2.Prune(**values))
    for name in (name for name, value in values.items() if value == 0):
        prune.ClearField(name)
    return request
