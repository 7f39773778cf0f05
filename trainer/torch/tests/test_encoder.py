"""The packed encoder computes what Transformers computes, without a padded token."""

from pathlib import Path

import pytest
import torch
from engine_support import adapter
from sparse_adapter.trainer.v1 import job_pb2
from torch import Tensor
from transformers import AutoModel

from sparse_adapter_engine.backbones.encoder.encoder import Encoder
from sparse_adapter_engine.backbones.encoder.forward import forward
from sparse_adapter_engine.backbones.encoder.loading import load_encoder
from sparse_adapter_engine.backbones.encoder.packed_encoder import PackedTrials, encode
from sparse_adapter_engine.backbones.finite import require_finite
from sparse_adapter_engine.data.rows import Split
from sparse_adapter_engine.errors import JobFailed
from sparse_adapter_engine.modules.layout import initialize, layout
from sparse_adapter_engine.modules.sites import Site
from sparse_adapter_engine.modules.trial_modules import TrialModules
from sparse_adapter_engine.tasks.part import Part


def ragged(vocabulary: int, token_types: int, seed: int = 0) -> Split:
    """19 rows of 1 to 45 tokens."""
    random = torch.Generator().manual_seed(seed)
    lengths = torch.tensor([1, 2, 3, 45, 45, 7, 7, 7, 12, 30, 31, 5, 9, 9, 16, 17, 40, 2, 23])
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
    tokens = int(offsets[-1])
    ids = torch.randint(5, vocabulary, (tokens,), generator=random)
    types = torch.randint(0, token_types, (tokens,), generator=random)
    return Split(
        "ragged", ids, types, offsets, torch.randint(0, 2, (lengths.numel(),), generator=random)
    )


def padded(split: Split, padding: int) -> dict[str, Tensor]:
    """The same rows as Transformers takes them."""
    pieces = [
        slice(int(a), int(b)) for a, b in zip(split.offsets[:-1], split.offsets[1:], strict=True)
    ]

    def pad(rows: list[Tensor], value: int) -> Tensor:
        return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=value)

    return {
        "input_ids": pad([split.input_ids[piece] for piece in pieces], padding),
        "token_type_ids": pad([split.token_type_ids[piece] for piece in pieces], 0),
        "attention_mask": pad([torch.ones_like(split.input_ids[piece]) for piece in pieces], 0),
    }


def test_first_tokens_states_of_bert_equal_transformers_on_ragged_rows(backbone_path: str) -> None:
    check_equals_transformers(backbone_path, padding=0)


def test_first_tokens_states_of_roberta_equal_transformers_on_ragged_rows(
    tiny_roberta: Path,
) -> None:
    check_equals_transformers(str(tiny_roberta), padding=1)


def check_equals_transformers(path: str, padding: int) -> None:
    backbone = load_encoder(path, torch.device("cpu"))
    split = ragged(backbone.vocabulary, backbone.token_types)
    pack = split.pack(torch.arange(split.rows))
    with torch.no_grad():
        expected = AutoModel.from_pretrained(path)(**padded(split, padding)).last_hidden_state
        (first,) = encode(backbone, PackedTrials([pack]), [Bare()])
        (every,) = encode(backbone, PackedTrials([pack]), [Bare()], every_token=True)
    assert (first - expected[pack.order, 0]).abs().max() < 1e-5
    assert (
        every - torch.cat([expected[row, : split.lengths[row]] for row in pack.order])
    ).abs().max() < 1e-5


class Bare:
    """No module, no dropout."""

    sites: frozenset[Site] = frozenset()

    def adapt(self, site: Site, layer: int, output: Tensor, *inputs: Tensor) -> Tensor:
        raise AssertionError(f"asked at {site}, where it has nothing")

    def prefix(self, layer: int) -> None:
        return None

    attention_dropout = prefix


def test_only_a_bert_with_a_pooler_gives_it_to_the_head(
    backbone_path: str, tiny_roberta: Path
) -> None:
    pooler = load_encoder(backbone_path, torch.device("cpu")).pooler
    assert pooler is not None
    assert torch.equal(pooler[0], AutoModel.from_pretrained(backbone_path).pooler.dense.weight)
    assert load_encoder(str(tiny_roberta), torch.device("cpu")).pooler is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_backbone_whose_weights_are_not_finite_is_refused_with_the_tensor(
    dtype: torch.dtype, tiny_roberta: Path, tmp_path: Path
) -> None:
    model = AutoModel.from_pretrained(tiny_roberta).to(dtype)
    with torch.no_grad():
        model.encoder.layer[1].output.dense.weight[3, :2] = torch.tensor([torch.inf, -torch.inf])
    model.save_pretrained(tmp_path)
    said = r"2 of \d+ values of its tensor encoder.layer.1.output.dense.weight are NaN or infinite"
    with pytest.raises(JobFailed, match=said):
        load_encoder(str(tmp_path), torch.device("cpu"))


def test_a_buffer_that_is_saved_is_a_weight() -> None:
    model = torch.nn.Module()
    model.register_buffer("final_logits_bias", torch.tensor([0.0, torch.nan]))
    model.register_buffer("scratch", torch.tensor([torch.nan]), persistent=False)
    model.register_buffer("positions", torch.arange(3))
    with pytest.raises(JobFailed, match="1 of 2 values of its tensor final_logits_bias"):
        require_finite("here", model)


def test_a_pooler_that_nothing_reads_may_have_any_values(
    tiny_roberta: Path, tmp_path: Path
) -> None:
    model = AutoModel.from_pretrained(tiny_roberta, add_pooling_layer=True)
    with torch.no_grad():
        model.pooler.dense.weight.fill_(torch.nan)
    model.save_pretrained(tmp_path)
    load_encoder(str(tmp_path), torch.device("cpu"))


def test_large_weights_are_finite_although_their_sum_is_not(
    tiny_roberta: Path, tmp_path: Path
) -> None:
    model = AutoModel.from_pretrained(tiny_roberta)
    with torch.no_grad():
        model.embeddings.word_embeddings.weight[:2] = torch.finfo(torch.float32).max
    model.save_pretrained(tmp_path)
    load_encoder(str(tmp_path), torch.device("cpu"))


def test_no_gradient_is_computed_below_the_first_trained_module(minilm: Encoder) -> None:
    asked = adapter("none", "sequential", width=4)
    shapes = layout(asked, minilm, num_labels=2).shapes
    tensors = {
        name: t.requires_grad_()
        for name, t in initialize(job_pb2.Trial(seed=4, adapter=asked), shapes, None).items()
    }
    seen: list[bool] = []

    class Watching(TrialModules):
        def adapt(self, site: Site, layer: int, output: Tensor, *inputs: Tensor) -> Tensor:
            seen.append(output.requires_grad)
            return super().adapt(site, layer, output, *inputs)

    split = ragged(minilm.vocabulary, minilm.token_types)
    forward(
        minilm,
        [Part(0, split.pack(torch.arange(split.rows)), Watching(asked, tensors, dropout=None))],
        job_pb2.TASK_KIND_CLASSIFICATION,
    )
    assert seen == [False] + [True] * 5
