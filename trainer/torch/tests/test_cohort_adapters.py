"""Whatever its adapter, a trial of a cohort ends with the weights of its lone run."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from engine_support import Recorder, fresh_root, spec, train_work, trial, weights
from server_support import IdleEngine
from sparse_adapter.trainer.v1 import job_pb2
from test_adapters import FORMS, adapter, drawn
from test_encoder import ragged
from torch import Tensor

from sparse_adapter_engine.backbones.encoder.encoder import Encoder
from sparse_adapter_engine.device.how import How
from sparse_adapter_engine.engine import Engine
from sparse_adapter_engine.modules.forms import has_matrices
from sparse_adapter_engine.modules.trial_modules import TrialModules
from sparse_adapter_engine.stacked.operations import PLAIN
from sparse_adapter_engine.tasks.rows import RowTask
from sparse_adapter_trainer.capabilities import describe

# Full fine-tuning is the only trial of its job, by the contract. The last ones are the published
# code's own: test/fidelity/published-code.test.ts has their values.
COHORT_ADAPTERS = {
    name: asked for name, asked in FORMS.items() if asked.unfrozen != job_pb2.UNFROZEN_ALL
} | {
    "parallel to the context": adapter("parallel_context", "none", norm="ADAPTER_NORM_NONE"),
    "concatenated": adapter("concat", "none", norm="ADAPTER_NORM_NONE"),
}
COHORT_FORMS = list(COHORT_ADAPTERS)
PRUNERS = ("snip", "rand", "mag", "grasp", "er", "synflow", "gradient", "fisher", "skeleton")


def make_trials(form: str) -> list[job_pb2.Trial]:
    """Three trials of a form that differ in width, pruner, sparsity, seed, learning rate, batch
    size, dropout and length; the last one is pruned during training. Forms begin at different
    places of the list of pruners."""
    place = COHORT_FORMS.index(form)
    pruners = [
        PRUNERS[(place + turn) % len(PRUNERS)] if has_matrices(COHORT_ADAPTERS[form]) else "none"
        for turn in range(3)
    ]
    made = [
        trial(
            f"f{place}-a",
            seed=1,
            pruner=pruners[0],
            sparsity=0.4,
            batch_size=6,
            total_steps=10,
            learning_rate=1e-3,
        ),
        trial(
            f"f{place}-b",
            seed=2,
            pruner=pruners[1],
            sparsity=0.8,
            batch_size=3,
            total_steps=8,
            learning_rate=5e-3,
            dropout=0.1,
        ),
        trial(
            f"f{place}-c",
            seed=3,
            pruner=pruners[2],
            sparsity=0.6,
            batch_size=5,
            total_steps=7,
            learning_rate=2e-4,
            dropout=0.1,
        ),
    ]
    made[2].train.attention_dropout = 0.1
    for one, width in zip(made, (8, 3, 12), strict=True):
        one.adapter.CopyFrom(COHORT_ADAPTERS[form])
        for name in ("attention_bottleneck", "ffn_bottleneck"):
            if getattr(one.adapter, name):
                setattr(one.adapter, name, width)
        if not has_matrices(one.adapter):
            one.prune.sparsity = 0
        one.prune.scoring_rows, one.prune.temperature = 16, 2
    if has_matrices(COHORT_ADAPTERS[form]) and pruners[2] != "er":
        during = {
            "begin_step": 1,
            "every_steps": 3,
            "rounds": 2,
            "schedule": job_pb2.PRUNE_SCHEDULE_CUBIC,
        }
        made[2].prune.MergeFrom(job_pb2.Prune(**during))
    return made


def test_a_cpus_packs_have_a_multiple_of_tokens_unless_their_attention_needs_masks(
    minilm: Encoder,
) -> None:
    split = ragged(minilm.vocabulary, minilm.token_types)
    task = RowTask(minilm, split, job_pb2.TASK_KIND_CLASSIFICATION, How(2500))
    stacking = replace(task, how=How(2500, PLAIN))
    padded = adapter(padded_tokens=45)
    for asked in (padded, *COHORT_ADAPTERS.values()):
        modules = TrialModules(asked, drawn(asked, minilm), dropout=None)
        packs = [each.part(0, torch.arange(9), modules).pack for each in (task, stacking)]
        filled, plain = packs
        has_masks = asked is padded or asked.attention == job_pb2.ATTENTION_MODULE_CONCAT
        assert (filled.filling > 0, plain.filling) == (not has_masks, 0)
        assert has_masks or filled.tokens % 16 == 0


class Trainings:
    """Runs trials on 160 rows of CoLA, together or alone; lone runs are done once."""

    def __init__(self, root: Path, backbone: str) -> None:
        self._root, self._backbone = root, backbone
        self._engine = Engine(root, threads=1)
        if self._engine.environment["row_invariant"] != "true":
            pytest.skip(
                "on this processor products give a row other bits beside other rows: equality "
                "holds to rounding only"
            )
        self.alone = cache(self._alone)

    def together(self, trials: list[job_pb2.Trial]) -> dict[str, dict[str, Tensor]]:
        """Each trial's weights after one cohort of them all, by trial id."""
        for work in ({"prune": job_pb2.PruneWork()}, {"train": train_work()}):
            told = Recorder()
            self._engine.run(spec(self._backbone, trials, **work), told)
            assert not told.failures
        return {one.trial_id: weights(self._root, one.trial_id) for one in trials}

    def _alone(self, form: str, place: int) -> dict[str, Tensor]:
        """The weights of one of the form's trials after a run of its own, under a name of its
        own."""
        one = make_trials(form)[place]
        one.trial_id += "-alone"
        return self.together([one])[one.trial_id]


