"""Trials in one stacked pass have, to rounding, what they have in slices of their own."""

from pathlib import Path

import pytest
from engine_support import Recorder, fresh_root, spec, train_work, weights
from test_cohort_adapters import COHORT_FORMS, trials_of

from sparse_adapter_trainer.engine import Engine
from sparse_adapter_trainer.stacked.operations import PLAIN


@pytest.mark.parametrize("form", COHORT_FORMS)
def test_stacked_form(form: str, cola: Path, backbone_path: str, tmp_path: Path) -> None:
    trials = trials_of(form)
    for one in trials:
        one.train.attention_dropout = 0
        one.train.dropout = 0
        one.train.adam_epsilon = 1e-6
    found = {}
    for name, operations in (("sliced", None), ("stacked", PLAIN)):
        root = fresh_root(cola, tmp_path / name)
        engine = Engine(root, threads=2, stacked=operations)
        for work in ({"prune": __import__("sparse_adapter.trainer.v1.job_pb2", fromlist=["x"]).PruneWork()}, {"train": train_work()}):
            told = Recorder()
            engine.run(spec(backbone_path, trials, **work), told)
            assert not told.failures
        found[name] = ({one.trial_id: weights(root, one.trial_id) for one in trials}, told.metric_values)
    for one in trials:
        for name, tensor in found["sliced"][0][one.trial_id].items():
            d = (tensor - found["stacked"][0][one.trial_id][name]).abs().max()
            assert d < 1e-4, (name, float(d))
    for k, v in found["sliced"][1].items():
        assert abs(v - found["stacked"][1][k]) < 1e-4 * max(1, abs(v)), k
