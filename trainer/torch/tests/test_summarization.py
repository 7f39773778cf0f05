"""Jobs of summarization: cohorts, going on after a stop, predictions, real pairs, and splits that
are wrong.
"""

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from conftest import make_encoder_decoder
from encoder_decoder_support import FORMS, ONLY_BART, SEED_SETTINGS, spec, train, write_pairs
from engine_support import Recorder, adapter, fresh_root, train_work, trial, weights
from safetensors.torch import load_file
from sparse_adapter.trainer.v1 import event_pb2, job_pb2, trainer_pb2
from tokenizers import ByteLevelBPETokenizer
from torch import Tensor

from sparse_adapter_engine.backbones.encoder_decoder.loading import load_encoder_decoder
from sparse_adapter_engine.data.length_groups import ONE_GROUP
from sparse_adapter_engine.data.pairs import PairSplit, load_pairs
from sparse_adapter_engine.engine import Engine
from sparse_adapter_engine.errors import Interrupted, JobFailed
from sparse_adapter_engine.files.artifacts import write_tensors
from sparse_adapter_engine.modules.forms import prompt_length
from sparse_adapter_engine.modules.trial_modules import TrialModules

TRIALS = [
    trial(
        "t1", seed=1, pruner="snip", sparsity=0.5, batch_size=3, total_steps=6, label_smoothing=0.1
    ),
    trial(
        "t2",
        seed=2,
        batch_size=5,
        total_steps=5,
        learning_rate=3e-3,
        dropout=0.1,
        attention_dropout=0.1,
    ),
    trial("t3", seed=3, pruner="synflow", sparsity=0.4, batch_size=4, total_steps=6, dropout=0.2),
    # Pruned during training.
    trial("t4", seed=4, pruner="snip", sparsity=0.6, batch_size=4, total_steps=5),
]
for _one, _form in zip(TRIALS, ("houlsby", "prompt", "lora", "mam"), strict=True):
    _one.adapter.CopyFrom(FORMS[_form])
TRIALS[0].prune.scoring_rows = 12
TRIALS[3].prune.MergeFrom(
    job_pb2.Prune(
        rounds=2, every_steps=2, begin_step=1, schedule="PRUNE_SCHEDULE_CUBIC", scoring_rows=9
    )
)


@pytest.fixture(scope="session")
def trained(
    pairs_root: Path, tiny_bart: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Recorder]:
    root, told = fresh_root(pairs_root, tmp_path_factory.mktemp("together") / "root"), Recorder()
    train(root, tiny_bart, TRIALS, told)
    return root, told


def assert_equal_weights(one: Path, two: Path, trial_id: str) -> None:
    expected = weights(two, trial_id)
    assert weights(one, trial_id).keys() == expected.keys()
    for name, tensor in weights(one, trial_id).items():
        assert torch.equal(tensor, expected[name]), f"{trial_id} {name}"


def test_a_cohorts_trials_are_their_lone_runs_bit_for_bit(
    trained: tuple[Path, Recorder], pairs_root: Path, tiny_bart: Path, tmp_path: Path
) -> None:
    root, told = trained
    assert not told.failures
    for one in TRIALS:
        alone, lone = fresh_root(pairs_root, tmp_path / one.trial_id), Recorder()
        train(alone, tiny_bart, [one], lone)
        assert_equal_weights(root, alone, one.trial_id)
        assert {
            key: value for key, value in told.metric_values.items() if key[0] == one.trial_id
        } == lone.metric_values


def test_so_are_those_on_a_gated_t5_whose_attention_is_narrower_than_the_model(
    pairs_root: Path, tiny_gated_t5: Path, tmp_path: Path
) -> None:
    lora = trial(
        "lora", seed=5, pruner="snip", sparsity=0.5, batch_size=3, total_steps=4, dropout=0.1
    )
    mam = trial("mam", seed=6, pruner="synflow", sparsity=0.4, batch_size=4, total_steps=3)
    lora.adapter.CopyFrom(FORMS["lora"])
    mam.adapter.CopyFrom(FORMS["mam"])
    together = fresh_root(pairs_root, tmp_path / "together")
    train(together, tiny_gated_t5, [lora, mam], Recorder())
    for one in (lora, mam):
        alone = fresh_root(pairs_root, tmp_path / one.trial_id)
        train(alone, tiny_gated_t5, [one], Recorder())
        assert_equal_weights(together, alone, one.trial_id)


