"""What a trainer says of a request that is wrong."""

import json
import math
from pathlib import Path

import grpc
import pytest
from server_support import (
    IdleEngine,
    fields,
    make_root,
    short_folder,
    tiny_trainer,
    valid_request,
    valid_trial,
)
from sparse_adapter.trainer.v1 import capabilities_pb2, job_pb2, trainer_pb2

from sparse_adapter_trainer.capabilities import describe
from sparse_adapter_trainer.validation import bad_request, invalid_fields, unmet_preconditions

Request = trainer_pb2.SubmitJobRequest
N_M = {
    "structure": "MASK_STRUCTURE_N_M",
    "group_kept": 2,
    "group_size": 4,
    "sparsity": 0.5,
    "scope": "PRUNE_SCOPE_LOCAL",
}
UNITS = {"structure": "MASK_STRUCTURE_UNITS"}
OFFICIAL = {"rules": "MASK_RULES_OFFICIAL"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_root(tmp_path)
    return tmp_path


def invalid(request: Request) -> dict[str, str]:
    return {each.field: each.description for each in invalid_fields(request)}


def unmet(request: Request, root: Path) -> dict[str, str]:
    capabilities: capabilities_pb2.Capabilities = describe(IdleEngine(), root, 4)
    return {
        each.field: each.description
        for each in unmet_preconditions(request.spec, capabilities, root)
    }


def test_a_valid_request_has_no_violation(root):
    assert invalid(valid_request(root)) == {}
    assert unmet(valid_request(root), root) == {}


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("adapter.ffn_bottleneck", 0, "0 is not at least 1"),
        ("adapter.scale", 0.0, "0 is not a number above 0"),
        ("adapter.init_std", math.nan, "NaN is not a number above 0"),
        (
            "adapter.norm",
            0,
            "is not set; it is one of ADAPTER_NORM_NONE, ADAPTER_NORM_BEFORE, ADAPTER_NORM_AFTER, "
            "ADAPTER_NORM_UPDATE",
        ),
        (
            "adapter.activation",
            99,
            "99 is not one of ACTIVATION_RELU, ACTIVATION_GELU, ACTIVATION_SWISH",
        ),
        ("prune.sparsity", 1.2, "1.2 is not in [0, 1)"),
        ("prune.sparsity", 1.0, "1 is not in [0, 1)"),
        ("prune.sparsity", math.nan, "NaN is not in [0, 1)"),
        ("prune.scoring_rows", 0, "0 is not at least 1"),
        ("train.batch_size", 0, "0 is not at least 1"),
        ("train.total_steps", 0, "0 is not at least 1"),
        ("train.learning_rate", math.inf, "Infinity is not a number above 0"),
        ("train.weight_decay", -0.1, "-0.1 is not a number of at least 0"),
        ("train.warmup", 1.0, "1 is not in [0, 1)"),
        ("train.adam_beta2", 1.0, "1 is not in [0, 1)"),
        ("train.dropout", -0.5, "-0.5 is not in [0, 1)"),
        ("trial_id", "../x", "'../x' is not 1 to 64 characters of a-z, 0-9 and '-'"),
        ("trial_id", "a/b", "'a/b' is not 1 to 64 characters of a-z, 0-9 and '-'"),
        ("trial_id", "", "'' is not 1 to 64 characters of a-z, 0-9 and '-'"),
    ],
)
def test_a_bad_field_of_a_trial_is_named_by_its_path(root, path, value, says):
    request = valid_request(root, trials=3)
    message = request.spec.trials[2]
    *parents, name = path.split(".")
    for parent in parents:
        message = getattr(message, parent)
    setattr(message, name, value)
    assert invalid(request) == {f"spec.trials[2].{path}": says}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda r: setattr(r, "job_id", "../x"), "job_id"),
        (lambda r: setattr(r, "job_id", "a\n"), "job_id"),
        (lambda r: setattr(r, "spec_digest", "abc"), "spec_digest"),
        (lambda r: setattr(r.spec.dataset, "name", "/etc"), "spec.dataset.name"),
        (lambda r: setattr(r.spec.dataset, "name", "datasets/../x"), "spec.dataset.name"),
        (lambda r: setattr(r.spec.dataset, "num_labels", 1), "spec.dataset.num_labels"),
        (lambda r: setattr(r.spec.backbone, "path", "../backbone"), "spec.backbone.path"),
        (lambda r: setattr(r.spec.backbone, "digest", ""), "spec.backbone.digest"),
        (lambda r: r.spec.ClearField("trials"), "spec.trials"),
        (lambda r: r.spec.trials.append(valid_trial("t0")), "spec.trials[1].trial_id"),
        (lambda r: r.spec.ClearField("work"), "spec"),
        (lambda r: r.spec.predict.splits.append("../../x"), "spec.predict.splits[0]"),
        (lambda r: r.spec.predict.SetInParent(), "spec.predict.splits"),
        (
            lambda r: r.spec.train.CopyFrom(job_pb2.TrainWork(keep_checkpoints=1)),
            "spec.train.log_every_steps",
        ),
        (
            lambda r: setattr(r.spec.trials[0].prune, "pruner", job_pb2.PRUNER_NONE),
            "spec.trials[0].prune.sparsity",
        ),
    ],
)
def test_every_other_bad_field_is_named_by_its_path(root, change, field):
    request = valid_request(root)
    change(request)
    assert list(invalid(request)) == [field]


