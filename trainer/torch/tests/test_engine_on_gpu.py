"""What only a GPU can show of the whole engine: prune, train, stop, go on and predict, compared
with the CPU's; skipped where there is none. TRITON_INTERPRET=0 runs Triton's kernels for real."""

import shutil
from functools import cache
from pathlib import Path

import pytest
import torch
from conftest import save_roberta, write_split
from engine_support import Recorder, fresh_root, spec, train_work, trial, weights
from sparse_adapter.trainer.v1 import event_pb2, job_pb2, trainer_pb2
from test_adapters import FORMS
from test_stacked import STACKED_FORMS, assert_close, eight, houlsby, mixed, read, rows

from sparse_adapter_engine.device.how import How
from sparse_adapter_engine.device.room import release
from sparse_adapter_engine.engine import Engine
from sparse_adapter_engine.errors import Interrupted, JobFailed
from sparse_adapter_engine.modules.forms import has_matrices
from sparse_adapter_engine.stacked.choose import choose
from sparse_adapter_engine.stacked.graphs import Graphs

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
__all__ = ["rows"]  # a fixture of test_stacked

GPU = "cuda"
FLOAT32, BF16 = job_pb2.PRECISION_FLOAT32, job_pb2.PRECISION_BF16


@pytest.fixture(scope="module")
def roberta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two heads of 64 each, as the kernels of a GPU like them."""
    return save_roberta(tmp_path_factory.mktemp("roberta"), width=128, heads=2)


@pytest.fixture(autouse=True)
def one_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The choice of operations takes seconds, and each root has an engine of its own."""
    monkeypatch.setattr("sparse_adapter_engine.engine.choose", cached_choice)


cached_choice = cache(choose)


def run(
    root: Path,
    backbone: Path,
    trials: list[job_pb2.Trial],
    device: str = GPU,
    precision: int = FLOAT32,
    told: Recorder | None = None,
    **work: object,
) -> Recorder:
    told = told or Recorder()
    how = How(2500) if device == "cpu" else None
    job = spec(backbone, trials, precision=precision, **work)
    Engine(root, device, threads=1, how=how).run(job, told)
    assert not told.failures
    return told


@pytest.mark.parametrize("form", STACKED_FORMS)
def test_eight_trials_by_every_pruner_learn_and_predict_what_they_do_on_a_cpu(
    form: str, rows: Path, roberta: Path, tmp_path: Path
) -> None:
    trials = eight(form)
    validation = job_pb2.PredictWork(splits=["validation"])
    slices, gpu = (fresh_root(rows, tmp_path / name) for name in ("slices", "gpu"))
    run(slices, roberta, trials, "cpu", prune=job_pb2.PruneWork())
    if has_matrices(FORMS[form]):
        run(gpu, roberta, trials, prune=job_pb2.PruneWork())
        assert share_of_equal_masks(slices, gpu, trials) >= 0.999
        shutil.rmtree(gpu / "trials")
    # The same masks for both: one that ranks two equal scores otherwise would train otherwise.
    shutil.copytree(slices / "trials", gpu / "trials")
    told = {}
    for root, device in ((slices, "cpu"), (gpu, GPU)):
        told[device] = run(root, roberta, trials, device, train=train_work(log_every_steps=2))
        run(root, roberta, trials, device, predict=validation)
    for key, value in told["cpu"].metric_values.items():
        assert told[GPU].metric_values[key] == pytest.approx(value, rel=1e-3, abs=1e-4), key
    for one in trials:
        found, expected = (read(root, one, "predictions.validation") for root in (gpu, slices))
        assert torch.allclose(found["logits"], expected["logits"], atol=2e-3), one.trial_id


def share_of_equal_masks(one: Path, other: Path, trials: list[job_pb2.Trial]) -> float:
    alike = total = 0
    for each in trials[:-1]:  # the last one is pruned during training
        masks = [
            torch.cat([mask.flatten() for mask in read(root, each, "masks").values()])
            for root in (one, other)
        ]
        alike, total = alike + int((masks[0] == masks[1]).sum()), total + masks[0].numel()
    return alike / total


@pytest.mark.parametrize("precision", [FLOAT32, BF16])
def test_a_stopped_run_of_mixed_forms_goes_on_to_every_bit_of_the_undisturbed_one(
    precision: int, rows: Path, roberta: Path, tmp_path: Path
) -> None:
    trials = [*mixed(), *houlsby(3)]
    whole, stopped = (fresh_root(rows, tmp_path / name) for name in ("whole", "stopped"))
    for root in (whole, stopped):
        run(root, roberta, trials, prune=job_pb2.PruneWork())
    work = {"precision": precision, "train": train_work(log_every_steps=2)}
    undisturbed = run(whole, roberta, trials, **work)
    first = Recorder(stop=trainer_pb2.CANCEL_MODE_CHECKPOINT, stop_after=4)
    with pytest.raises(Interrupted):
        run(stopped, roberta, trials, told=first, **work)
    assert first.checkpoints
    then = run(stopped, roberta, trials, **work)
    for one in trials:
        for name, tensor in weights(whole, one.trial_id).items():
            assert torch.equal(tensor, weights(stopped, one.trial_id)[name]), (one.trial_id, name)
    assert undisturbed.metric_values == first.metric_values | then.metric_values