def test_a_training_that_was_interrupted_goes_on_to_the_same_bits(
    trained: tuple[Path, Recorder], pairs_root: Path, tiny_bart: Path, tmp_path: Path
) -> None:
    root = fresh_root(pairs_root, tmp_path / "root")
    engine, stopping, told = (
        Engine(root, threads=1),
        Recorder(trainer_pb2.CANCEL_MODE_CHECKPOINT, stop_after=8),
        Recorder(),
    )
    engine.run(spec(tiny_bart, TRIALS, prune=job_pb2.PruneWork()), Recorder())
    with pytest.raises(Interrupted):
        engine.run(spec(tiny_bart, TRIALS, train=train_work(log_every_steps=1)), stopping)
    assert 0 < max(step for _, step in stopping.checkpoints) < 6
    Engine(root, threads=1).run(spec(tiny_bart, TRIALS, train=train_work(log_every_steps=1)), told)
    for one in TRIALS:
        assert_equal_weights(root, trained[0], one.trial_id)


def test_masked_weights_stay_zero_and_every_trial_keeps_what_it_is_asked_to(
    trained: tuple[Path, Recorder],
) -> None:
    root, _ = trained
    for one in TRIALS:
        folder = root / "trials" / one.trial_id
        masks = load_file(
            (folder / "adapter" if one.prune.every_steps else folder) / "masks.safetensors"
        )
        kept, n = (
            sum(int(mask.sum()) for mask in masks.values()),
            sum(mask.numel() for mask in masks.values()),
        )
        assert kept == int((1 - one.prune.sparsity) * n + 0.5)
        assert all(
            not weights(root, one.trial_id)[name][mask == 0].any() for name, mask in masks.items()
        )
    config = json.loads((root / "trials" / "t1" / "adapter" / "adapter_config.json").read_text())
    assert (config["base_model_type"], config["num_layers"], config["num_decoder_layers"]) == (
        "bart",
        2,
        3,
    )


def test_predictions_are_ragged_texts_in_the_order_of_the_data_set(
    trained: tuple[Path, Recorder], tiny_bart: Path
) -> None:
    root, _ = trained
    predict = job_pb2.PredictWork(splits=["validation"], generation=SEED_SETTINGS)
    Engine(root, threads=1).run(spec(tiny_bart, TRIALS[:2], predict=predict), Recorder())
    backbone = load_encoder_decoder(str(tiny_bart), torch.device("cpu"))
    split = load_pairs(root, spec(tiny_bart, []).dataset, "validation", 120, 40)
    for one in TRIALS[:2]:
        found = load_file(root / "trials" / one.trial_id / "predictions.validation.safetensors")
        offsets = found["generated_offsets"]
        assert (offsets.dtype, found["generated_ids"].dtype, offsets.numel()) == (
            torch.int64,
            torch.int32,
            12,
        )
        assert int(offsets[-1]) == found["generated_ids"].numel()
        for row in (0, 4, 10):
            pack = split.pack(
                torch.tensor([row]), prompt_length(one.adapter), group_tokens=ONE_GROUP
            )
            (text,) = backbone.generate(
                pack,
                TrialModules(one.adapter, weights(root, one.trial_id), dropout=None),
                SEED_SETTINGS,
            )
            assert found["generated_ids"][offsets[row] : offsets[row + 1]].tolist() == text.tolist()
    again, other = Recorder(), Recorder()
    Engine(root, threads=1).run(spec(tiny_bart, TRIALS[:1], predict=predict), again)
    assert event_pb2.PHASE_PREDICT not in again.phases
    predict.generation.beams = 1
    Engine(root, threads=1).run(spec(tiny_bart, TRIALS[:1], predict=predict), other)
    assert event_pb2.PHASE_PREDICT in other.phases, "other settings give other texts"


