"""Question answering: a start and an end among the tokens of a row."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from engine_support import Recorder, fresh_root, train_work, trial, weights
from safetensors.torch import load_file
from sparse_adapter.trainer.v1 import event_pb2, job_pb2
from test_adapters import FORMS, drawn
from test_encoder import padded, ragged
from torch.nn.functional import cross_entropy
from transformers import AutoModel, AutoTokenizer

from sparse_adapter_engine.backbones.encoder.encoder import Encoder
from sparse_adapter_engine.backbones.encoder.forward import forward
from sparse_adapter_engine.backbones.encoder.loading import load_encoder
from sparse_adapter_engine.data.rows import Split, fill
from sparse_adapter_engine.engine import Engine
from sparse_adapter_engine.errors import JobFailed
from sparse_adapter_engine.files.artifacts import write_tensors
from sparse_adapter_engine.modules.layout import layout
from sparse_adapter_engine.modules.trial_modules import TrialModules
from sparse_adapter_engine.tasks.losses import loss
from sparse_adapter_engine.tasks.part import Part

QA = job_pb2.TASK_KIND_QUESTION_ANSWERING
TRIALS = [
    trial("t1", seed=1, width=16, pruner="snip", sparsity=0.5, batch_size=6),
    trial("t2", seed=2, width=64, batch_size=8, learning_rate=3e-3, dropout=0.1),
    trial("t3", seed=3, width=8, pruner="mag", sparsity=0.4, batch_size=4, total_steps=8),
]


@pytest.fixture(scope="module")
def squad(backbone_path: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact root with `datasets/squad`: 48 questions of SQuAD in windows of up to 128 tokens,
    those whose window has the answer.
    """
    data = os.environ.get("SA_ORCH_DATA")
    if not data:
        pytest.skip("SA_ORCH_DATA names no directory with squad/dev-v1.1.json")
    articles = json.loads(next(Path(data, "squad").glob("dev-v1.1*.json")).read_bytes())["data"]
    root, tokenizer = tmp_path_factory.mktemp("root"), AutoTokenizer.from_pretrained(backbone_path)
    rows = []
    for paragraph in (paragraph for article in articles for paragraph in article["paragraphs"]):
        if not paragraph["qas"]:
            continue
        question = paragraph["qas"][0]
        encoded = tokenizer(
            question["question"], paragraph["context"], truncation="only_second", max_length=128
        )
        answer = question["answers"][0]
        begin = encoded.char_to_token(answer["answer_start"], sequence_index=1)
        end = encoded.char_to_token(
            answer["answer_start"] + len(answer["text"]) - 1, sequence_index=1
        )
        if begin is not None and end is not None:
            rows.append((encoded["input_ids"], encoded["token_type_ids"], begin, end))
    for split, part in (("train", rows[:32]), ("validation", rows[32:48])):
        lengths = torch.tensor([len(ids) for ids, *_ in part])
        write_tensors(
            root / "datasets" / "squad" / f"{split}.safetensors",
            {
                "input_ids": torch.tensor(
                    [token for ids, *_ in part for token in ids], dtype=torch.int32
                ),
                "token_type_ids": torch.tensor(
                    [kind for _, types, *_ in part for kind in types], dtype=torch.uint8
                ),
                "offsets": torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)]),
                "start_positions": torch.tensor(
                    [begin for *_, begin, _ in part], dtype=torch.int32
                ),
                "end_positions": torch.tensor([end for *_, end in part], dtype=torch.int32),
            },
        )
    return root


def spec(backbone: str, trials: list[job_pb2.Trial], **work: object) -> job_pb2.JobSpec:
    return job_pb2.JobSpec(
        backbone=job_pb2.Backbone(path=backbone, digest="b" * 64),
        dataset=job_pb2.Dataset(name="datasets/squad", digest="squad", task_kind=QA, num_labels=2),
        trials=trials,
        **work,
    )


def train(root: Path, backbone: str, trials: list[job_pb2.Trial], told: Recorder) -> None:
    engine = Engine(root, threads=1)
    engine.run(spec(backbone, trials, prune=job_pb2.PruneWork()), Recorder())
    engine.run(spec(backbone, trials, train=train_work(log_every_steps=1)), told)


@pytest.fixture(scope="module")
def trained(
    squad: Path, backbone_path: str, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Recorder]:
    root, told = fresh_root(squad, tmp_path_factory.mktemp("together") / "root"), Recorder()
    train(root, backbone_path, TRIALS, told)
    return root, told


def own_part(split: Split, rows: list[int], modules: TrialModules) -> Part:
    return Part.of(0, split, torch.tensor(rows), modules)


