"""What a request for summarization is refused for, and with which field."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from encoder_decoder_support import FORMS, ONLY_BART, SEED_SETTINGS, SUMMARIZATION
from engine_support import adapter, trial
from server_support import IdleEngine, make_root, valid_request
from sparse_adapter.trainer.v1 import job_pb2, trainer_pb2

from sparse_adapter_trainer.capabilities import describe
from sparse_adapter_trainer.validation import invalid_fields, unmet_preconditions


def request(
    root: Path, config: dict[str, object], asked: job_pb2.Adapter | None = None
) -> trainer_pb2.SubmitJobRequest:
    """A predict job for summarization, all files of which are there, on a backbone with this
    config.json.
    """
    found: trainer_pb2.SubmitJobRequest = valid_request(root)
    found.spec.dataset.task_kind, found.spec.dataset.num_labels = SUMMARIZATION, 0
    found.spec.predict.CopyFrom(
        job_pb2.PredictWork(splits=["validation"], generation=SEED_SETTINGS)
    )
    if asked is not None:
        found.spec.trials[0].adapter.CopyFrom(asked)
    found.spec.trials[0].prune.pruner, found.spec.trials[0].prune.sparsity = job_pb2.PRUNER_NONE, 0
    (root / "backbone" / "config.json").write_text(json.dumps(config))
    adapter_file = (
        root / "trials" / found.spec.trials[0].trial_id / "adapter" / "adapter_model.safetensors"
    )
    adapter_file.parent.mkdir(parents=True)
    adapter_file.touch()
    return found


BART = {
    "model_type": "bart",
    "d_model": 32,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 62,
    "max_position_embeddings": 40,
}
T5 = {"model_type": "t5", "d_model": 32, "d_ff": 64, "num_heads": 4, "d_kv": 8}
GATED_T5 = T5 | {"d_kv": 6, "feed_forward_proj": "gated-gelu"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_root(tmp_path)
    return tmp_path


def unmet(asked: trainer_pb2.SubmitJobRequest, root: Path) -> dict[str, str]:
    assert not invalid_fields(asked)
    able = describe(IdleEngine(["bert", "roberta", "bart", "t5"]), root, 4)
    return {each.field: each.description for each in unmet_preconditions(asked.spec, able, root)}


@pytest.mark.parametrize("config", [BART, T5, GATED_T5])
@pytest.mark.parametrize("form", ["houlsby", "lora", "prefix"])
def test_a_request_for_summarization_on_an_encoder_decoder_has_no_violation(
    config: dict[str, object], form: str, root: Path
) -> None:
    assert unmet(request(root, config, FORMS[form]), root) == {}


def test_synflow_of_lora_beside_an_attention_of_another_width_than_the_model_is_refused(
    root: Path,
) -> None:
    asked = request(root, GATED_T5, FORMS["lora"])
    asked.spec.trials[0].prune.CopyFrom(trial("t", pruner="synflow", sparsity=0.5).prune)
    says = (
        "is SYNFLOW, whose chain adds what LORA gives, 24 wide, to the hidden state, 32 wide; "
        "take another pruner"
    )
    assert unmet(asked, root) == {"spec.trials[0].prune.pruner": says}
    (root / "backbone" / "config.json").write_text(json.dumps(T5))
    assert unmet(asked, root) == {}


@pytest.mark.parametrize(
    ("change", "field", "says"),
    [
        (
            lambda s: setattr(s.dataset, "num_labels", 2),
            "spec.dataset.num_labels",
            "2 is not 0, as summarization needs",
        ),
        (
            lambda s: setattr(s.predict.generation, "beams", 0),
            "spec.predict.generation.beams",
            "0 is not at least 1",
        ),
        (
            lambda s: setattr(s.predict.generation, "max_length", 0),
            "spec.predict.generation.max_length",
            "0 is not at least 1",
        ),
        (
            lambda s: setattr(s.predict.generation, "min_length", 10),
            "spec.predict.generation.min_length",
            "10 is more than max_length, 9",
        ),
        (
            lambda s: setattr(s.predict.generation, "length_penalty", float("nan")),
            "spec.predict.generation.length_penalty",
            "NaN is not a number",
        ),
        (
            lambda s: setattr(s.trials[0].train, "label_smoothing", 1.0),
            "spec.trials[0].train.label_smoothing",
            "1 is not in [0, 1)",
        ),
        (
            lambda s: s.trials[0].adapter.CopyFrom(adapter("none", "none")),
            "spec.trials[0].adapter.attention",
            "is NONE, like ffn and unfrozen; summarization has no head, so that nothing would be "
            "trained",
        ),
    ],
)
def test_a_bad_field_is_named_by_its_path(
    change: Callable[[job_pb2.JobSpec], None], field: str, says: str, root: Path
) -> None:
    asked = request(root, BART)
    change(asked.spec)
    assert {each.field: each.description for each in invalid_fields(asked)} == {field: says}


@pytest.mark.parametrize(
    ("config", "asked", "field", "says"),
    [
        (
            BART,
            adapter("none", "none", unfrozen="UNFROZEN_ALL"),
            "adapter.unfrozen",
            "is ALL, or unfrozen_tensors is set; an encoder–decoder's own tensors are not trained",
        ),
        (
            T5,
            adapter("none", "none", unfrozen="UNFROZEN_BIASES"),
            "adapter.unfrozen",
            "is BIASES; T5 has none",
        ),
        (
            T5,
            ONLY_BART["pfeiffer"],
            "adapter.ffn",
            "is AFTER_NORM, which is for blocks that normalize their sum",
        ),
        (
            BART,
            adapter("sequential", "none", width=129),
            "adapter.attention_bottleneck",
            "129 is more than 4 × the backbone's hidden size, 128",
        ),
    ],
)
def test_what_an_encoder_decoder_does_not_take_is_refused(
    config: dict[str, object], asked: job_pb2.Adapter, field: str, says: str, root: Path
) -> None:
    ((path, description),) = unmet(request(root, config, asked), root).items()
    assert path == f"spec.trials[0].{field}"
    assert description.startswith(says)


def test_the_task_and_the_backbone_go_together(root: Path) -> None:
    asked = request(root, {"model_type": "roberta", "hidden_size": 384})
    assert unmet(asked, root)["spec.backbone.path"].endswith(
        "type 'roberta'; SUMMARIZATION needs an encoder–decoder: bart, t5"
    )
    (root / "backbone" / "config.json").write_text(json.dumps(BART))
    asked.spec.dataset.task_kind, asked.spec.dataset.num_labels = (
        job_pb2.TASK_KIND_CLASSIFICATION,
        2,
    )
    assert (
        "an encoder–decoder; it is for SUMMARIZATION, and the data set is for CLASSIFICATION"
        in unmet(asked, root)["spec.backbone.path"]
    )


def test_texts_beyond_the_backbones_positions_and_groups_that_misfit_its_decoder_are_refused(
    root: Path,
) -> None:
    asked = request(root, BART, FORMS["lora"])
    asked.spec.predict.generation.max_length = 41
    assert unmet(asked, root) == {
        "spec.predict.generation.max_length": (
            "41 is more than the 40 positions that the backbone has"
        )
    }
    asked.spec.prune.SetInParent()
    prune = {
        "structure": "MASK_STRUCTURE_N_M",
        "group_kept": 2,
        "group_size": 4,
        "sparsity": 0.5,
        "scope": "PRUNE_SCOPE_LOCAL",
    }
    asked.spec.trials[0].prune.CopyFrom(trial("t", pruner="mag").prune)
    asked.spec.trials[0].prune.MergeFrom(job_pb2.Prune(**prune))
    says = (
        "4 does not divide the 62 columns of decoder.layers.0.ffn_out.down.weight; every "
        "prunable matrix has a multiple of it"
    )
    assert unmet(asked, root) == {"spec.trials[0].prune.group_size": says}