def test_losses_in_bf16_are_near_those_in_float32(
    rows: Path, roberta: Path, tmp_path: Path
) -> None:
    losses = {}
    for precision in (FLOAT32, BF16):
        root = fresh_root(rows, tmp_path / str(precision))
        trials = houlsby(4)
        run(root, roberta, trials, prune=job_pb2.PruneWork())
        told = run(root, roberta, trials, precision=precision, train=train_work())
        losses[precision] = told.metric_values
    for key, value in losses[FLOAT32].items():
        if key[1] == "loss":
            assert losses[BF16][key] == pytest.approx(value, rel=2e-2), key


def test_a_gpu_with_too_little_memory_does_its_steps_in_smaller_passes(
    rows: Path, roberta: Path, tmp_path: Path
) -> None:
    """The allocator itself refuses, in the middle of a job."""
    random = torch.Generator().manual_seed(2)
    long_rows = [torch.randint(5, 200, (60,), generator=random).tolist() for _ in range(256)]
    labels = torch.tensor([row[0] % 2 for row in long_rows], dtype=torch.int32)
    trials = [trial(f"t{seed}", seed=seed) for seed in range(1, 17)]
    for one in trials:
        one.train.batch_size = 128
    roomy, narrow = (fresh_root(rows, tmp_path / name) for name in ("roomy", "narrow"))
    for root in (roomy, narrow):
        write_split(root / "datasets" / "cola" / "train.safetensors", long_rows, labels)
        run(root, roberta, trials, prune=job_pb2.PruneWork())
    release()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_reserved()
    told = run(roomy, roberta, trials, precision=BF16, train=train_work())
    needed = torch.cuda.max_memory_reserved() - before
    release()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((before + 0.6 * needed) / total)
    try:
        found = run(narrow, roberta, trials, precision=BF16, train=train_work())
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    for key, value in told.metric_values.items():
        assert found.metric_values[key] == pytest.approx(value, rel=2e-2, abs=1e-3), key


def test_a_backbone_that_does_not_fit_fails_the_job_with_the_reason_and_the_next_one_runs(
    rows: Path, tmp_path: Path
) -> None:
    root, roberta = (
        fresh_root(rows, tmp_path / "root"),
        save_roberta(tmp_path / "large", words=500_000, width=128, heads=2),
    )
    trials = houlsby(2)
    run(root, roberta, trials, prune=job_pb2.PruneWork())
    release()
    total = torch.cuda.get_device_properties(0).total_memory
    engine = Engine(root, GPU, threads=1)
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + 1) / total)
    try:
        with pytest.raises(JobFailed) as failed:
            engine.run(spec(roberta, trials, train=train_work()), Recorder())
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert failed.value.reason == event_pb2.FAILURE_REASON_OUT_OF_MEMORY
    run(root, roberta, trials, train=train_work())


def test_a_capture_that_fails_is_done_without_a_graph_and_later_ones_succeed() -> None:
    random = torch.zeros(3, device=GPU)

    def read_on_the_host() -> None:
        random.normal_()
        random.sum().item()

    failing = Graphs(on=True)
    for _ in range(3):
        failing.run("step", read_on_the_host)
    assert not failing.made
    for _ in range(2):  # the second begins when the first's memory has been given back
        graphs, counted = Graphs(on=True), torch.zeros(1, device=GPU)
        for _ in range(4):
            graphs.run("count", lambda counted=counted: counted.add_(torch.ones_like(counted)))
        assert graphs.made and counted.item() == 4
        del graphs
    random.normal_()


def test_a_mixed_cohort_is_near_its_trials_alone(rows: Path, roberta: Path, tmp_path: Path) -> None:
    trials = mixed()
    together, alone = (fresh_root(rows, tmp_path / name) for name in ("together", "alone"))
    run(together, roberta, trials, prune=job_pb2.PruneWork())
    run(together, roberta, trials, train=train_work())
    for one in trials:
        run(alone, roberta, [one], prune=job_pb2.PruneWork())
        run(alone, roberta, [one], train=train_work())
    named = [
        {one.trial_id: weights(root, one.trial_id) for one in trials} for root in (together, alone)
    ]
    assert_close(named[0], named[1], most=1e-3)
