"""Every value of the contract's enumerations is handled, or refused by its name and its field."""

from pathlib import Path

import pytest
from server_support import IdleEngine, make_root, valid_request
from sparse_adapter.trainer.v1 import job_pb2, trainer_pb2

from sparse_adapter_engine import handled
from sparse_adapter_trainer import capabilities
from sparse_adapter_trainer.validation import unmet_preconditions

# By enumeration: where a job has it, and what this trainer lists of it.
LISTED = {
    "AttentionModule": ("adapter.attention", "attention_modules"),
    "FfnModule": ("adapter.ffn", "ffn_modules"),
    "Unfrozen": ("adapter.unfrozen", "unfrozen"),
    "Pruner": ("prune.pruner", "pruners"),
    "MaskStructure": ("prune.structure", "mask_structures"),
    "MaskRules": ("prune.rules", "mask_rules"),
    "TaskKind": ("task_kind", "task_kinds"),
    "Precision": ("precision", "precisions"),
}
SETTINGS = {
    enum.DESCRIPTOR.name: (f"{message}.{name}", (message, name))
    for (message, name), (enum, _) in handled.SETTINGS.items()
}


def set_value(request: trainer_pb2.SubmitJobRequest, place: str, value: int) -> str:
    """Sets a field of the job or of its first trial; returns the field's path."""
    if place == "precision":
        request.spec.precision = value
        return "spec.precision"
    if place == "task_kind":
        request.spec.dataset.task_kind = value
        return "spec.dataset.task_kind"
    message, name = place.split(".")
    setattr(getattr(request.spec.trials[0], message), name, value)
    return f"spec.trials[0].{place}"


def test_every_enumeration_of_a_job_has_its_list():
    assert {*LISTED, *SETTINGS} == set(job_pb2.DESCRIPTOR.enum_types_by_name)


@pytest.mark.parametrize("name", [*LISTED, *SETTINGS])
def test_what_is_not_listed_is_refused_by_name(name: str, tmp_path: Path, monkeypatch):
    make_root(tmp_path)
    able = capabilities.describe(IdleEngine(), tmp_path, 4)
    for value in getattr(job_pb2, name).values()[1:]:
        value_name = getattr(job_pb2, name).Name(value)
        request = valid_request(tmp_path)
        request.spec.trials[0].prune.group_size = 4
        if name in LISTED:
            place, listed = LISTED[name]
            without = type(able)()
            without.CopyFrom(able)
            rest = [each for each in getattr(able, listed) if each != value]
            del getattr(without, listed)[:]
            getattr(without, listed).extend(rest)
            now = without
        else:
            place, key = SETTINGS[name]
            enum, supported = handled.SETTINGS[key]
            rest = tuple(each for each in supported if each != value)
            monkeypatch.setitem(handled.SETTINGS, key, (enum, rest))
            now = able
        field = set_value(request, place, value)
        found = unmet_preconditions(request.spec, now, tmp_path)
        said = [each.description for each in found if each.field == field]
        assert [text for text in said if text.startswith(f"{value_name} is not supported")] == said
        assert len(said) == 1
        monkeypatch.undo()


@pytest.mark.parametrize("name", [name for name in LISTED if name != "Precision"])
def test_capabilities_list_what_the_engine_handles_now_all(name: str, tmp_path: Path):
    able = capabilities.describe(IdleEngine(), tmp_path, 4)
    assert list(getattr(able, LISTED[name][1])) == getattr(job_pb2, name).values()[1:]


@pytest.mark.parametrize("key", handled.SETTINGS)
def test_settings_list_what_the_engine_handles_now_all(key: tuple[str, str]):
    enum, supported = handled.SETTINGS[key]
    assert list(supported) == enum.values()[1:]


def test_task_kinds_have_a_family_and_a_loss():
    from sparse_adapter_engine.tasks.families import FAMILIES
    from sparse_adapter_engine.tasks.losses import LOSSES

    assert set(FAMILIES) == set(LOSSES) == set(handled.TASK_KINDS)