def test_a_field_that_a_form_does_not_use_is_ignored(root):
    request = valid_request(root)
    adapter = request.spec.trials[0].adapter
    adapter.attention = job_pb2.ATTENTION_MODULE_NONE
    adapter.attention_bottleneck = 10**6
    adapter.lora_alpha = -1
    request.spec.trials[0].prune.CopyFrom(job_pb2.Prune(pruner=job_pb2.PRUNER_NONE))
    assert invalid(request) == unmet(request, root) == {}


def test_trials_of_a_cohort_may_have_different_adapters(root):
    request = valid_request(root, trials=2)
    request.spec.trials[1].adapter.ffn = job_pb2.FFN_MODULE_AFTER_NORM
    assert invalid(request) == unmet(request, root) == {}


@pytest.mark.parametrize(
    ("adapter", "prune", "field"),
    [
        (
            {"attention": "ATTENTION_MODULE_LORA", "ffn": "FFN_MODULE_NONE", "lora_alpha": 0},
            {},
            "adapter.lora_alpha",
        ),
        ({"ffn_bottleneck": 0}, {}, "adapter.ffn_bottleneck"),
        ({"unfrozen": "UNFROZEN_BIASES"}, {}, "adapter.unfrozen"),
        (
            {"attention": "ATTENTION_MODULE_PREFIX", "ffn": "FFN_MODULE_NONE", "init_std": 0},
            {"pruner": "PRUNER_NONE"},
            "adapter.init_std",
        ),
        ({"attention": "ATTENTION_MODULE_PREFIX", "ffn": "FFN_MODULE_NONE"}, {}, "prune.pruner"),
        (
            {"attention": "ATTENTION_MODULE_PROMPT", "attention_bottleneck": 0},
            {},
            "adapter.attention_bottleneck",
        ),
        (
            {"attention": "ATTENTION_MODULE_PROMPT", "init": "ADAPTER_INIT_ZERO_UP", "init_std": 0},
            {},
            "adapter.init_std",
        ),
        ({"attention": "ATTENTION_MODULE_PROMPT", "ffn": "FFN_MODULE_NONE"}, {}, "prune.pruner"),
        (
            {
                "attention": "ATTENTION_MODULE_NONE",
                "ffn": "FFN_MODULE_NONE",
                "unfrozen": "UNFROZEN_BIASES",
            },
            {},
            "prune.pruner",
        ),
        (
            {
                "attention": "ATTENTION_MODULE_NONE",
                "ffn": "FFN_MODULE_NONE",
                "unfrozen": "UNFROZEN_ALL",
            },
            {},
            "prune.pruner",
        ),
        ({}, {"rounds": 0}, "prune.rounds"),
        ({}, {"control": 0}, "prune.control"),
        ({}, {"pruner": "PRUNER_GRASP"}, "prune.temperature"),
        ({}, {"pruner": "PRUNER_ER", "scope": "PRUNE_SCOPE_LOCAL"}, "prune.scope"),
        (
            {},
            {"pruner": "PRUNER_MAG", "rounds": 3, "schedule": "PRUNE_SCHEDULE_LINEAR"},
            "prune.rounds",
        ),
        ({}, {"rounds": 3}, "prune.schedule"),
        ({}, N_M | {"group_size": 1}, "prune.group_size"),
        ({}, N_M | {"group_kept": 0}, "prune.group_kept"),
        ({}, N_M | {"group_kept": 4}, "prune.group_kept"),
        ({}, N_M | {"group_kept": 1}, "prune.sparsity"),
        ({}, N_M | {"scope": "PRUNE_SCOPE_GLOBAL"}, "prune.scope"),
        ({}, N_M | {"rounds": 2, "schedule": "PRUNE_SCHEDULE_CUBIC"}, "prune.rounds"),
        ({}, UNITS | {"pruner": "PRUNER_ER"}, "prune.structure"),
        ({}, OFFICIAL | {"structure": "MASK_STRUCTURE_UNITS"}, "prune.structure"),
        ({}, OFFICIAL | N_M, "prune.structure"),
        ({}, OFFICIAL | {"pruner": "PRUNER_ER"}, "prune.pruner"),
        ({}, OFFICIAL | {"pruner": "PRUNER_GRADIENT", "scoring_rows": 8}, "prune.pruner"),
        ({}, {"pruner": "PRUNER_GRADIENT", "scoring_rows": 0}, "prune.scoring_rows"),
        (
            {"attention": "ATTENTION_MODULE_LORA", "lora_alpha": 8},
            OFFICIAL | {"pruner": "PRUNER_SYNFLOW"},
            "prune.rules",
        ),
        ({}, OFFICIAL | {"pruner": "PRUNER_GRASP", "temperature": 200}, "prune.temperature"),
        ({"norm": "ADAPTER_NORM_AFTER"}, OFFICIAL | {"pruner": "PRUNER_SYNFLOW"}, "prune.rules"),
    ],
)
def test_what_does_not_fit_together_is_named_by_its_path(root, adapter, prune, field):
    request = valid_request(root)
    trial = request.spec.trials[0]
    trial.adapter.MergeFrom(job_pb2.Adapter(**adapter))
    trial.prune.MergeFrom(job_pb2.Prune(**prune))
    for message, values in ((trial.adapter, adapter), (trial.prune, prune)):
        for name in (name for name, value in values.items() if value == 0):
            message.ClearField(name)
    if prune.get("pruner") == "PRUNER_NONE":
        trial.prune.ClearField("sparsity")
    assert list(invalid(request)) == [f"spec.trials[0].{field}"]


