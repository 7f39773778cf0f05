"""Encoder–decoder trials of one form in one stacked pass have, to rounding, what they have
alone."""

from pathlib import Path
from typing import Any

import pytest
import torch
from counting_support import WAITING, Counting
from encoder_decoder_support import (
    CASES,
    FAMILIES,
    FORMS,
    SEED_SETTINGS,
    SUMMARIZATION,
    drawn,
    find_form,
    make_layout,
    random_pairs,
    spec,
)
from engine_support import Recorder, fresh_root, train_work, trial, weights
from safetensors.torch import load_file
from sparse_adapter.trainer.v1 import job_pb2, trainer_pb2

from sparse_adapter_engine.backbones.encoder_decoder.encoder_decoder import EncoderDecoder
from sparse_adapter_engine.device.how import How
from sparse_adapter_engine.engine import Engine
from sparse_adapter_engine.errors import Interrupted, JobFailed
from sparse_adapter_engine.modules.forms import has_matrices
from sparse_adapter_engine.modules.trial_modules import TrialModules
from sparse_adapter_engine.stacked.operations import PLAIN
from sparse_adapter_engine.stacked.pair_pass import PairPass
from sparse_adapter_engine.stacked.trained_stacks import TrainedTrial
from sparse_adapter_engine.tasks.losses import loss
from sparse_adapter_engine.tasks.part import Part
from sparse_adapter_engine.tasks.task import Adapted
from sparse_adapter_engine.tasks.texts import (
    batches,
    fitting,
    generate_texts,
    group_companies,
    row_bytes,
)

STACKED = How(pass_tokens=65_536, stacked=PLAIN)


def trained(root: Path, path: Path, trials: list[job_pb2.Trial], how: How | None) -> Recorder:
    told = Recorder()
    for work in ({"prune": job_pb2.PruneWork()}, {"train": train_work(log_every_steps=1)}):
        told = Recorder()
        Engine(root, threads=1, how=how).run(spec(path, trials, **work), told)
        assert not told.failures
    return told


def make_trials(form: str) -> list[job_pb2.Trial]:
    """Three trials of a form, of different widths where widths may differ, batches, masks and
    rates.
    """
    found = []
    for seed, (width, batch) in enumerate(((6, 4), (3, 5), (4, 6)), start=1):
        asked = find_form(form)
        pruned = {"pruner": "snip", "sparsity": 0.5} if seed == 1 and has_matrices(asked) else {}
        one = trial(f"t{seed}", seed=seed, batch_size=batch, total_steps=4, **pruned)
        one.adapter.CopyFrom(asked)
        if one.adapter.attention not in (
            job_pb2.ATTENTION_MODULE_PREFIX,
            job_pb2.ATTENTION_MODULE_PROMPT,
        ):
            one.adapter.attention_bottleneck = width if one.adapter.attention else 0
            one.adapter.ffn_bottleneck = width if one.adapter.ffn else 0
        one.train.adam_epsilon = 1e-6
        one.train.label_smoothing = 0.1 * (seed - 1)
        one.train.learning_rate = seed * 1e-3
        found.append(one)
    return found


@pytest.mark.parametrize(("family", "form"), CASES)
def test_losses_and_gradients_of_a_stack_are_those_of_each_trial_alone(
    family: str, form: str, encoder_decoders: dict[str, EncoderDecoder]
) -> None:
    backbone, trials = encoder_decoders[family], make_trials(form)
    rows = [torch.arange(5), torch.arange(3, 9), torch.tensor([7, 2])]
    made = passes(backbone, trials, row_parts=1)
    given = made.prepare(rows, [1, 1, 1])
    made._differentiate_all(given)
    (stack,) = made._stacks
    for place, (one, own) in enumerate(zip(trials, rows, strict=True)):
        tensors = drawn(one.adapter, backbone, one.seed)
        part = Part.of(
            0, random_pairs(rows=9), own, TrialModules(one.adapter, tensors, dropout=None)
        )
        logits = backbone.logits(part.pack, part.modules)
        mean = loss(SUMMARIZATION, logits, part.pack, one.train.label_smoothing)
        assert made._losses[place].item() == pytest.approx(mean.item(), rel=1e-5)
        layout = make_layout(one.adapter, backbone)
        flat = torch.zeros(layout.total)
        stack.take(stack.gradient, place, flat)
        gradients = torch.autograd.grad(mean, list(tensors.values()))
        for (name, found), expected in zip(layout.views(flat).items(), gradients, strict=True):
            assert (found - expected).norm() <= 2e-4 * expected.norm() + 1e-6, (
                f"{one.trial_id} {name}"
            )


