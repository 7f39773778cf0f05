"""Checks, before any figure, that what is measured is correct: gradients, training curves, repeated
bits."""

from contextlib import closing
from dataclasses import dataclass

import torch
from torch import Tensor

from . import ours
from .baselines import Baseline
from .models import random_roberta
from .report import Report
from .sizes import Sizes
from .workloads import MRPC, RandomRows, random_rows

# The mixed cohort's row lengths, and its number of trials.
MIXED_LENGTHS, MIXED_TRIALS = (11, 53, 128), 8
REPEATED_STEPS = 6
# A relative norm.
FLOAT32_BOUND = 1e-4
# A multiple of the control's, because what bf16 costs depends on the weights. Autocast keeps norms
# and residual sums in float32; a prototype with one bf16 stream had 1.56 to 1.75 times its error.
BF16_BOUND = 1.75


@dataclass
class Checks:
    report: Report
    sizes: Sizes
    device: torch.device

    def gradients(self) -> None:
        """Compares every trial of a mixed cohort with Transformers' own model in float32, over all
        trained parameters."""
        sizes, shape = self.sizes, self.sizes.base
        count = MIXED_TRIALS * sizes.batch
        lengths = torch.tensor(MIXED_LENGTHS).repeat(count)[:count]
        rows = random_rows(lengths, shape)
        asked = self._trials(MIXED_TRIALS, first_step_only=True)
        with closing(self._cohort("float32", rows, asked)) as cohort:
            weights, first_rows = cohort.weights(), cohort.first_rows()

        def by_transformers(autocast: bool) -> list[dict[str, Tensor]]:
            model = Baseline(shape, rows, self.device, sizes.width, sizes.batch, autocast=autocast)
            return [model.gradient(*each) for each in zip(weights, first_rows, strict=True)]

        right = by_transformers(autocast=False)

        def worst(found: list[dict[str, Tensor]]) -> float:
            return max(_relative(*each) for each in zip(found, right, strict=True))

        name = f"gradient against Transformers in float32, worst of {MIXED_TRIALS} trials"
        control = worst(by_transformers(autocast=True))
        self.report.check(f"{name}: Transformers in bf16 (control)", control)
        bounds = {"float32": FLOAT32_BOUND, "bf16": BF16_BOUND * control}
        for precision, bound in bounds.items():
            with closing(self._cohort(precision, rows, asked)) as cohort:
                cohort.step()
                cohort.settle()
                found = worst(cohort.gradients())
            self.report.check(f"{name}: ours in {precision}", found, bound)

    def curves(self) -> None:
        """Trains on one batch again and again, in bf16 and in float32. A control shows how far
        rounding alone takes curves apart: float32 again, beside one more trial."""
        steps, trials = self.sizes.checked_steps, min(4, self.sizes.many)
        rows = random_rows(MRPC.draw(self.sizes.batch, _generator()), self.sizes.base)
        losses = {}
        for name, precision, more in (
            ("float32", "float32", 0),
            ("float32 beside one more trial", "float32", 1),
            ("bf16", "bf16", 0),
        ):
            with closing(self._cohort(precision, rows, self._trials(trials + more))) as cohort:
                curve = [_loss_of_step(cohort)[:trials] for _ in range(steps)]
            losses[name] = torch.tensor(curve)
        places = [1, steps // 3, 2 * steps // 3, steps]
        for name, found in losses.items():
            self.report.check(
                f"mean loss at steps {places} in {name}",
                _words(found[torch.tensor(places) - 1]),
            )
        right = losses.pop("float32")
        for name, found in losses.items():
            gap = (found - right).abs().mean(1)
            for first in (steps // 3, steps):
                check = f"mean |loss in {name} − loss in float32| over {first} steps"
                self.report.check(check, float(gap[:first].mean()))
        shrunk = losses["bf16"][-1].mean() / losses["bf16"][0].mean()
        self.report.check("loss in bf16, last over first", float(shrunk))

    def repeats(self) -> None:
        """Compares the bits of two equal runs, and of one without replayed steps."""
        rows = random_rows(MRPC.draw(self.sizes.batch, _generator()), self.sizes.base)
        trials = self._trials(min(4, self.sizes.many))

        def weights(graphs: bool) -> list[dict[str, Tensor]]:
            # The same batch again and again, because a shape is captured only when it recurs.
            with closing(self._cohort("bf16", rows, trials, graphs)) as cohort:
                for _ in range(REPEATED_STEPS):
                    cohort.step()
                cohort.settle()
                return cohort.weights()

        once, name = weights(graphs=True), f"of {REPEATED_STEPS} steps in bf16"
        self.report.check(f"two runs {name} are bit-equal", _equal(once, weights(graphs=True)))
        eager = _equal(once, weights(graphs=False))
        self.report.check(f"runs {name} with graphs and without are bit-equal", eager)

    def _cohort(
        self,
        precision: str,
        rows: RandomRows,
        asked: list[ours.Asked],
        graphs: bool = True,
    ) -> ours.Cohort:
        loaded = ours.load(random_roberta(self.sizes.base, self.device), precision)
        return ours.Cohort(loaded, rows, asked, graphs)

    def _trials(self, count: int, first_step_only: bool = False) -> list[ours.Asked]:
        adapter, batch = ours.adapter(width=self.sizes.width), self.sizes.batch
        seeds = range(1, count + 1)
        return [ours.Asked(seed, adapter, batch, first_step_only=first_step_only) for seed in seeds]


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(2)


def _relative(found: dict[str, Tensor], right: dict[str, Tensor]) -> float:
    """‖found − right‖ / ‖right‖ over all tensors together."""
    assert found.keys() == right.keys()
    one, other = (torch.cat([each[name].reshape(-1) for name in right]) for each in (found, right))
    return float((one.double() - other.double()).norm() / other.double().norm())


def _loss_of_step(cohort: ours.Cohort) -> list[float]:
    cohort.step()
    cohort.settle()
    return cohort.take_losses()


def _words(losses: Tensor) -> str:
    return ", ".join(f"{loss:.4f}" for loss in losses.mean(1).tolist())


def _equal(one: list[dict[str, Tensor]], other: list[dict[str, Tensor]]) -> bool:
    pairs = zip(one, other, strict=True)
    return all(torch.equal(a[name], b[name]) for a, b in pairs for name in a)