def test_full_fine_tuning_is_the_only_trial_of_its_job(root):
    request = valid_request(root, trials=2)
    full = request.spec.trials[1]
    full.adapter.CopyFrom(
        job_pb2.Adapter(
            attention="ATTENTION_MODULE_NONE", ffn="FFN_MODULE_NONE", unfrozen="UNFROZEN_ALL"
        )
    )
    full.prune.CopyFrom(job_pb2.Prune(pruner=job_pb2.PRUNER_NONE))
    says = "is ALL in a job of 2 trials; full fine-tuning is the only trial of its job"
    assert invalid(request) == {"spec.trials[1].adapter.unfrozen": says}
    del request.spec.trials[0]
    assert invalid(request) == unmet(request, root) == {}


@pytest.mark.parametrize(
    ("prune", "field", "says"),
    [
        (
            N_M | {"sparsity": 0.4},
            "sparsity",
            "0.4 is not 0.5, which is what 2 of 4 leaves: 1 − 2 / 4",
        ),
        (N_M | {"group_kept": 5}, "group_kept", "5 is not in [1, 4), 4 being group_size"),
        (
            OFFICIAL | {"pruner": "PRUNER_GRASP", "temperature": 2},
            "temperature",
            "2 is not 1, as OFFICIAL rules need",
        ),
        (
            OFFICIAL | {"pruner": "PRUNER_SYNFLOW"},
            "rules",
            "the scores of SYNFLOW are rounding errors",
        ),
        (
            OFFICIAL | {"every_steps": 5},
            "rules",
            "is not EXACT, as it is where every_steps, 5 here, asks for pruning during training",
        ),
    ],
)
def test_masks_that_nothing_can_make_are_refused_with_what_would_be_right(root, prune, field, says):
    request = valid_request(root)
    request.spec.trials[0].adapter.norm = job_pb2.ADAPTER_NORM_AFTER
    request.spec.trials[0].prune.MergeFrom(job_pb2.Prune(**prune))
    assert says in invalid(request)[f"spec.trials[0].prune.{field}"]


@pytest.mark.parametrize(
    "prune",
    [
        {"control": 99, "every_steps": 5, "rounds": 2},
        OFFICIAL | {"structure": 99},
        {"pruner": 99, "rounds": 2},
    ],
    ids=["control", "structure", "pruner"],
)
def test_a_value_that_the_contract_does_not_have_is_refused_beside_other_faults(root, prune):
    request = valid_request(root)
    for name, value in job_pb2.Prune(**prune).ListFields():
        setattr(request.spec.trials[0].prune, name.name, value)
    unknown = next(name for name, value in prune.items() if value == 99)
    assert f"spec.trials[0].prune.{unknown}" in invalid(request)


