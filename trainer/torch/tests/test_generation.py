"""Encoder–decoders with adapters generate as Transformers does."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from counting_support import WAITING, Counting
from encoder_decoder_reference import Plain, generated
from encoder_decoder_support import (
    CASES,
    FAMILIES,
    FORMS,
    SEED_SETTINGS,
    drawn,
    find_form,
    pair,
    random_pairs,
)
from sparse_adapter.trainer.v1 import job_pb2
from transformers import AutoModelForSeq2SeqLM

from sparse_adapter_engine.backbones.encoder_decoder import generation
from sparse_adapter_engine.backbones.encoder_decoder.encoder_decoder import EncoderDecoder
from sparse_adapter_engine.backbones.encoder_decoder.loading import load_encoder_decoder
from sparse_adapter_engine.data.length_groups import ONE_GROUP
from sparse_adapter_engine.modules.forms import prompt_length
from sparse_adapter_engine.modules.trial_modules import TrialModules


@pytest.mark.parametrize(("family", "form"), CASES)
def test_beams_give_what_transformers_generate_gives_each_row_alone_without_a_cache(
    family: str,
    form: str,
    encoder_decoder_paths: dict[str, Path],
    encoder_decoders: dict[str, EncoderDecoder],
) -> None:
    asked, backbone, split = find_form(form), encoder_decoders[family], random_pairs(rows=3)
    tensors = {name: tensor.detach() for name, tensor in drawn(asked, backbone).items()}
    plain = Plain(encoder_decoder_paths[family], asked, tensors)
    settings = job_pb2.Generation(
        beams=3, min_length=2, max_length=5, no_repeat_ngram=2, length_penalty=2.0
    )
    expected = [
        generated(
            plain.model,
            settings,
            use_cache=False,
            encoder_outputs=plain.encoded(pair(split, row)[0]),
        )
        for row in range(3)
    ]
    pack = split.pack(torch.arange(3), prompt_length(asked), group_tokens=ONE_GROUP)
    found = backbone.generate(pack, TrialModules(asked, tensors, dropout=None), settings)
    assert [row.tolist() for row in found] == [expected[row][0] for row in pack.order]


@pytest.mark.parametrize("family", FAMILIES)
def test_generation_equals_transformers_own_on_the_unadapted_model_and_on_merged_weights(
    family: str, encoder_decoder_paths: dict[str, Path], encoder_decoders: dict[str, EncoderDecoder]
) -> None:
    backbone, asked, split = encoder_decoders[family], FORMS["lora"], random_pairs(rows=8, seed=3)
    merged = {name: tensor.detach() for name, tensor in drawn(asked, backbone).items()}
    neutral = {
        name: tensor if name.endswith("down.weight") else torch.zeros_like(tensor)
        for name, tensor in merged.items()
    }
    texts = []
    for tensors in (neutral, merged):
        pack = split.pack(torch.arange(8), group_tokens=ONE_GROUP)
        own = AutoModelForSeq2SeqLM.from_pretrained(encoder_decoder_paths[family]).eval()
        with torch.no_grad():
            for name, module in own.named_modules():
                at = contract_name(name)
                if at is not None:
                    module.weight += (
                        asked.lora_alpha
                        / 4
                        * tensors[f"{at}.up.weight"]
                        @ tensors[f"{at}.down.weight"]
                    )
        expected = generated(
            own,
            SEED_SETTINGS,
            input_ids=pack.groups[0].input_ids,
            attention_mask=pack.groups[0].attended,
            use_cache=family == "bart",
        )
        found = backbone.generate(pack, TrialModules(asked, tensors, dropout=None), SEED_SETTINGS)
        texts.append([row.tolist() for row in found])
        assert texts[-1] == expected
        assert all(3 <= len(row) <= 9 for row in expected)
    assert texts[0] != texts[1]


def contract_name(name: str) -> str | None:
    """What Adapter of job.proto calls a linear module of Transformers' that LoRA changes."""
    parts = name.removeprefix("model.").split(".")
    bart = {
        "self_attn.q_proj": "query",
        "self_attn.v_proj": "value",
        "encoder_attn.q_proj": "cross_query",
    }
    bart |= {"encoder_attn.v_proj": "cross_value", "fc1": "ffn_in", "fc2": "ffn_out"}
    t5 = {
        "SelfAttention.q": "query",
        "SelfAttention.v": "value",
        "EncDecAttention.q": "cross_query",
        "EncDecAttention.v": "cross_value",
    }
    t5 |= {
        "DenseReluDense.wi": "ffn_in",
        "DenseReluDense.wi_1": "ffn_in",
        "DenseReluDense.wo": "ffn_out",
    }
    found = bart.get(".".join(parts[3:])) or t5.get(".".join(parts[5:]))
    return f"{parts[0]}.layers.{parts[2]}.{found}" if found else None