@pytest.mark.parametrize(("family", "form"), [("bart", "houlsby"), ("gated t5", "lora")])
def test_trials_of_a_stack_are_their_lone_runs_to_rounding(
    family: str, form: str, encoder_decoder_paths: dict[str, Path], pairs_root: Path, tmp_path: Path
) -> None:
    trials, path, found = make_trials(form), encoder_decoder_paths[family], []
    for name, how in (("sliced", None), ("stacked", STACKED)):
        root = fresh_root(pairs_root, tmp_path / name)
        told = trained(root, path, trials, how)
        found.append(
            ({one.trial_id: weights(root, one.trial_id) for one in trials}, told.metric_values)
        )
    (expected, metrics), (stacks, values) = found
    for one in trials:
        for name, tensor in expected[one.trial_id].items():
            assert (tensor - stacks[one.trial_id][name]).abs().max() < 3e-4, (
                f"{one.trial_id} {name}"
            )
    assert values.keys() == metrics.keys()
    for key, value in metrics.items():
        assert values[key] == pytest.approx(value, rel=1e-4), key


def test_a_stacked_training_that_was_interrupted_goes_on_to_the_same_bits(
    tiny_bart: Path, pairs_root: Path, tmp_path: Path
) -> None:
    trials = [*make_trials("houlsby"), *make_trials("prompt")]
    for place, one in enumerate(trials):
        one.trial_id = f"t{place}"
        one.train.dropout = 0.1
    whole, cut = (fresh_root(pairs_root, tmp_path / name) for name in ("whole", "cut"))
    trained(whole, tiny_bart, trials, STACKED)
    Engine(cut, threads=1).run(spec(tiny_bart, trials, prune=job_pb2.PruneWork()), Recorder())
    work = train_work(log_every_steps=1)
    with pytest.raises(Interrupted):
        Engine(cut, threads=1, how=STACKED).run(
            spec(tiny_bart, trials, train=work),
            Recorder(trainer_pb2.CANCEL_MODE_CHECKPOINT, stop_after=5),
        )
    Engine(cut, threads=1, how=STACKED).run(spec(tiny_bart, trials, train=work), Recorder())
    for one in trials:
        expected = weights(whole, one.trial_id)
        assert all(
            torch.equal(tensor, expected[name])
            for name, tensor in weights(cut, one.trial_id).items()
        )


def passes(backbone: EncoderDecoder, trials: list[job_pb2.Trial], row_parts: int) -> PairPass:
    made = []
    for one in trials:
        found, tensors = make_layout(one.adapter, backbone), drawn(one.adapter, backbone, one.seed)
        flat = found.flatten({name: tensor.detach() for name, tensor in tensors.items()})
        moments = [torch.zeros_like(flat) for _ in range(2)]
        made.append(TrainedTrial(one.adapter, found, flat, {}, one.seed, one.train, *moments))
    return PairPass(backbone, random_pairs(rows=9), SUMMARIZATION, made, PLAIN, row_parts)