@pytest.mark.parametrize(
    "prune",
    [
        N_M,
        # 1 − 1 / 3 and 2 / 3 are two numbers in float64.
        N_M | {"group_kept": 1, "group_size": 3, "sparsity": 2 / 3},
        UNITS,
        UNITS | {"scope": "PRUNE_SCOPE_LOCAL", "rounds": 4, "schedule": "PRUNE_SCHEDULE_CUBIC"},
        OFFICIAL | {"pruner": "PRUNER_GRASP", "temperature": 1},
        OFFICIAL
        | {"pruner": "PRUNER_SYNFLOW", "rounds": 100, "schedule": "PRUNE_SCHEDULE_EXPONENTIAL"},
        # Each round scores anew.
        OFFICIAL | {"pruner": "PRUNER_RAND", "rounds": 3, "schedule": "PRUNE_SCHEDULE_LINEAR"},
    ],
)
def test_structures_and_rules_that_fit_have_no_violation(root, prune):
    request = valid_request(root)
    request.spec.trials[0].adapter.attention_bottleneck = request.spec.trials[
        0
    ].adapter.ffn_bottleneck = 24
    request.spec.trials[0].prune.MergeFrom(job_pb2.Prune(**prune))
    assert invalid(request) == unmet(request, root) == {}


def test_groups_that_do_not_divide_a_matrixs_columns_are_a_precondition(root):
    request = valid_request(root)
    request.spec.trials[0].adapter.ffn_bottleneck = 10
    request.spec.trials[0].prune.MergeFrom(job_pb2.Prune(**N_M))
    says = (
        "4 does not divide the 10 columns of layers.0.ffn.up.weight; every prunable matrix has a "
        "multiple of it"
    )
    assert unmet(request, root) == {"spec.trials[0].prune.group_size": says}
    request.spec.trials[0].adapter.ffn_bottleneck = 8
    (root / "backbone/config.json").write_text(
        json.dumps({"model_type": "bert", "hidden_size": 390})
    )
    assert (
        "the 390 columns of layers.0.attention.down.weight"
        in unmet(request, root)["spec.trials[0].prune.group_size"]
    )


def test_units_of_unequal_size_in_global_scope_are_a_precondition(root):
    request = valid_request(root)
    trial = request.spec.trials[0]
    trial.adapter.ffn, trial.adapter.lora_alpha = job_pb2.FFN_MODULE_LORA, 8
    trial.prune.MergeFrom(job_pb2.Prune(**UNITS))
    assert "config.json has no intermediate_size" in unmet(request, root)["spec.backbone.path"]
    (root / "backbone/config.json").write_text(
        json.dumps({"model_type": "bert", "hidden_size": 384, "intermediate_size": 1536})
    )
    says = (
        "is GLOBAL, which takes units of equal size; one of layers.0.attention has 768 weights, "
        "one of layers.0.ffn_in 1920: it is LOCAL"
    )
    assert unmet(request, root) == {"spec.trials[0].prune.scope": says}
    trial.prune.scope = job_pb2.PRUNE_SCOPE_LOCAL
    assert unmet(request, root) == {}
    trial.adapter.attention, trial.prune.scope = (
        job_pb2.ATTENTION_MODULE_NONE,
        job_pb2.PRUNE_SCOPE_GLOBAL,
    )
    assert unmet(request, root) == {}


@pytest.mark.parametrize(
    ("change", "field", "says"),
    [
        (
            lambda r: setattr(r.spec.backbone, "path", "/no/such/folder"),
            "spec.backbone.path",
            "no readable config.json",
        ),
        (
            lambda r: setattr(r.spec.dataset, "name", "datasets/" + "e" * 32),
            "spec.dataset.name",
            "dataset.json does not exist",
        ),
        (
            lambda r: r.spec.predict.splits.append("test"),
            "spec.predict.splits[0]",
            "test.safetensors does not exist",
        ),
        (
            lambda r: setattr(r.spec.dataset, "task_kind", job_pb2.TASK_KIND_SUMMARIZATION),
            "spec.backbone.path",
            "needs an encoder–decoder",
        ),
        (
            lambda r: setattr(r.spec.trials[0].adapter, "ffn_bottleneck", 1537),
            "spec.trials[0].adapter.ffn_bottleneck",
            "hidden size, 1536",
        ),
        (
            lambda r: r.spec.trials.extend(valid_trial(f"x{n}") for n in range(64)),
            "spec.trials",
            "at most 64 in a job",
        ),
        (
            lambda r: r.spec.train.SetInParent(),
            "spec.trials[0]",
            "trials/t0/masks.safetensors does not exist",
        ),
    ],
)
def test_what_is_right_but_not_possible_here_is_a_precondition(root, change, field, says):
    request = valid_request(root)
    change(request)
    assert says in unmet(request, root)[field]


