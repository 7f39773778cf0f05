"""Trials that train only the head: the frozen encoder computes each row once for all of them, and
each has the bits of its lone, undisturbed run.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_support import Recorder, adapter, fresh_root, spec, train_work, trial, weights
from safetensors.torch import load_file
from sparse_adapter.trainer.v1 import job_pb2, trainer_pb2

from sparse_adapter_engine.engine import Engine
from sparse_adapter_engine.errors import Cancelled, Interrupted
from sparse_adapter_engine.files.artifacts import write_tensors
from sparse_adapter_engine.tasks import frozen_states, rows
from sparse_adapter_engine.tasks.rows import RowTask

ROWS = 160
KINDS = ("rows", "questions")


def head_only(name: str, seed: int = 1, **train: float) -> job_pb2.Trial:
    """A trial of two epochs of the data's 160 rows."""
    settings = {"batch_size": 16, "total_steps": 20, "learning_rate": 3e-3} | train
    made = trial(name, seed=seed, **settings)
    made.adapter.CopyFrom(adapter("none", "none"))
    return made


def job(kind: str, backbone: str, trials: list[job_pb2.Trial], **work: Any) -> job_pb2.JobSpec:
    made = spec(backbone, trials, **work)
    if kind == "questions":
        made.dataset.name = made.dataset.digest = "datasets/questions"
        made.dataset.task_kind = job_pb2.TASK_KIND_QUESTION_ANSWERING
    return made


