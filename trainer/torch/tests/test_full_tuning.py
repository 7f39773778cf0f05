"""Full fine-tuning computes what a plain loop over Transformers' model computes, goes on exactly,
and leaves the frozen backbone alone.
"""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from engine_support import Recorder, adapter, fresh_root, spec, train_work, trial, weights
from safetensors.torch import load_file
from sparse_adapter.trainer.v1 import job_pb2
from test_encoder import padded, ragged
from torch import Tensor
from transformers import AutoModel

from sparse_adapter_engine.backbones.encoder.forward import forward
from sparse_adapter_engine.backbones.encoder.full_tuning import read_backbone_tensors
from sparse_adapter_engine.backbones.encoder.loading import load_encoder
from sparse_adapter_engine.data.rows import Split, load_split
from sparse_adapter_engine.engine import Engine
from sparse_adapter_engine.keys import permutation
from sparse_adapter_engine.modules.layout import initialize, layout
from sparse_adapter_engine.modules.trial_modules import TrialModules
from sparse_adapter_engine.tasks.losses import loss
from sparse_adapter_engine.tasks.part import Part

ALL = adapter("none", "none", unfrozen="UNFROZEN_ALL")
PRUNE = job_pb2.PruneWork()
STEPS = 8
HEAD = {
    "head.dense.weight": (384, 384),
    "head.dense.bias": (384,),
    "head.out.weight": (2, 384),
    "head.out.bias": (2,),
}


def full_trial() -> job_pb2.Trial:
    # ε is above the gradients' rounding errors, which AdamW would otherwise make steps of.
    asked = trial("full", seed=5, total_steps=STEPS, learning_rate=1e-3, adam_epsilon=1e-5)
    asked.adapter.CopyFrom(ALL)
    return asked


def plain_names(layers: int) -> dict[str, str]:
    """Transformers' names of the tensors of ALL in Adapter of job.proto."""
    modules = {
        "embeddings.word": "embeddings.word_embeddings",
        "embeddings.position": "embeddings.position_embeddings",
        "embeddings.token_type": "embeddings.token_type_embeddings",
        "embeddings.norm": "embeddings.LayerNorm",
    }
    for index in range(layers):
        at, there = f"layers.{index}", f"encoder.layer.{index}"
        modules |= {
            f"{at}.{name}": f"{there}.attention.self.{name}" for name in ("query", "key", "value")
        }
        modules |= {
            f"{at}.attention_output": f"{there}.attention.output.dense",
            f"{at}.attention_norm": f"{there}.attention.output.LayerNorm",
        }
        modules |= {
            f"{at}.ffn_in": f"{there}.intermediate.dense",
            f"{at}.ffn_out": f"{there}.output.dense",
        }
        modules |= {f"{at}.ffn_norm": f"{there}.output.LayerNorm"}
    names = {f"{name}.weight": f"{plain}.weight" for name, plain in modules.items()}
    with_bias = {
        name: plain
        for name, plain in modules.items()
        if not name.endswith((".word", ".position", ".token_type", ".key"))
    }
    return names | {f"{name}.bias": f"{plain}.bias" for name, plain in with_bias.items()}


def plain_logits(model: Any, head: dict[str, Tensor], split: Split, padding: int) -> Tensor:
    hidden = model(**padded(split, padding)).last_hidden_state
    dense = torch.tanh(hidden[:, 0] @ head["head.dense.weight"].T + head["head.dense.bias"])
    return dense @ head["head.out.weight"].T + head["head.out.bias"]


def test_logits_and_gradients_of_bert_equal_transformers(
    backbone_path: str, tmp_path: Path
) -> None:
    check_equals_transformers(backbone_path, padding=0, folder=tmp_path)


def test_logits_and_gradients_of_roberta_equal_transformers(
    tiny_roberta: Path, tmp_path: Path
) -> None:
    check_equals_transformers(str(tiny_roberta), padding=1, folder=tmp_path)


def check_equals_transformers(path: str, padding: int, folder: Path) -> None:
    """With tensors that differ from the frozen backbone's everywhere but in the key's bias, which
    stays.
    """
    backbone, model = (
        load_encoder(path, torch.device("cpu")),
        AutoModel.from_pretrained(path).eval(),
    )
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if not name.endswith("key.bias"):
                parameter.add_(torch.randn(parameter.shape, generator=random), alpha=0.02)
    model.save_pretrained(folder)
    shapes = layout(ALL, backbone, num_labels=2).shapes
    tensors = read_backbone_tensors(str(folder))
    tensors |= {
        name: torch.randn(shape, generator=random) * 0.1
        for name, shape in shapes.items()
        if name.startswith("head.")
    }
    assert {name: tuple(tensor.shape) for name, tensor in tensors.items()} == shapes
    for tensor in tensors.values():
        tensor.requires_grad_()

    split = ragged(backbone.vocabulary, backbone.token_types)
    expected = plain_logits(model, tensors, split, padding)
    names = plain_names(len(backbone.layers))
    assert names.keys() == {name for name in shapes if not name.startswith("head.")}
    plain = {
        name: model.get_parameter(names[name]) if name in names else tensor
        for name, tensor in tensors.items()
    }
    wanted = torch.autograd.grad(F.cross_entropy(expected, split.labels), list(plain.values()))
    part = Part.of(0, split, torch.arange(split.rows), TrialModules(ALL, tensors, dropout=None))
    (logits,) = forward(backbone, [part], job_pb2.TASK_KIND_CLASSIFICATION)
    assert (logits - expected[part.pack.order]).abs().max() < 1e-5
    found = torch.autograd.grad(
        loss(job_pb2.TASK_KIND_CLASSIFICATION, logits, part.pack), list(tensors.values())
    )
    for name, one, two in zip(tensors, found, wanted, strict=True):
        assert (one - two).norm() <= 1e-4 * two.norm() + 1e-7, name
        assert two.norm() > 0, name


