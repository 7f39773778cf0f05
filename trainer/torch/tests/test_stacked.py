"""Trials that share a stacked pass have, to rounding, what they have in slices of their own."""

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from conftest import write_split
from engine_support import Recorder, fresh_root, spec, train_work, trial, weights
from sparse_adapter.trainer.v1 import event_pb2, job_pb2, trainer_pb2
from test_adapters import FORMS
from torch import Tensor

from sparse_adapter_engine.device.how import How
from sparse_adapter_engine.engine import Engine
from sparse_adapter_engine.errors import Cancelled, Interrupted
from sparse_adapter_engine.files.checkpoints import Company
from sparse_adapter_engine.modules.forms import has_matrices
from sparse_adapter_engine.stacked.attention import Spans
from sparse_adapter_engine.stacked.memory import tokens_that_fit
from sparse_adapter_engine.stacked.operations import PLAIN, Operations
from sparse_adapter_engine.training import cohort

STACKED_FORMS = [name for name, asked in FORMS.items() if asked.unfrozen != job_pb2.UNFROZEN_ALL]
PRUNERS = ("none", "rand", "mag", "er", "snip", "grasp", "synflow")
ROWS = 44


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact root with 44 rows of 3 to 16 random tokens, of two classes."""
    root, random = tmp_path_factory.mktemp("stacked"), torch.Generator().manual_seed(1)
    lengths = torch.randint(3, 17, (ROWS,), generator=random).tolist()
    ids = [torch.randint(5, 200, (length,), generator=random).tolist() for length in lengths]
    labels = torch.tensor([row[0] % 2 for row in ids], dtype=torch.int32)
    write_split(root / "datasets" / "cola" / "train.safetensors", ids, labels)
    write_split(root / "datasets" / "cola" / "validation.safetensors", ids[:20], labels[:20])
    return root


def eight(form: str) -> list[job_pb2.Trial]:
    """Trials of a form by every pruner, and one that is pruned during training: no two are alike in
    width, sparsity, seed, learning rate or batch."""
    place = STACKED_FORMS.index(form)
    pruners = PRUNERS if has_matrices(FORMS[form]) else ("none",) * len(PRUNERS)
    made = []
    for turn, pruner in enumerate([*pruners, pruners[1]]):
        one = trial(f"f{place}-{turn}", seed=1 + turn, pruner=pruner, total_steps=6 + turn % 3)
        one.adapter.CopyFrom(FORMS[form])
        for name in ("attention_bottleneck", "ffn_bottleneck"):
            if getattr(one.adapter, name):
                setattr(one.adapter, name, 3 + 2 * turn)
        one.prune.sparsity = 0 if pruner == "none" else 0.2 + 0.1 * turn
        one.prune.scoring_rows, one.prune.temperature = 16, 2
        one.train.learning_rate = 1e-4 * (1 + turn)
        one.train.batch_size = (5, 6, 7, 9)[turn % 4]
        # With the usual one, AdamW would make a first step of full size of rounding alone.
        one.train.adam_epsilon = 1e-6
        made.append(one)
    if has_matrices(FORMS[form]):
        during = {
            "begin_step": 1,
            "every_steps": 2,
            "rounds": 2,
            "schedule": job_pb2.PRUNE_SCHEDULE_CUBIC,
        }
        made[-1].prune.MergeFrom(job_pb2.Prune(**during))
    return made


def stacked(operations: Operations = PLAIN, tokens: int = 65_536) -> How:
    return How(tokens, operations, part_rows=512)


def run(
    root: Path,
    backbone: Path | str,
    trials: Sequence[job_pb2.Trial],
    how: How | None,
    told: Recorder | None = None,
    **work: object,
) -> Recorder:
    told = told or Recorder()
    Engine(root, threads=1, how=how).run(spec(backbone, list(trials), **work), told)
    return told


def all_weights(root: Path, trials: Sequence[job_pb2.Trial]) -> dict[str, dict[str, Tensor]]:
    return {one.trial_id: weights(root, one.trial_id) for one in trials}


def assert_close(
    found: dict[str, dict[str, Tensor]], expected: dict[str, dict[str, Tensor]], most: float = 1e-4
) -> None:
    assert found.keys() == expected.keys()
    for trial_id, tensors in expected.items():
        for name, tensor in tensors.items():
            assert (found[trial_id][name] - tensor).abs().max() <= most, (trial_id, name)


@pytest.mark.parametrize("form", STACKED_FORMS)
def test_eight_trials_of_a_form_by_every_pruner_learn_what_they_learn_in_slices(
    form: str, rows: Path, tiny_roberta: Path, tmp_path: Path
) -> None:
    trials = eight(form)
    told = {}
    for name, how in (("sliced", How(2500)), ("stacked", stacked())):
        root = fresh_root(rows, tmp_path / name)
        # Masks are compared below: one that ranks two equal scores otherwise would train otherwise.
        assert not run(root, tiny_roberta, trials, How(2500), prune=job_pb2.PruneWork()).failures
        told[name] = run(root, tiny_roberta, trials, how, train=train_work(log_every_steps=2))
        assert not told[name].failures
    assert_close(
        all_weights(tmp_path / "stacked", trials), all_weights(tmp_path / "sliced", trials)
    )
    found, expected = told["stacked"].metric_values, told["sliced"].metric_values
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert found[key] == pytest.approx(value, rel=1e-3, abs=1e-5), key


@pytest.mark.parametrize("form", [form for form in STACKED_FORMS if has_matrices(FORMS[form])])
def test_masks_and_predictions_of_rows_laid_out_anew_are_those_of_slices(
    form: str, rows: Path, tiny_roberta: Path, tmp_path: Path
) -> None:
    trials = eight(form)[:7]
    predicted = {}
    for name, how in (("sliced", How(2500)), ("stacked", stacked())):
        root = fresh_root(rows, tmp_path / name)
        assert not run(root, tiny_roberta, trials, how, prune=job_pb2.PruneWork()).failures
        predicted[name] = root
    alike = total = 0
    for one in trials:
        masks = [
            torch.cat([m.flatten() for m in read(root, one, "masks").values()])
            for root in predicted.values()
        ]
        alike, total = alike + int((masks[0] == masks[1]).sum()), total + masks[0].numel()
    assert alike >= 0.999 * total
    root = predicted["sliced"]
    run(root, tiny_roberta, trials[:2], How(2500), train=train_work())
    logits = []
    for how in (How(2500), stacked()):
        for one in trials[:2]:
            (root / "trials" / one.trial_id / "predictions.validation.safetensors").unlink(
                missing_ok=True
            )
        run(root, tiny_roberta, trials[:2], how, predict=job_pb2.PredictWork(splits=["validation"]))
        logits.append([read(root, one, "predictions.validation")["logits"] for one in trials[:2]])
    for sliced, other in zip(*logits, strict=True):
        assert torch.allclose(sliced, other, atol=1e-5)


def read(root: Path, one: job_pb2.Trial, name: str) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    return load_file(root / "trials" / one.trial_id / f"{name}.safetensors")


def mixed() -> list[job_pb2.Trial]:
    """Eight trials of eight forms, with dropout."""
    forms = [
        "houlsby",
        "lora",
        "prefix with its MLP",
        "prompt and parallel",
        "pfeiffer, norm after",
        "biases",
        "mam",
        "head only",
    ]
    made = []
    for turn, form in enumerate(forms):
        one = eight(form)[turn % 7]
        one.trial_id, one.seed = f"mixed-{turn}", 20 + turn
        one.train.dropout = 0.1 * (turn % 3)
        one.train.batch_size = 6 + turn % 2
        one.train.total_steps = 6
        made.append(one)
    return made


def test_eight_forms_share_a_pass_and_drop_what_they_drop_alone(
    rows: Path, tiny_roberta: Path, tmp_path: Path
) -> None:
    trials = mixed()
    together = fresh_root(rows, tmp_path / "together")
    run(together, tiny_roberta, trials, stacked(), prune=job_pb2.PruneWork())
    assert not run(together, tiny_roberta, trials, stacked(), train=train_work()).failures
    alone = fresh_root(rows, tmp_path / "alone")
    for one in trials:
        run(alone, tiny_roberta, [one], stacked(), prune=job_pb2.PruneWork())
        run(alone, tiny_roberta, [one], stacked(), train=train_work())
    assert_close(all_weights(together, trials), all_weights(alone, trials))


def houlsby(count: int, **train: float) -> list[job_pb2.Trial]:
    made = [
        trial(
            f"t{place}",
            seed=place,
            width=4 + place,
            pruner="rand",
            sparsity=0.5,
            total_steps=9,
            batch_size=6,
            **train,
        )
        for place in range(1, count + 1)
    ]
    for one in made:
        one.train.dropout = 0.1
    return made


@pytest.mark.parametrize("lengths", [(9, 9, 9, 9, 9), (2, 9, 9, 3, 9)])
@pytest.mark.parametrize("asked", [True, False], ids=["asked to stop", "from a checkpoint by time"])
def test_a_run_that_is_stopped_and_goes_on_has_every_bit_and_keeps_its_company(
    asked: bool, lengths: tuple[int, ...], rows: Path, tiny_roberta: Path, tmp_path: Path
) -> None:
    """Also where some of a company have ended before the stop."""
    trials, how = houlsby(5), stacked(tokens=180)
    for one, steps in zip(trials, lengths, strict=True):
        one.train.total_steps = steps
    whole, stopped = (fresh_root(rows, tmp_path / name) for name in ("whole", "stopped"))
    for root in (whole, stopped):
        run(root, tiny_roberta, trials, how, prune=job_pb2.PruneWork())
    undisturbed = run(whole, tiny_roberta, trials, how, train=train_work(log_every_steps=2))
    mode = trainer_pb2.CANCEL_MODE_CHECKPOINT if asked else trainer_pb2.CANCEL_MODE_ABORT
    first = Recorder(stop=mode, stop_after=12 if asked else 16)
    work = train_work(log_every_steps=2, checkpoint_seconds=0 if asked else 1e-9)
    with pytest.raises(Interrupted if asked else Cancelled):
        Engine(stopped, threads=1, how=how).run(spec(tiny_roberta, trials, train=work), first)
    assert first.checkpoints
    then = run(stopped, tiny_roberta, trials, how, train=train_work(log_every_steps=2))
    for one in trials:
        for name, tensor in weights(whole, one.trial_id).items():
            assert torch.equal(tensor, weights(stopped, one.trial_id)[name]), (one.trial_id, name)
    assert undisturbed.metric_values == first.metric_values | then.metric_values


class Memory:
    """A device that has room for so many tokens at a time, from some call on."""

    def __init__(self, tokens: int, from_call: int = 0) -> None:
        self.tokens, self.from_call, self.calls, self.refused = tokens, from_call, 0, 0

    def attention(
        self, query: Tensor, key_value: Tensor, heads: int, queries: Spans, keys: Spans
    ) -> Tensor:
        self.calls += 1
        if self.calls > self.from_call and key_value.shape[0] > self.tokens:
            self.refused += 1
            raise torch.OutOfMemoryError("no room")
        return PLAIN.attention(query, key_value, heads, queries, keys)


@pytest.mark.parametrize(("tokens", "from_call"), [(200, 0), (200, 9), (40, 0)])
def test_a_step_without_room_is_done_again_in_smaller_passes(
    tokens: int, from_call: int, rows: Path, tiny_roberta: Path, tmp_path: Path
) -> None:
    trials = houlsby(4)
    memory = Memory(tokens, from_call)
    found, told = {}, {}
    for name, operations in (
        ("roomy", PLAIN),
        ("narrow", replace(PLAIN, attention=memory.attention)),
    ):
        root = fresh_root(rows, tmp_path / name)
        run(root, tiny_roberta, trials, How(2500), prune=job_pb2.PruneWork())
        told[name] = run(root, tiny_roberta, trials, stacked(operations), train=train_work())
        assert not told[name].failures
        found[name] = all_weights(root, trials)
    assert memory.refused > 0
    assert_close(found["narrow"], found["roomy"], most=2e-6)
    assert told["narrow"].metric_values.keys() == told["roomy"].metric_values.keys()


def test_a_trial_whose_row_has_no_room_by_itself_fails_with_the_reason(
    rows: Path, tiny_roberta: Path, tmp_path: Path
) -> None:
    root = fresh_root(rows, tmp_path / "root")
    trials = houlsby(1)
    run(root, tiny_roberta, trials, How(2500), prune=job_pb2.PruneWork())
    operations = replace(PLAIN, attention=Memory(1).attention)
    told = run(root, tiny_roberta, trials, stacked(operations), train=train_work())
    assert told.failures["t1"].reason == event_pb2.FAILURE_REASON_OUT_OF_MEMORY
    assert "with one row at a time" in told.failures["t1"].message


def test_a_trial_that_diverges_fails_with_its_step_and_its_neighbours_do_not_see_it(
    rows: Path, tiny_roberta: Path, tmp_path: Path
) -> None:
    trials = houlsby(3)
    diverging = trial(
        "wild", seed=9, learning_rate=1e30, max_grad_norm=0, total_steps=9, batch_size=6
    )
    found, told = {}, {}
    for name, some in (("with", [trials[0], diverging, *trials[1:]]), ("without", trials)):
        root = fresh_root(rows, tmp_path / name)
        run(root, tiny_roberta, some, stacked(), prune=job_pb2.PruneWork())
        told[name] = run(root, tiny_roberta, some, stacked(), train=train_work(log_every_steps=4))
        found[name] = all_weights(root, trials)
    assert_close(found["with"], found["without"])
    assert told["with"].failures.keys() == {"wild"}
    assert told["with"].failures["wild"].reason == event_pb2.FAILURE_REASON_NON_FINITE
    sliced = fresh_root(rows, tmp_path / "sliced")
    run(sliced, tiny_roberta, [diverging], How(2500), prune=job_pb2.PruneWork())
    expected = run(sliced, tiny_roberta, [diverging], How(2500), train=train_work()).failures[
        "wild"
    ]
    assert told["with"].failures["wild"].message == expected.message


def test_a_trial_whose_time_is_up_leaves_the_stack_and_goes_on_under_a_higher_limit(
    rows: Path, tiny_roberta: Path, tmp_path: Path
) -> None:
    trials, how = houlsby(3), stacked()
    undisturbed, root = (fresh_root(rows, tmp_path / name) for name in ("undisturbed", "root"))
    for each in (undisturbed, root):
        run(each, tiny_roberta, trials, how, prune=job_pb2.PruneWork())
    run(undisturbed, tiny_roberta, trials, how, train=train_work())
    run(root, tiny_roberta, trials[:1], how, train=train_work(until_step=4))
    position = root / "trials" / "t1" / "checkpoints" / "step-4" / "position.json"
    content = json.loads(position.read_bytes())
    content["position"]["seconds"] = 7200
    position.write_text(json.dumps(content))
    limited = run(root, tiny_roberta, trials, how, train=train_work(max_seconds=3600))
    assert {name: failure.reason for name, failure in limited.failures.items()} == {
        "t1": event_pb2.FAILURE_REASON_TIME_LIMIT
    }
    assert not run(root, tiny_roberta, trials, how, train=train_work()).failures
    assert_close(all_weights(root, trials), all_weights(undisturbed, trials))


def test_a_time_limit_leaves_every_bit_of_the_others_also_where_they_are_stopped_after_it(
    rows: Path, tiny_roberta: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each step takes one second.
    monkeypatch.setattr(cohort, "time", SimpleNamespace(monotonic=count().__next__))
    trials, how = houlsby(3), stacked(tokens=180)
    for one in trials[1:]:
        one.train.total_steps = 5
    whole, stopped = (fresh_root(rows, tmp_path / name) for name in ("whole", "stopped"))
    for root in (whole, stopped):
        run(root, tiny_roberta, trials, how, prune=job_pb2.PruneWork())
        run(root, tiny_roberta, trials[:1], how, train=train_work(until_step=4))
    work = train_work(max_seconds=6)
    run(whole, tiny_roberta, trials, how, train=work)
    killed = Killed()
    with pytest.raises(RuntimeError, match="dead"):
        run(stopped, tiny_roberta, trials, how, told=killed, train=work)
    assert killed.checkpoints == [("t1", 6), ("t2", 2), ("t3", 2)]
    assert not run(stopped, tiny_roberta, trials[1:], how, train=work).failures
    for one in trials[1:]:
        for name, tensor in weights(whole, one.trial_id).items():
            assert torch.equal(tensor, weights(stopped, one.trial_id)[name]), (one.trial_id, name)


class Killed(Recorder):
    """Dies as soon as a trial has failed."""

    def trial_failed(self, trial_id: str, failure: event_pb2.Failure) -> None:
        raise RuntimeError("dead")


def test_trials_that_drop_attention_probabilities_are_trained_beside_the_stack(
    rows: Path, tiny_roberta: Path, tmp_path: Path
) -> None:
    trials = houlsby(2)
    trials[1].train.attention_dropout = 0.1
    root = fresh_root(rows, tmp_path / "root")
    run(root, tiny_roberta, trials, stacked(), prune=job_pb2.PruneWork())
    told = run(root, tiny_roberta, trials, stacked(), train=train_work())
    assert not told.failures
    assert {key[0] for key in told.metric_values} == {"t1", "t2"}


def test_smoothed_classes_are_learned_beside_the_stack(
    rows: Path, tiny_roberta: Path, tmp_path: Path
) -> None:
    trials = houlsby(2)
    for one in trials:
        one.train.dropout = 0
    trials[1].train.label_smoothing = 0.2
    for name, how in (("sliced", How(2500)), ("stacked", stacked())):
        root = fresh_root(rows, tmp_path / name)
        run(root, tiny_roberta, trials, How(2500), prune=job_pb2.PruneWork())
        assert not run(root, tiny_roberta, trials, how, train=train_work()).failures
    assert_close(
        all_weights(tmp_path / "stacked", trials), all_weights(tmp_path / "sliced", trials)
    )


def test_company_is_kept_in_the_checkpoint(rows: Path, tiny_roberta: Path, tmp_path: Path) -> None:
    import json

    root, trials = fresh_root(rows, tmp_path / "root"), houlsby(2)
    run(root, tiny_roberta, trials, stacked(), prune=job_pb2.PruneWork())
    run(root, tiny_roberta, trials, stacked(), train=train_work(until_step=4))
    content = json.loads(
        (root / "trials" / "t1" / "checkpoints" / "step-4" / "position.json").read_bytes()
    )
    assert Company(**content["position"]["company"]) == Company(["t1", "t2"], 1)


def test_a_pass_has_the_tokens_that_a_line_through_two_measured_steps_allows() -> None:
    # 1,000 bytes fixed, 10 a token, and 5,000 of all trials' state.
    measured = [(100, 2_000), (400, 5_000)]
    assert tokens_that_fit(measured, state_bytes=5_000, free_bytes=16_000) == 1_000
    assert tokens_that_fit(measured, state_bytes=5_000, free_bytes=0) == 1
    assert tokens_that_fit([(16, 2_000), (16, 2_000)], 500, free_bytes=10_000) > 100


def test_parts_of_scoring_and_predicting_are_bounded_by_tokens_on_a_gpu_alone() -> None:
    assert How(2500).rows_of_part(10_000) == 32
    on_gpu = How(65_536, PLAIN, part_rows=512, part_tokens=32_768)
    assert [on_gpu.rows_of_part(longest) for longest in (20, 384, 40_000)] == [512, 85, 1]