def test_what_a_trainer_does_not_tell_among_its_capabilities_is_not_supported_by_it(root):
    request = valid_request(root)
    able = describe(IdleEngine(), root, 4)
    able.task_kinds.remove(job_pb2.TASK_KIND_CLASSIFICATION)
    ((field, says),) = (
        (each.field, each.description) for each in unmet_preconditions(request.spec, able, root)
    )
    assert field == "spec.dataset.task_kind"
    assert says.startswith(
        "TASK_KIND_CLASSIFICATION is not supported by this trainer; it supports "
        "TASK_KIND_REGRESSION, "
    )


@pytest.mark.parametrize("precision", [job_pb2.PRECISION_UNSPECIFIED, job_pb2.PRECISION_FLOAT32])
def test_float32_need_not_be_said(root, precision):
    request = valid_request(root)
    request.spec.precision = precision
    assert (invalid(request), unmet(request, root)) == ({}, {})


def test_a_precision_that_nobody_knows_is_wrong_in_itself(root):
    request = valid_request(root)
    request.spec.precision = 99
    says = "99 is not one of PRECISION_FLOAT32, PRECISION_TF32, PRECISION_BF16"
    assert invalid(request) == {"spec.precision": says}


def test_a_precision_that_the_engine_lacks_is_refused_with_those_that_it_has(root):
    request = valid_request(root)
    request.spec.precision = job_pb2.PRECISION_BF16
    assert invalid(request) == {}
    says = "PRECISION_BF16 is not supported by this trainer; it supports PRECISION_FLOAT32"
    assert unmet(request, root) == {"spec.precision": says}
    able = describe(IdleEngine(precisions=job_pb2.Precision.values()[1:]), root, 4)
    assert unmet_preconditions(request.spec, able, root) == []


def test_a_backbone_of_another_architecture_is_refused_with_those_that_are_supported(root):
    (root / "backbone/config.json").write_text(
        json.dumps({"model_type": "llama", "hidden_size": 4096})
    )
    assert (
        "is of type 'llama'; this trainer supports bert"
        in unmet(valid_request(root), root)["spec.backbone.path"]
    )


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"model_type": "gpt2"}, "is of type 'gpt2'; this trainer supports bert"),
        ({"hidden_size": 8}, "config.json has no model_type; this trainer supports bert"),
        ([8], "has no readable config.json with model_type and hidden_size"),
    ],
)
def test_the_supported_types_are_named_before_any_other_fault_of_a_backbone(config, said, root):
    (root / "backbone/config.json").write_text(json.dumps(config))
    assert said in unmet(valid_request(root), root)["spec.backbone.path"]


def test_at_most_20_violations_are_sent_and_the_last_one_counts_the_rest(root):
    request = valid_request(root, trials=50)
    for trial in request.spec.trials:
        trial.prune.sparsity = 2
    sent = bad_request(invalid_fields(request)).field_violations
    assert len(sent) == 20
    assert (sent[18].field, sent[19].description) == (
        "spec.trials[18].prune.sparsity",
        "and 31 more",
    )


def test_a_request_with_a_thousand_bad_fields_is_answered_and_the_connection_lives():
    with short_folder() as folder, tiny_trainer("done", folder) as trainer:
        request = valid_request(trainer.root, trials=1000)
        for trial in request.spec.trials:
            trial.prune.sparsity = 2
        with pytest.raises(grpc.RpcError) as error:
            trainer.submit(request)
        assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert len(fields(error.value)) == 20
        assert trainer.submit(valid_request(trainer.root)).created


def test_a_missing_mask_is_failed_precondition_over_the_wire():
    with short_folder() as folder, tiny_trainer("done", folder) as trainer:
        request = valid_request(trainer.root)
        request.spec.train.CopyFrom(job_pb2.TrainWork(log_every_steps=1, keep_checkpoints=1))
        with pytest.raises(grpc.RpcError) as error:
            trainer.submit(request)
        assert error.value.code() == grpc.StatusCode.FAILED_PRECONDITION
        assert "a job that does prune writes it" in fields(error.value)["spec.trials[0]"]