@pytest.fixture(scope="module")
def trainings(
    cola: Path, backbone_path: str, tmp_path_factory: pytest.TempPathFactory
) -> Trainings:
    return Trainings(fresh_root(cola, tmp_path_factory.mktemp("cohorts") / "root"), backbone_path)


def assert_equal(found: dict[str, Tensor], alone: dict[str, Tensor]) -> None:
    assert found.keys() == alone.keys()
    for name, tensor in found.items():
        assert torch.equal(tensor, alone[name]), name


@pytest.mark.parametrize("form", COHORT_FORMS)
def test_trials_of_one_form_in_a_cohort_have_every_weight_of_their_lone_runs(
    form: str, trainings: Trainings
) -> None:
    trials = make_trials(form)
    together = trainings.together(trials)
    for place, one in enumerate(trials):
        assert_equal(together[one.trial_id], trainings.alone(form, place))


def test_trials_of_all_forms_in_one_cohort_have_every_weight_of_their_lone_runs(
    trainings: Trainings,
) -> None:
    places = {form: index % 3 for index, form in enumerate(COHORT_FORMS)}
    trials = {form: make_trials(form)[place] for form, place in places.items()}
    for one in trials.values():
        one.trial_id += "-mixed"
    together = trainings.together(list(trials.values()))
    for form, one in trials.items():
        assert_equal(together[one.trial_id], trainings.alone(form, places[form]))


def test_every_form_and_pruner_that_the_trainer_claims_is_in_a_cohort_here(tmp_path: Path) -> None:
    claimed = describe(IdleEngine(), tmp_path, 4)
    trials = [one for form in COHORT_FORMS for one in make_trials(form)]
    assert {one.adapter.attention for one in trials} == set(claimed.attention_modules)
    assert {one.adapter.ffn for one in trials} == set(claimed.ffn_modules)
    assert {one.adapter.unfrozen for one in trials} == set(claimed.unfrozen) - {
        job_pb2.UNFROZEN_ALL
    }
    assert {one.prune.pruner for one in trials} == set(claimed.pruners)
