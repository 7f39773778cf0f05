"""The GPU benchmark: what it counts, and that it goes on and keeps its results whatever fails."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from bench.gpu import ours
from bench.gpu.baselines import Baseline
from bench.gpu.kernel_count import KernelCount
from bench.gpu.measure import QUICK, timed
from bench.gpu.models import random_roberta
from bench.gpu.report import DeviceLost, Report, Skip
from bench.gpu.sizes import FULL_SIZES, SMALL_SIZES
from bench.gpu.workloads import MRPC, Shape, random_rows, useful_operations

CPU = torch.device("cpu")
SHAPE = SMALL_SIZES.base


def counted(work: Callable[[], object]) -> KernelCount:
    with KernelCount() as count:
        work()
    return count


def test_what_only_looks_at_a_tensor_otherwise_is_no_kernel() -> None:
    x = torch.randn(4, 6)
    count = counted(
        lambda: [x.t(), x.view(-1), x[1:], *x.split(2), *x.unbind(), x.expand(2, 4, 6), x.detach()],
    )
    assert not count.operations
    assert not counted(lambda: torch.empty_like(x)).operations


def test_operations_forward_and_backward_are_kernels_each() -> None:
    x, w = torch.randn(4, 6), torch.randn(5, 6, requires_grad=True)
    count = counted(lambda: torch.relu(x @ w.t()).sum().backward())
    assert count.operations == {
        "mm": 2,
        "relu": 1,
        "sum": 1,
        "ones_like": 1,
        "threshold_backward": 1,
    }
    assert not count.synchronizations
    assert counted(lambda: x.add_(1).mul_(2)).total == 2


@pytest.mark.parametrize(
    "work",
    [
        lambda x: float(x.sum()),
        lambda x: bool(x.sum() > 0),
        lambda x: x.nonzero(),
        lambda x: x[x > 0],
        lambda x: x.masked_select(x > 0),
        lambda x: x.unique(),
        lambda x: torch.equal(x, x + 1),
        lambda x: torch.arange(3).repeat_interleave(torch.tensor([1, 2, 3])),
        lambda x: x.to("meta"),
    ],
)
def test_whatever_makes_the_host_wait_is_told(work: Callable[[torch.Tensor], object]) -> None:
    count = counted(lambda: work(torch.randn(6)))
    assert sum(count.synchronizations.values()) == 1


def test_places_known_to_the_host_make_nobody_wait() -> None:
    x, places, counts = torch.randn(6), torch.tensor([1, 2]), torch.tensor([1, 2, 3])
    count = counted(
        lambda: (x[places], x[1:3], torch.arange(3).repeat_interleave(counts, output_size=6)),
    )
    assert not count.synchronizations


def counted_step(shape: Shape, trials: int) -> KernelCount:
    rows = random_rows(torch.tensor([5, 9, 17, 30] * 6), shape)
    asked = [ours.Asked(seed, ours.adapter(width=8), batch=6) for seed in range(1, trials + 1)]
    loaded = ours.load(random_roberta(shape, CPU), "float32")
    with closing(ours.Cohort(loaded, rows, asked)) as cohort, KernelCount() as count:
        cohort.step()
    return count


def test_a_wide_model_launches_as_many_kernels_as_a_narrow_one_of_as_many_layers() -> None:
    narrow, wide = (counted_step(shape, trials=2) for shape in (SHAPE.narrow(), SHAPE))
    assert narrow.operations == wide.operations


def test_a_stacked_step_of_many_trials_launches_what_one_of_few_does_without_a_wait() -> None:
    few, many = counted_step(SHAPE, trials=2), counted_step(SHAPE, trials=8)
    assert many.total <= few.total + 10
    assert not few.synchronizations
    assert not many.synchronizations


@pytest.mark.parametrize(("trials", "most"), [(1, 1300), (16, 1400)])
def test_a_step_as_deep_as_roberta_base_stays_within_its_kernels(trials: int, most: int) -> None:
    # Neither widths nor rows change the count: test above, and `python -m bench.gpu` counts full
    # ones.
    count = counted_step(FULL_SIZES.base.narrow(), trials)
    assert count.total <= most
    assert not count.synchronizations


def test_useful_operations_are_those_of_transformers_own_products_less_attentions() -> None:
    # Where every token's last layer is asked for, the plain model computes nothing that is not
    # needed.
    length, batch, width = 16, 4, 8
    rows = random_rows(torch.full((batch,), length), SHAPE, answers=True)
    model = Baseline(SHAPE, rows, CPU, width, batch, autocast=False)
    with FlopCounterMode(display=False) as counter:
        model.loss(*rows.padded(torch.arange(batch))).backward()
    found = {str(name): flops for name, flops in counter.get_flop_counts()["Global"].items()}
    products = found["aten.mm"] + found["aten.addmm"]
    # The head: forward, its input's gradient, its weight's.
    head = 3 * 2 * batch * length * SHAPE.hidden * 2
    useful = useful_operations(SHAPE, batch * length, batch, width, every_token=True)
    assert useful == products - head


def test_the_last_layer_costs_less_where_only_first_tokens_are_read() -> None:
    everything = useful_operations(SHAPE, 64, 4, 8, every_token=True)
    assert useful_operations(SHAPE, 64, 4, 8) < everything
    assert useful_operations(SHAPE, 64, 64, 8) == everything


def test_ours_has_the_gradient_of_transformers_model_by_the_same_names() -> None:
    rows = random_rows(MRPC.draw(12, torch.Generator().manual_seed(1)), SHAPE)
    asked = ours.Asked(3, ours.adapter(width=8), batch=5, first_step_only=True)
    loaded = ours.load(random_roberta(SHAPE, CPU), "float32")
    with closing(ours.Cohort(loaded, rows, [asked])) as cohort:
        weights, first_rows = cohort.weights()[0], cohort.first_rows()[0]
        cohort.step()
        cohort.settle()
        found = cohort.gradients()[0]
    right = Baseline(SHAPE, rows, CPU, 8, 5, autocast=False).gradient(weights, first_rows)
    assert found.keys() == right.keys()
    for name, gradient in right.items():
        torch.testing.assert_close(found[name], gradient, atol=1e-6, rtol=1e-4, msg=name)


def test_rows_are_of_the_lengths_asked_for_and_padded_as_asked() -> None:
    lengths = torch.tensor([3, 7, 5])
    rows = random_rows(lengths, SHAPE)
    ids, mask, labels = rows.padded(torch.tensor([2, 0]))
    assert mask.sum(1).tolist() == [5, 3]
    assert ids.shape == (2, 5)
    assert ids[1, 3:].tolist() == [1, 1]
    assert labels.tolist() == rows.labels[[2, 0]].tolist()
    assert rows.padded(torch.tensor([0]), to=128)[0].shape == (1, 128)


def test_blocks_are_timed_and_what_is_between_them_is_not() -> None:
    calls = {"step": 0, "between": 0}

    def between() -> None:
        calls["between"] += 1

    def step() -> None:
        calls["step"] += 1

    timing = timed(step, CPU, QUICK, between)
    assert calls["between"] == 4
    assert timing.ms < 1
    assert timing.peak_gib is None


def new_report(tmp_path: Path, budget_seconds: float = 1e6) -> Report:
    return Report(CPU, tmp_path / "found.json", budget_seconds, small=True)


def test_a_part_that_fails_is_told_in_one_line_and_the_rest_goes_on(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = new_report(tmp_path)

    def failing() -> None:
        raise ValueError("first line\nsecond line")

    report.part("one", failing, at_most=5)
    report.part("two", lambda: report.check("fine", 0.5, bound=1), at_most=5)
    told = capsys.readouterr().err
    assert "FAIL one: ValueError: first line\n" in told
    assert "second line" not in told
    written = json.loads((tmp_path / "found.json").read_text())
    assert written["failed"] == [{"part": "one", "reason": "ValueError: first line"}]
    assert written["checks"] == [{"check": "fine", "value": 0.5, "bound": 1, "holds": True}]


def test_results_are_on_disk_after_each_part(tmp_path: Path) -> None:
    report = new_report(tmp_path)
    report.part("one", lambda: report.row({"contender": "ours", "rows_s": 1.0}), at_most=5)
    written = json.loads((tmp_path / "found.json").read_text())
    assert written["rows"] == [{"contender": "ours", "rows_s": 1.0}]


def test_a_part_that_does_not_fit_the_time_left_is_skipped(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = new_report(tmp_path, budget_seconds=0)
    report.part("late", lambda: pytest.fail("it ran"), at_most=5)
    assert "SKIP late" in capsys.readouterr().err
    assert [each["part"] for each in report.found["skipped"]] == ["late"]


def test_a_part_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    report = new_report(tmp_path)

    def endless() -> None:
        while True:
            pass

    report.part("endless", endless, at_most=0.2)
    assert report.found["failed"][0]["reason"].startswith("TimeoutError")


def test_a_part_that_cannot_be_done_here_is_skipped_with_its_reason(tmp_path: Path) -> None:
    report = new_report(tmp_path)

    def absent() -> None:
        raise Skip("no package adapters")

    report.part("T", absent, at_most=5)
    assert report.found["skipped"] == [{"part": "T", "reason": "no package adapters"}]


def test_a_lost_gpu_ends_the_run_with_what_there_is(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    report = new_report(tmp_path)
    report.row({"contender": "ours"})

    def lost(_: Report) -> None:
        raise DeviceLost("an illegal memory access was encountered")

    def failing() -> None:
        raise RuntimeError("an illegal memory access was encountered")

    monkeypatch.setattr(Report, "_require_device", lost)
    with pytest.raises(DeviceLost):
        report.part("one", failing, at_most=5)
    written = json.loads((tmp_path / "found.json").read_text())
    assert written["rows"] == [{"contender": "ours"}]
    assert written["failed"][0]["part"] == "one"


# What the machine of a benchmark need not have: it is imported by nothing that the benchmark
# imports.
WITHOUT = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0].startswith("grpc") or name == "adapters":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
sys.argv = ["bench.gpu", *sys.argv[1:]]
import runpy
runpy.run_module("bench.gpu", run_name="__main__")
"""


def test_a_rehearsal_does_every_part_without_grpc(tmp_path: Path) -> None:
    out = tmp_path / "found.json"
    command = [sys.executable, "-c", WITHOUT, "--device", "cpu", "--small", "--out", str(out)]
    folder = Path(__file__).parents[1]
    ran = subprocess.run(command, cwd=folder, env=os.environ, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(out.read_text())
    assert found["failed"] == []
    assert [each["part"].split(",")[0] for each in found["skipped"]] == ["baseline T"]
    assert all(check.get("holds", True) for check in found["checks"])
    assert {row["shape"] for row in found["rows"]} == {
        "roberta-base",
        "roberta-large",
        "MiniLM",
        "BART-base",
    }
    assert {row["contender"] for row in found["rows"]} >= {
        "ours",
        "baseline A",
        "baseline B",
        "ours, generate",
    }
    assert [count["trials"] for count in found["kernel_counts"]] == [1, SMALL_SIZES.many]
    assert [target["trials"] for target in found["targets"]] == [16, 1]
    last = ran.stderr.strip().split("\n")[-2:]
    assert ["K = 16" in last[0], "K = 1" in last[1]] == [True, True]
