"""Scores of one job serve later ones, which get the masks that they would have made alone."""

from pathlib import Path
from typing import Any

import pytest
import torch
from engine_support import Recorder, fresh_root, spec, train_work, trial
from sparse_adapter.trainer.v1 import event_pb2, job_pb2

from sparse_adapter_engine.engine import Engine
from sparse_adapter_engine.masks.score_store import ScoreStore

PRUNERS = ("snip", "grasp", "gradient", "fisher", "skeleton")


def scored(recorder: Recorder) -> tuple[int, int, int]:
    """The last (done, total, resumed) of scoring."""
    last = [told for told in recorder.told if told.phase == event_pb2.PHASE_SCORE][-1]
    return last.done, last.total, last.resumed


def pruned(name: str, pruner: str = "snip", sparsity: float = 0.4, **prune: Any) -> job_pb2.Trial:
    made = trial(name, width=8, pruner=pruner, sparsity=sparsity)
    made.prune.MergeFrom(job_pb2.Prune(**{"scoring_rows": 24, "temperature": 2} | prune))
    return made


def warmed_up(steps: int) -> dict[str, int]:
    return {"scoring_head": job_pb2.SCORING_HEAD_WARMED_UP, "scoring_head_steps": steps}


def prune(engine: Engine, backbone: str | Path, *trials: job_pb2.Trial) -> Recorder:
    told = Recorder()
    engine.run(spec(backbone, list(trials), prune=job_pb2.PruneWork()), told)
    return told


def mask(root: Path, trial_id: str) -> bytes:
    return (root / "trials" / trial_id / "masks.safetensors").read_bytes()


def require_invariant(engine: Engine) -> None:
    if engine.environment["row_invariant"] != "true":
        pytest.skip("on this processor no job takes scores of another")


@pytest.mark.parametrize("pruner", PRUNERS)
def test_a_later_job_with_another_sparsity_and_control_scores_no_row_and_has_the_same_masks(
    pruner: str, cola: Path, backbone_path: str, tmp_path: Path
) -> None:
    root, alone = (fresh_root(cola, tmp_path / name) for name in ("root", "alone"))
    later = [
        pruned("sparser", pruner, 0.8),
        pruned("inverted", pruner, control=job_pb2.MASK_CONTROL_INVERTED),
        pruned("local", pruner, scope=job_pb2.PRUNE_SCOPE_LOCAL),
    ]
    later[0].train.learning_rate = 0.1
    engine = Engine(root, threads=1)
    require_invariant(engine)
    # Beside another seed, so that the scores were not made alone.
    beside = pruned("beside", pruner)
    beside.seed = 2
    first = prune(engine, backbone_path, beside, pruned("first", pruner))
    rows = 24 * (2 if pruner == "grasp" else 1)
    assert scored(first) == (2 * rows, 2 * rows, 0)
    reused = prune(engine, backbone_path, *later)
    assert scored(reused) == (rows, rows, rows)

    recomputed = prune(Engine(alone, threads=1), backbone_path, *later)
    assert scored(recomputed) == (rows, rows, 0)
    for one in later:
        assert mask(root, one.trial_id) == mask(alone, one.trial_id)
    assert reused.results == recomputed.results
    assert reused.warnings == recomputed.warnings
    assert reused.made_by == recomputed.made_by
    assert reused.artifacts == recomputed.artifacts


def test_a_head_is_warmed_up_once_for_all_jobs(
    cola: Path, backbone_path: str, tmp_path: Path
) -> None:
    engine = Engine(fresh_root(cola, tmp_path / "root"), threads=1)
    require_invariant(engine)
    first = prune(engine, backbone_path, pruned("first", **warmed_up(2)))
    assert scored(first) == (24 + 24, 24 + 24, 0)
    later = prune(engine, backbone_path, pruned("later", sparsity=0.5, **warmed_up(2)))
    assert scored(later) == (24 + 24, 24 + 24, 24 + 24)