@pytest.mark.parametrize("family", FAMILIES)
def test_the_models_files_add_no_setting_to_generation(
    family: str,
    encoder_decoder_paths: dict[str, Path],
    encoder_decoders: dict[str, EncoderDecoder],
    tmp_path: Path,
) -> None:
    path = Path(shutil.copytree(encoder_decoder_paths[family], tmp_path / family))
    own = {
        "num_beams": 2,
        "no_repeat_ngram_size": 1,
        "forced_bos_token_id": 7,
        "forced_eos_token_id": 2,
        "early_stopping": True,
    }
    for name in ("config.json", "generation_config.json"):
        (path / name).write_text(json.dumps(json.loads((path / name).read_text()) | own))
    pack = random_pairs().pack(torch.arange(4), group_tokens=ONE_GROUP)
    modules = TrialModules(
        FORMS["prefix"], drawn(FORMS["prefix"], encoder_decoders[family]), dropout=None
    )
    asked = job_pb2.Generation(
        beams=3, min_length=0, max_length=9, no_repeat_ngram=0, length_penalty=0.5
    )
    found, expected = (
        [row.tolist() for row in model.generate(pack, modules, asked)]
        for model in (
            load_encoder_decoder(str(path), torch.device("cpu")),
            encoder_decoders[family],
        )
    )
    assert found == expected


SETTINGS = [
    # beams, least, most, n-gram, length penalty
    (1, 0, 12, 0, 1.0),
    (1, 4, 9, 2, 1.0),
    (2, 0, 12, 1, 0.0),
    (4, 3, 12, 2, -1.0),
    (5, 0, 7, 3, 2.0),
    (6, 12, 12, 4, 1.0),
]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("beams", "least", "most", "ngram", "penalty"), SETTINGS)
@pytest.mark.parametrize("every", [1, 5])
def test_padded_rows_give_transformers_tokens_however_seldom_the_end_is_asked_for(
    family: str,
    beams: int,
    least: int,
    most: int,
    ngram: int,
    penalty: float,
    every: int,
    encoder_decoder_paths: dict[str, Path],
    encoder_decoders: dict[str, EncoderDecoder],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backbone = encoder_decoders[family]
    # An end that is likely enough for texts to have it at different places.
    own = AutoModelForSeq2SeqLM.from_pretrained(encoder_decoder_paths[family]).eval()
    more = (
        torch.nn.functional.one_hot(torch.tensor(2), 120)
        * {"bart": 12, "t5": 2, "gated t5": 3}[family]
    )
    own.lm_head.register_forward_hook(lambda _, args, output: output + more)
    words = backbone._words
    monkeypatch.setattr(backbone, "_words", lambda hidden: words(hidden) + more)
    monkeypatch.setattr(generation, "_asks", lambda step, device: step % every == every - 1)
    pack = random_pairs(rows=7, seed=9).pack(torch.arange(7), group_tokens=ONE_GROUP)
    asked = job_pb2.Generation(
        beams=beams,
        min_length=least,
        max_length=most,
        no_repeat_ngram=ngram,
        length_penalty=penalty,
    )
    inputs = {"input_ids": pack.groups[0].input_ids, "attention_mask": pack.groups[0].attended}
    expected = generated(own, asked, **inputs, use_cache=family == "bart")
    modules = TrialModules(job_pb2.Adapter(), {"none": torch.zeros(0)}, dropout=None)
    found = [row.tolist() for row in backbone.generate(pack, modules, asked)]
    assert found == expected
    if family != "bart" and beams == 4:
        assert len({len(row) for row in found}) > 2


@pytest.mark.parametrize("family", FAMILIES)
def test_a_text_does_not_depend_on_the_rows_beside_it(
    family: str, encoder_decoders: dict[str, EncoderDecoder]
) -> None:
    backbone, split = encoder_decoders[family], random_pairs(rows=9, seed=11)
    modules = TrialModules(
        FORMS["mam"],
        {name: tensor.detach() for name, tensor in drawn(FORMS["mam"], backbone).items()},
        dropout=None,
    )
    texts = []
    for rows in (9, 4, 1):
        found: dict[int, list[int]] = {}
        for some in torch.arange(9).split(rows):
            pack = split.pack(some, group_tokens=ONE_GROUP)
            found |= zip(
                some[pack.order].tolist(),
                (row.tolist() for row in backbone.generate(pack, modules, SEED_SETTINGS)),
                strict=True,
            )
        texts.append(found)
    assert texts[0] == texts[1] == texts[2]


class Guessing:
    """A decoder that says anything."""

    device = torch.device("cpu")

    def __init__(self) -> None:
        self._random = torch.Generator().manual_seed(8)

    def next(self, tokens: torch.Tensor) -> torch.Tensor:
        return torch.randn(len(tokens), 50, generator=self._random)

    def reorder(self, beams: torch.Tensor) -> None: ...


@pytest.mark.parametrize("beams", [1, 3])
def test_a_search_waits_for_the_device_only_where_it_asks(
    beams: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = generation.Settings(
        beams, least=3, most=9, no_repeat_ngram=2, length_penalty=1.0, start=1, ends=(2, 4)
    )
    asked = []
    monkeypatch.setattr(generation, "_asks", lambda step, device: asked.append(step))
    with Counting() as counting:
        (generation._beam_search if beams > 1 else generation._greedy_search)(
            Guessing(), 4, settings
        )
    assert len(asked) >= 8
    # Indices that a list is made into would be copied to the device.
    assert not [
        name for name in [*WAITING, "aten::index_put_", "aten::index"] if counting.seen[name]
    ]
    monkeypatch.undo()
    every = [step for step in range(32) if generation._asks(step, torch.device("cuda"))]
    assert every == [7, 15, 23, 31]