@pytest.fixture(scope="module")
def data(cola: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact root with `datasets/cola` and with `datasets/questions`, random rows."""
    root = fresh_root(cola, tmp_path_factory.mktemp("data") / "root")
    draw = torch.Generator().manual_seed(7)
    for split, count in (("train", ROWS), ("validation", 60)):
        lengths = torch.randint(4, 25, (count,), generator=draw)
        tokens = int(lengths.sum())
        places = (torch.rand(2, count, generator=draw) * lengths).int()
        write_tensors(
            root / "datasets" / "questions" / f"{split}.safetensors",
            {
                "input_ids": torch.randint(1000, 2000, (tokens,), generator=draw).int(),
                "token_type_ids": torch.zeros(tokens, dtype=torch.uint8),
                "offsets": torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)]),
                "start_positions": places[0],
                "end_positions": places[1],
            },
        )
    return root


class Encoded:
    """How many rows went through the frozen encoder for states, and how often it ran otherwise."""

    def __init__(self) -> None:
        self.rows, self.passes = 0, 0


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> Iterator[Encoded]:
    seen, encode, forward = Encoded(), frozen_states.encode, rows.forward

    def count_rows(backbone: Any, packed: Any, *others: Any) -> Any:
        seen.rows += sum(packed.row_sizes)
        return encode(backbone, packed, *others)

    def count_passes(*given: Any) -> Any:
        seen.passes += 1
        return forward(*given)

    monkeypatch.setattr(frozen_states, "encode", count_rows)
    monkeypatch.setattr(rows, "forward", count_passes)
    return seen


def make_engine(root: Path) -> Engine:
    engine = Engine(root, threads=1)
    if engine.environment["row_invariant"] != "true":
        pytest.skip("on this processor states are computed anew in every step")
    return engine


def run(
    root: Path,
    kind: str,
    backbone: str,
    trials: list[job_pb2.Trial],
    told: Recorder | None = None,
    **settings: float,
) -> Recorder:
    """Prunes and trains these trials as one cohort."""
    engine, told = make_engine(root), told or Recorder()
    engine.run(job(kind, backbone, trials, prune=job_pb2.PruneWork()), Recorder())
    work = train_work(**{"log_every_steps": 1} | settings)
    engine.run(job(kind, backbone, trials, train=work), told)
    assert not told.failures
    return told


def predictions(
    root: Path, kind: str, backbone: str, trials: list[job_pb2.Trial]
) -> dict[str, torch.Tensor]:
    work = job_pb2.PredictWork(splits=["validation"])
    make_engine(root).run(job(kind, backbone, trials, predict=work), Recorder())
    return {
        one.trial_id: load_file(
            root / "trials" / one.trial_id / "predictions.validation.safetensors"
        )["logits"]
        for one in trials
    }


def assert_same(root: Path, other: Path, trial_id: str) -> None:
    one, two = weights(root, trial_id), weights(other, trial_id)
    assert one.keys() == two.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, two[name]), f"{trial_id} {name}"


def metrics_of(told: Recorder, trial_id: str) -> dict[tuple[str, str, int], float]:
    return {key: value for key, value in told.metric_values.items() if key[0] == trial_id}


@pytest.mark.parametrize("kind", KINDS)
def test_each_row_is_encoded_once_for_all_trials_with_the_results_of_encoding_it_in_every_step(
    kind: str,
    data: Path,
    backbone_path: str,
    encoded: Encoded,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    trials = [head_only("a"), head_only("b", seed=2, batch_size=7, total_steps=46)]
    once, always = (fresh_root(data, tmp_path / name) for name in ("once", "always"))
    told = run(once, kind, backbone_path, trials)
    assert (encoded.rows, encoded.passes) == (ROWS, 0)
    monkeypatch.setattr(RowTask, "head_task", lambda self: None)
    expected = run(always, kind, backbone_path, trials)
    assert encoded.rows == ROWS
    assert encoded.passes > 0
    assert told.metric_values.keys() == expected.metric_values.keys()
    for key, value in expected.metric_values.items():
        assert told.metric_values[key] == pytest.approx(value, rel=1e-4, abs=1e-5), key
    found, wanted = (predictions(root, kind, backbone_path, trials) for root in (once, always))
    for name, logits in wanted.items():
        assert torch.allclose(found[name], logits, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_trial_among_heads_and_adapters_has_every_bit_of_its_lone_run(
    kind: str, data: Path, backbone_path: str, encoded: Encoded, tmp_path: Path
) -> None:
    one = head_only("one")
    company = [
        head_only("shorter", seed=2, batch_size=5, total_steps=40, learning_rate=1e-2),
        trial("adapter", seed=3, width=8, pruner="snip", sparsity=0.5, total_steps=6),
        one,
        head_only("drops", seed=4, dropout=0.1, total_steps=12),
        head_only("within-an-epoch", seed=5, total_steps=5),
    ]
    root = fresh_root(data, tmp_path / "together")
    together = run(root, kind, backbone_path, company)
    assert encoded.rows == ROWS
    for lone in company[:3]:
        alone = fresh_root(data, tmp_path / lone.trial_id)
        told = run(alone, kind, backbone_path, [lone])
        assert_same(root, alone, lone.trial_id)
        assert metrics_of(together, lone.trial_id) == told.metric_values


@pytest.mark.parametrize("kind", KINDS)
def test_a_trial_that_was_stopped_killed_and_joined_goes_on_to_the_same_bits(
    kind: str, data: Path, backbone_path: str, tmp_path: Path
) -> None:
    one, other = head_only("one", total_steps=40), head_only("other", seed=2, batch_size=9)
    undisturbed = fresh_root(data, tmp_path / "undisturbed")
    whole = run(undisturbed, kind, backbone_path, [one])
    root = fresh_root(data, tmp_path / "root")
    stopped = Recorder(stop=trainer_pb2.CANCEL_MODE_CHECKPOINT, stop_after=12)
    with pytest.raises(Interrupted):
        run(root, kind, backbone_path, [one], stopped)
    first = stopped.checkpoints[-1][1]
    assert 0 < first < 40
    # As after a death: what was done since the last checkpoint is lost.
    lost = Recorder(stop=trainer_pb2.CANCEL_MODE_ABORT, stop_after=16)
    with pytest.raises(Cancelled):
        run(root, kind, backbone_path, [one, other], lost, checkpoint_every_steps=3)
    second = max(step for name, step in lost.checkpoints if name == "one")
    assert first < second < 40
    rung = run(root, kind, backbone_path, [one], until_step=second + 1)
    assert {values["steps"] for values in rung.results.values()} == {second + 1}
    told = run(root, kind, backbone_path, [other, one])
    assert_same(root, undisturbed, "one")
    seen: dict[tuple[str, str, int], float] = {}
    for each in (stopped, lost, rung, told):
        for key, value in metrics_of(each, "one").items():
            assert seen.setdefault(key, value) == value, key
    assert {key for key in whole.metric_values if key[1] == "grad_norm"} <= seen.keys()
    assert all(seen[key] == value for key, value in whole.metric_values.items())


@pytest.mark.parametrize("kind", KINDS)
def test_trials_that_predict_together_share_the_encoder_and_have_the_bits_of_predicting_alone(
    kind: str, data: Path, backbone_path: str, encoded: Encoded, tmp_path: Path
) -> None:
    trials = [head_only("a"), head_only("b", seed=2), trial("adapter", width=8, total_steps=2)]
    together, alone = (fresh_root(data, tmp_path / name) for name in ("together", "alone"))
    for root in (together, alone):
        run(root, kind, backbone_path, trials)
    encoded.rows = encoded.passes = 0
    found = predictions(together, kind, backbone_path, trials)
    assert encoded.rows == 60
    for one in trials:
        (expected,) = predictions(alone, kind, backbone_path, [one]).values()
        assert torch.equal(found[one.trial_id], expected)
    assert encoded.rows == 60


@pytest.mark.parametrize(
    "changed",
    [
        {"dropout": 0.1},
        {"attention_dropout": 0.1},
        {"total_steps": 9},
        {"padded_tokens": 48},
        {"room": 0},
    ],
)
def test_states_are_not_kept_where_they_change_do_not_fit_or_are_needed_only_once(
    changed: dict[str, float],
    cola: Path,
    backbone_path: str,
    encoded: Encoded,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(rows, "STATES_ROOM", changed.pop("room", 2**30))
    padded = changed.pop("padded_tokens", 0)
    one = head_only("one", **{"total_steps": 10} | changed)
    one.adapter.padded_tokens = int(padded)
    run(fresh_root(cola, tmp_path / "root"), "rows", backbone_path, [one])
    assert encoded.rows == 0