@pytest.mark.parametrize("form", ["houlsby", "lora", "mam", "pfeiffer", "prompt"])
def test_loss_and_gradients_are_of_a_softmax_over_each_rows_own_tokens(
    form: str, tiny_roberta: Path
) -> None:
    backbone = load_encoder(str(tiny_roberta), torch.device("cpu"))
    asked, ragged_rows = FORMS[form], ragged(backbone.vocabulary, backbone.token_types)
    uniform = torch.rand(ragged_rows.rows, 2, generator=torch.Generator().manual_seed(5))
    places = (uniform * ragged_rows.lengths[:, None]).long()
    split = Split(
        "train", ragged_rows.input_ids, ragged_rows.token_type_ids, ragged_rows.offsets, places
    )
    tensors = drawn(asked, backbone, task_kind=QA)
    modules = TrialModules(asked, tensors, dropout=None)
    sums = []
    for row in range(split.rows):
        (logits,) = forward(backbone, [own_part(split, [row], modules)], QA)
        sums.append(
            cross_entropy(logits[:, 0][None], places[row, :1])
            + cross_entropy(logits[:, 1][None], places[row, 1:])
        )
    expected = torch.stack(sums).mean() / 2
    whole = own_part(split, list(range(split.rows)), modules)
    whole = replace(whole, pack=fill(whole.pack, 32))
    assert whole.pack.filling
    (logits,) = forward(backbone, [whole], QA)
    found = loss(QA, logits, whole.pack)
    assert found.item() == pytest.approx(expected.item(), abs=1e-5)
    gradients = [torch.autograd.grad(value, list(tensors.values())) for value in (found, expected)]
    for name, one, two in zip(tensors, *gradients, strict=True):
        assert (one - two).norm() <= 1e-4 * two.norm() + 1e-7, name
        assert two.norm() > 0, name


def test_a_tokens_logits_are_the_heads_of_transformers_last_hidden_state(
    backbone_path: str,
) -> None:
    backbone, asked = load_encoder(backbone_path, torch.device("cpu")), FORMS["head only"]
    split, tensors = (
        ragged(backbone.vocabulary, backbone.token_types),
        drawn(asked, backbone, task_kind=QA),
    )
    part = own_part(split, list(range(split.rows)), TrialModules(asked, tensors, dropout=None))
    with torch.no_grad():
        hidden = AutoModel.from_pretrained(backbone_path)(
            **padded(split, padding=0)
        ).last_hidden_state
        (logits,) = forward(backbone, [part], QA)
        own = torch.cat([hidden[row, : split.lengths[row]] for row in part.pack.order])
        expected = own @ tensors["head.out.weight"].T + tensors["head.out.bias"]
    assert torch.allclose(logits, expected, atol=1e-5)


def test_the_head_has_no_dense_part(minilm: Encoder) -> None:
    found = layout(FORMS["houlsby"], minilm, num_labels=2, task_kind=QA)
    assert [name for name in found.shapes if name.startswith("head.")] == [
        "head.out.weight",
        "head.out.bias",
    ]


def test_a_cohorts_trials_are_their_lone_runs(
    trained: tuple[Path, Recorder], squad: Path, backbone_path: str, tmp_path: Path
) -> None:
    root, told = trained
    for one in TRIALS:
        alone, lone = fresh_root(squad, tmp_path / one.trial_id), Recorder()
        train(alone, backbone_path, [one], lone)
        for name, tensor in weights(root, one.trial_id).items():
            assert torch.equal(tensor, weights(alone, one.trial_id)[name]), f"{one.trial_id} {name}"
        assert {
            key: value for key, value in told.metric_values.items() if key[0] == one.trial_id
        } == lone.metric_values


def test_the_loss_falls(trained: tuple[Path, Recorder]) -> None:
    _, told = trained
    losses = [told.metric_values["t2", "loss", step] for step in range(1, 13)]
    assert sum(losses[-4:]) < 0.9 * sum(losses[:4])


def test_predictions_have_two_logits_for_each_token_in_the_order_of_the_data_set(
    trained: tuple[Path, Recorder], backbone_path: str
) -> None:
    root, _ = trained
    Engine(root, threads=1).run(
        spec(backbone_path, TRIALS[:1], predict=job_pb2.PredictWork(splits=["validation"])),
        Recorder(),
    )
    logits = load_file(root / "trials" / "t1" / "predictions.validation.safetensors")["logits"]
    stored = load_file(root / "datasets" / "squad" / "validation.safetensors")
    split = Split(
        "validation",
        *(
            stored[name].long()
            for name in ("input_ids", "token_type_ids", "offsets", "start_positions")
        ),
    )
    backbone = load_encoder(backbone_path, torch.device("cpu"))
    modules = TrialModules(TRIALS[0].adapter, weights(root, "t1"), dropout=None)
    assert logits.shape == (split.input_ids.numel(), 2)
    for row in (0, 3, 15):
        (own,) = forward(backbone, [own_part(split, [row], modules)], QA)
        assert torch.allclose(logits[split.offsets[row] : split.offsets[row + 1]], own, atol=1e-4)


@pytest.mark.parametrize(
    ("tensor", "row", "place", "message"),
    [
        ("end_positions", 7, 4000, "end_positions must be token positions in their rows"),
        ("start_positions", 5, -1, "start_positions: row 5 has no label"),
    ],
)
def test_a_place_that_is_not_in_its_row_is_refused_with_the_tensors_name(
    tensor: str, row: int, place: int, message: str, squad: Path, backbone_path: str, tmp_path: Path
) -> None:
    root = fresh_root(squad, tmp_path / "root")
    path = root / "datasets" / "squad" / "train.safetensors"
    tensors = load_file(path)
    tensors[tensor][row] = place
    write_tensors(path, tensors)
    with pytest.raises(JobFailed, match=message) as error:
        Engine(root, threads=1).run(
            spec(backbone_path, [TRIALS[0]], prune=job_pb2.PruneWork()), Recorder()
        )
    assert error.value.reason == event_pb2.FAILURE_REASON_BAD_ARTIFACT