def test_scores_that_fail_a_trial_fail_it_again(
    cola: Path, backbone_path: str, tmp_path: Path
) -> None:
    engine = Engine(fresh_root(cola, tmp_path / "root"), threads=1)
    require_invariant(engine)
    told = []
    for name in ("one", "other"):
        degenerate = pruned(name)
        degenerate.adapter.init = job_pb2.ADAPTER_INIT_ZERO_UP
        degenerate.prune.scope = job_pb2.PRUNE_SCOPE_LOCAL
        told.append(prune(engine, backbone_path, degenerate))
    assert [scored(one)[2] for one in told] == [0, 24]
    assert told[0].failures["one"] == told[1].failures["other"]


def test_what_changes_the_scores_and_several_rounds_are_scored_anew(
    cola: Path, backbone_path: str, tmp_path: Path
) -> None:
    root = fresh_root(cola, tmp_path / "root")
    engine = Engine(root, threads=1)
    require_invariant(engine)
    prune(engine, backbone_path, pruned("first"))
    changed = {
        "seed": pruned("seed"),
        "rows": pruned("rows", scoring_rows=23),
        "pruner": pruned("pruner", "gradient"),
        "head": pruned("head", scoring_head=job_pb2.SCORING_HEAD_PRIOR),
        "step": pruned("step", **warmed_up(1)),
        "steps": pruned("steps", **warmed_up(2)),
        "batch": pruned("batch", scoring_batch=8),
        "width": pruned("width"),
        "smoothing": pruned("smoothing"),
        "rounds": pruned("rounds", rounds=2, schedule=job_pb2.PRUNE_SCHEDULE_LINEAR),
    }
    changed["seed"].seed = 2
    changed["width"].adapter.ffn_bottleneck = 9
    changed["smoothing"].train.label_smoothing = 0.1
    for name, one in changed.items():
        assert scored(prune(engine, backbone_path, one))[2] == 0, name
    twice = pruned("twice", sparsity=0.5, rounds=2, schedule=job_pb2.PRUNE_SCHEDULE_LINEAR)
    assert scored(prune(engine, backbone_path, twice)) == (48, 48, 0)

    other_data = spec(backbone_path, [pruned("data")], prune=job_pb2.PruneWork())
    other_data.dataset.digest = "other"
    told = Recorder()
    engine.run(other_data, told)
    assert scored(told) == (24, 24, 0)


def test_scores_go_with_their_backbone_but_stay_while_it_trains_at_another_precision(
    cola: Path, backbone_path: str, tmp_path: Path
) -> None:
    engine = Engine(fresh_root(cola, tmp_path / "root"), threads=1)
    require_invariant(engine)
    prune(engine, backbone_path, pruned("first"))
    if job_pb2.PRECISION_BF16 in engine.precisions:
        training = spec(backbone_path, [pruned("first")], train=train_work(until_step=1))
        training.precision = job_pb2.PRECISION_BF16
        engine.run(training, Recorder())
    assert scored(prune(engine, backbone_path, pruned("second", sparsity=0.5))) == (24, 24, 24)
    engine.unload()
    assert scored(prune(engine, backbone_path, pruned("third", sparsity=0.6))) == (24, 24, 0)


def test_the_least_recently_used_scores_go_first() -> None:
    a, b, c = ({"down.weight": torch.zeros(2, 5)} for _ in range(3))
    store = ScoreStore(room=80)
    store.put("a", a)
    store.put("b", b)
    assert store.find("a") is a
    store.put("c", c)
    assert [store.find(key) for key in "abc"] == [a, None, c]
    store.put("too large", {"down.weight": torch.zeros(3, 7)})
    assert [store.find(key) for key in ("too large", "a", "c")] == [None, a, c]
    store.put("a", b)
    assert store.find("a") is b
    store.clear()
    assert store.find("a") is None