@pytest.fixture(scope="module")
def trained(
    cola: Path, backbone_path: str, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Engine, Recorder]:
    """A root where the full trial has been trained and has predicted, and what the training
    told."""
    root = fresh_root(cola, tmp_path_factory.mktemp("full") / "root")
    engine, told = Engine(root, threads=1), Recorder()
    engine.run(spec(backbone_path, [full_trial()], prune=PRUNE), Recorder())
    engine.run(spec(backbone_path, [full_trial()], train=train_work()), told)
    engine.run(
        spec(backbone_path, [full_trial()], predict=job_pb2.PredictWork(splits=["validation"])),
        Recorder(),
    )
    assert not told.failures
    return root, engine, told


def test_training_equals_a_plain_loop_over_transformers_model_and_predicts_with_what_it_trained(
    trained: tuple[Path, Engine, Recorder], backbone_path: str
) -> None:
    root, _, told = trained
    train, validation = (
        load_split(root, spec(backbone_path, []).dataset, name, 30522, 2, 512)
        for name in ("train", "validation")
    )
    model = AutoModel.from_pretrained(backbone_path).eval()
    names = plain_names(model.config.num_hidden_layers)
    pooler = (model.pooler.dense.weight.data.clone(), model.pooler.dense.bias.data.clone())
    head = {
        name: tensor.requires_grad_()
        for name, tensor in initialize(full_trial(), HEAD, pooler).items()
    }
    plain = {name: model.get_parameter(there) for name, there in names.items()} | head
    first = {name: tensor.detach().clone() for name, tensor in plain.items()}

    losses = train_plainly(model, plain, train)
    for step, value in losses.items():
        if ("full", "loss", step) in told.metric_values:
            told_loss = told.metric_values["full", "loss", step]
            assert told_loss == pytest.approx(value, abs=1e-4)
    found = weights(root, "full")
    assert found.keys() == plain.keys()
    for name, tensor in plain.items():
        assert (found[name] - tensor).abs().max() < 1e-4, name
        # All of it moves, tens of times as far as that.
        assert (tensor - first[name]).abs().max() > 1e-3, name
    with torch.no_grad():
        logits = plain_logits(model, head, validation, padding=0)
    assert (
        load_file(root / "trials" / "full" / "predictions.validation.safetensors")["logits"]
        - logits
    ).abs().max() < 1e-3


def train_plainly(model: Any, parameters: dict[str, Tensor], split: Split) -> dict[int, float]:
    """AdamW with decay on matrices, clipped gradients, a linear rise and fall of the rate; returns
    the mean loss since the last metrics of each step that tells them."""
    train = full_trial().train
    matrices = [tensor for tensor in parameters.values() if tensor.ndim == 2]
    others = [tensor for tensor in parameters.values() if tensor.ndim != 2]
    optimizer = torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": train.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ],
        betas=(train.adam_beta1, train.adam_beta2),
        eps=train.adam_epsilon,
    )
    order = permutation(split.rows, full_trial().seed, "order", 0)
    losses: list[float] = []
    for done in range(STEPS):
        # ceil(0.1 · 8) = 1 step of warm-up.
        rate = 0.0 if done == 0 else train.learning_rate * (STEPS - done) / (STEPS - 1)
        for group in optimizer.param_groups:
            group["lr"] = rate
        rows = order[done * train.batch_size : (done + 1) * train.batch_size]
        value = F.cross_entropy(
            plain_logits(model, parameters, chosen(split, rows), padding=0), split.labels[rows]
        )
        optimizer.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(list(parameters.values()), train.max_grad_norm)
        optimizer.step()
        losses.append(value.item())
    return {5: sum(losses[:5]) / 5, 8: sum(losses[5:]) / 3}


def chosen(split: Split, rows: Tensor) -> Split:
    pieces = [slice(int(split.offsets[row]), int(split.offsets[row + 1])) for row in rows]
    ids, types = (
        torch.cat([tokens[piece] for piece in pieces])
        for tokens in (split.input_ids, split.token_type_ids)
    )
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), split.lengths[rows].cumsum(0)])
    return Split(split.name, ids, types, offsets, split.labels[rows])


def test_a_stopped_training_goes_on_to_the_same_bits(
    trained: tuple[Path, Engine, Recorder], cola: Path, backbone_path: str, tmp_path: Path
) -> None:
    engine, told = Engine(fresh_root(cola, tmp_path / "root"), threads=1), Recorder()
    engine.run(spec(backbone_path, [full_trial()], prune=PRUNE), Recorder())
    engine.run(spec(backbone_path, [full_trial()], train=train_work(until_step=3)), Recorder())
    engine.run(spec(backbone_path, [full_trial()], train=train_work()), told)
    assert min(step for _, _, step in told.metric_values) > 3
    assert told.artifacts["full"][0].digest == trained[2].artifacts["full"][0].digest


def test_an_adapter_trained_afterwards_has_the_bits_that_it_has_alone(
    trained: tuple[Path, Engine, Recorder], cola: Path, backbone_path: str, tmp_path: Path
) -> None:
    roots = {"after": trained[0], "alone": fresh_root(cola, tmp_path / "root")}
    engines = {"after": trained[1], "alone": Engine(roots["alone"], threads=1)}
    for engine in engines.values():
        for work in ({"prune": PRUNE}, {"train": train_work()}):
            engine.run(spec(backbone_path, [trial("houlsby", total_steps=2)], **work), Recorder())
    after, alone = (weights(root, "houlsby") for root in roots.values())
    assert after.keys() == alone.keys()
    assert all(torch.equal(after[name], alone[name]) for name in alone)