@pytest.mark.parametrize("family", FAMILIES)
def test_rows_in_parts_give_what_they_give_at_once(
    family: str, encoder_decoders: dict[str, EncoderDecoder]
) -> None:
    trials, rows, results = make_trials("mam")[:2], [torch.arange(5), torch.arange(3, 9)], []
    for row_parts in (1, 3):
        made = passes(encoder_decoders[family], trials, row_parts)
        given = made.prepare(rows, [1, 1])
        assert len(given.packs) == row_parts
        assert given.rows == [5, 6]
        made.step(given)
        results.append(made.take_results())
    assert torch.allclose(*results, rtol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_nothing_in_a_step_waits_for_the_device(
    family: str, encoder_decoders: dict[str, EncoderDecoder]
) -> None:
    trials = make_trials("lora")
    for one in trials:
        one.train.dropout = 0.1
    made = passes(encoder_decoders[family], trials, row_parts=1)
    given = made.prepare([torch.arange(4)] * 3, [1, 1, 1])
    with Counting() as counting:
        made.step(given)
    assert sum(counting.seen.values()) > 100
    assert not [name for name in WAITING if counting.seen[name]]


@pytest.mark.parametrize("form", ["lora", "mam"])
def test_stacked_trials_generate_what_they_generate_alone(
    form: str, tiny_bart: Path, pairs_root: Path, tmp_path: Path
) -> None:
    trials = [*make_trials(form), *make_trials("parallel, norm after")[:1]]
    trials[-1].trial_id = "another"
    root, texts = fresh_root(pairs_root, tmp_path / "root"), []
    trained(root, tiny_bart, trials, None)
    for how in (STACKED, None):
        Engine(root, threads=1, how=how).run(
            spec(
                tiny_bart,
                trials,
                predict=job_pb2.PredictWork(splits=["validation"], generation=SEED_SETTINGS),
            ),
            Recorder(),
        )
        paths = [
            root / "trials" / one.trial_id / "predictions.validation.safetensors" for one in trials
        ]
        texts.append([load_file(path) for path in paths])
        for path in paths:
            path.unlink()
    for stack, alone in zip(*texts, strict=True):
        assert torch.equal(stack["generated_offsets"], alone["generated_offsets"])
        assert torch.equal(stack["generated_ids"], alone["generated_ids"])


def adapted(backbone: EncoderDecoder, forms: list[str]) -> list[Adapted]:
    found = []
    for place, form in enumerate(forms):
        tensors = {
            name: tensor.detach() for name, tensor in drawn(FORMS[form], backbone, place).items()
        }
        found.append(Adapted(f"t{place}", FORMS[form], make_layout(FORMS[form], backbone), tensors))
    return found


def test_trials_of_one_form_generate_together_where_they_are_stacked(
    encoder_decoders: dict[str, EncoderDecoder],
) -> None:
    trials = adapted(encoder_decoders["t5"], ["lora", "mam", "lora"])
    together, alone = (
        [[one.trial_id for one in company] for company in group_companies(trials, stacked)]
        for stacked in (True, False)
    )
    assert together == [["t0", "t2"], ["t1"]]
    assert alone == [["t0"], ["t1"], ["t2"]]


def test_a_batch_takes_the_rows_that_have_room_at_its_longests_cost_and_at_least_one() -> None:
    lengths = torch.tensor([1, 2, 3, 10, 40])
    found = [
        rows.tolist()
        for rows in fitting(torch.arange(5), lengths, lambda length: length, room=20.0)
    ]
    assert found == [[0, 1, 2], [3], [4]]


def test_a_rows_bytes_are_keys_values_and_words(
    encoder_decoders: dict[str, EncoderDecoder],
) -> None:
    # Three decoder layers, 32 wide, 120 words.
    asked = job_pb2.Generation(beams=2, max_length=5)
    assert row_bytes(encoder_decoders["bart"], 7, asked) == 7 * 2 * 3 * 32 * 4 + 2 * (
        2 * 5 * 2 * 3 * 32 * 4 + 4 * 120 * 4
    )
    assert [
        len(rows)
        for rows in batches(encoder_decoders["bart"], torch.arange(1, 12), asked, trials=4)
    ] == [8, 3]


def test_a_batch_that_has_no_room_is_done_in_halves(
    encoder_decoders: dict[str, EncoderDecoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone, split = encoder_decoders["bart"], random_pairs(rows=11)
    company, most = adapted(backbone, ["lora"]), 3
    own = EncoderDecoder.generate
    sizes: list[int] = []

    def generate(self: EncoderDecoder, pack: Any, *args: Any) -> Any:
        if pack.rows > most:
            raise torch.OutOfMemoryError("no room")
        sizes.append(pack.rows)
        return own(self, pack, *args)

    (expected,) = generate_texts(backbone, split, company, SEED_SETTINGS, False, lambda rows: None)
    monkeypatch.setattr(EncoderDecoder, "generate", generate)
    (found,) = generate_texts(backbone, split, company, SEED_SETTINGS, False, lambda rows: None)
    assert sizes == [2, 2, 2, 2, 3]
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    most = 0
    with pytest.raises(JobFailed, match="out of memory with one row"):
        generate_texts(backbone, split, company, SEED_SETTINGS, False, lambda rows: None)