@pytest.fixture(scope="session")
def xsum(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """An artifact root with 8 pairs of XSum, cut to 30 and 12 tokens, numbered anew from 4 on; and
    how many tokens there are.
    """
    where = os.environ.get("SA_ORCH_DATA")
    if not where or not Path(where, "xsum", "train.csv").is_file():
        pytest.skip("SA_ORCH_DATA names no directory with xsum/train.csv")
    vocabulary = Path(where, "vocab", "roberta-base")
    if not vocabulary.is_dir():
        pytest.skip("SA_ORCH_DATA has no vocab/roberta-base, which is BART's vocabulary too")
    tokenizer = ByteLevelBPETokenizer(
        str(vocabulary / "vocab.json"), str(vocabulary / "merges.txt")
    )
    with Path(where, "xsum", "train.csv").open(encoding="utf-8", newline="") as lines:
        rows = [row for row, _ in zip(csv.DictReader(lines), range(8), strict=False)]
    numbers: dict[int, int] = {}

    def ids(text: str, most: int, begin: list[int], end: int) -> Tensor:
        own = [
            numbers.setdefault(token, 4 + len(numbers))
            for token in tokenizer.encode(text).ids[:most]
        ]
        return torch.tensor([*begin, *own, end])

    texts = [ids(row["document"], 30, [0], 2) for row in rows]
    targets = [ids(row["summary"], 12, [], 2) for row in rows]
    ragged = []
    for some in (texts, targets):
        ragged += [
            torch.cat(some),
            F.pad(torch.tensor([len(each) for each in some]).cumsum(0), (1, 0)),
        ]
    root = tmp_path_factory.mktemp("xsum")
    write_pairs(root, "train", PairSplit("train", *ragged))
    return root, 4 + len(numbers)


@pytest.mark.parametrize("family", ["bart", "t5"])
def test_it_overfits_eight_pairs_of_xsum_and_says_them_by_heart(
    family: str, xsum: tuple[Path, int], tmp_path: Path
) -> None:
    data, words = xsum
    path, root = (
        make_encoder_decoder(family, tmp_path / family, words, width=64),
        fresh_root(data, tmp_path / "root"),
    )
    one = trial("t", batch_size=8, total_steps=120, learning_rate=5e-3, weight_decay=0.0)
    one.adapter.CopyFrom(adapter("sequential", "sequential", width=64, init_std=0.05))
    told = Recorder()
    engine = train(root, path, [one], told)
    assert told.metric_values["t", "loss", 1] > 4
    assert told.metric_values["t", "loss", 120] < 0.4
    asked = job_pb2.Generation(
        beams=6, min_length=4, max_length=20, no_repeat_ngram=3, length_penalty=1.0
    )
    engine.run(
        spec(path, [one], predict=job_pb2.PredictWork(splits=["train"], generation=asked)),
        Recorder(),
    )
    found, split = (
        load_file(root / "trials" / "t" / "predictions.train.safetensors"),
        load_file(root / "datasets/pairs/train.safetensors"),
    )
    texts = found["generated_ids"].tensor_split(found["generated_offsets"][1:-1])
    targets = split["target_ids"].tensor_split(split["target_offsets"][1:-1])
    assert (
        sum(text.tolist() == target.tolist() for text, target in zip(texts, targets, strict=True))
        >= 6
    )


def test_a_backbone_of_the_hub_that_does_not_fit_fails_the_job_with_the_field(
    pairs_root: Path, tiny_t5: Path, tmp_path: Path
) -> None:
    one = trial("t")
    one.adapter.CopyFrom(ONLY_BART["pfeiffer"])
    with pytest.raises(JobFailed, match=r"spec\.trials\[0\]\.adapter\.ffn is AFTER_NORM"):
        Engine(fresh_root(pairs_root, tmp_path / "root"), threads=1).run(
            spec(tiny_t5, [one], prune=job_pb2.PruneWork()), Recorder()
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("target_ids"), "has no tensor target_ids"),
        (
            lambda t: t["target_ids"].__setitem__(3, 120),
            r"target_ids must be in \[0, 120\), the backbone's vocabulary",
        ),
        (
            lambda t: t.update(target_offsets=t["target_offsets"][1:]),
            "target_offsets must have one value more than there are rows, 18",
        ),
        (
            lambda t: t["target_offsets"].__setitem__(2, t["target_offsets"][1]),
            "target_offsets: row 1 has no target",
        ),
        (
            lambda t: t["target_offsets"].__setitem__(slice(1, -1), 41),
            r"has a target of \d+ tokens; the backbone takes at most 40",
        ),
    ],
)
def test_a_split_that_is_wrong_is_refused_with_the_tensors_name(
    change: Callable[[dict[str, Tensor]], None],
    message: str,
    pairs_root: Path,
    tiny_bart: Path,
    tmp_path: Path,
) -> None:
    root = fresh_root(pairs_root, tmp_path / "root")
    path = root / "datasets" / "pairs" / "train.safetensors"
    tensors = load_file(path)
    change(tensors)
    write_tensors(path, tensors)
    with pytest.raises(JobFailed, match=message) as error:
        Engine(root, threads=1).run(
            spec(tiny_bart, [TRIALS[0]], prune=job_pb2.PruneWork()), Recorder()
        )
    assert error.value.reason == event_pb2.FAILURE_REASON_BAD_ARTIFACT
