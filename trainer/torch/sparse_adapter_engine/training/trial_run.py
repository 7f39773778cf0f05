"""One trial in training: its weights, its masks, its place in the data, and its step."""

import math
from dataclasses import dataclass, field
from functools import cached_property

import torch
from sparse_adapter.trainer.v1 import event_pb2, job_pb2
from torch import Tensor

from sparse_adapter_engine.errors import TrialFailed
from sparse_adapter_engine.files.checkpoints import Position
from sparse_adapter_engine.files.environments import Environments
from sparse_adapter_engine.keys import permutation
from sparse_adapter_engine.masks.densities import densities, schedule_to
from sparse_adapter_engine.masks.pruning import Pruning
from sparse_adapter_engine.masks.scores import Masks, Scores
from sparse_adapter_engine.modules.dropout import Dropout, Drops, GroupDropout
from sparse_adapter_engine.modules.layout import Layout
from sparse_adapter_engine.modules.trial_modules import TrialModules
from sparse_adapter_engine.tasks.task import AnyPart, Task

from .optimizer import AdamW, clip, learning_rate


@dataclass(eq=False)
class TrialRun:
    """One trial in training. parameters, gradient: its flat vectors, float32 [total], changed in
    place; masks: those it is trained with; pruning: if it is pruned during training, the rounds so
    far, whose result is the masks; environments: what trained the steps so far, in order."""

    trial: job_pb2.Trial
    layout: Layout
    parameters: Tensor
    masks: Masks
    pruning: Pruning | None
    optimizer: AdamW
    position: Position
    until: int
    environments: Environments = field(default_factory=list)
    gradient_norm: float = 0.0
    # Added to the next step's gradient: what scoring has left in it, float32 [total].
    left_over: Tensor | None = None
    # bool [prunable], True where a weight is masked.
    _removed: Tensor = field(init=False)
    _epoch: int = -1
    _order: Tensor = field(default_factory=lambda: torch.empty(0))

    def __post_init__(self) -> None:
        self._remove(self.masks)

    @cached_property
    def gradient(self) -> Tensor:
        """float32 [total]. Backward adds to it in place, because joining a whole backbone's
        gradients afterwards would need a second copy."""
        return torch.zeros_like(self.parameters)

    @cached_property
    def effective(self) -> Tensor:
        """float32 [total], what forwards compute with: the parameters themselves, unless removed
        weights keep their values beside the mask."""
        keeps = self.trial.prune.keeps_removed_weights
        return self.parameters.clone() if keeps else self.parameters

    def refresh(self) -> Tensor:
        """Brings `effective` up to date with parameters and masks, and returns it."""
        if self.trial.prune.keeps_removed_weights:
            self.effective.copy_(self.parameters)
            self.effective[: self.layout.prunable].masked_fill_(self._removed, 0)
        return self.effective

    @cached_property
    def leaves(self) -> dict[str, Tensor]:
        """The tensors by name: views of `effective`, with views of `gradient` as gradients."""
        views = self.layout.views(self.effective)
        leaves = {name: view.detach().requires_grad_() for name, view in views.items()}
        for name, view in self.layout.views(self.gradient).items():
            leaves[name].grad = view
        return leaves

    @property
    def ended(self) -> bool:
        return self.position.step >= self.until

    def _remove(self, masks: Masks) -> None:
        """Sets removed weights and their moments to 0; they stay so because `update` zeroes their
        gradient."""
        # The empty tensor is for an adapter without matrices, which has no mask.
        flat = [
            torch.empty(0, dtype=torch.uint8),
            *(masks[name].reshape(-1) for name in self.layout.prunable_shapes),
        ]
        self.masks, self._removed = masks, (torch.cat(flat) == 0).to(self.parameters.device)
        if self.trial.prune.keeps_removed_weights:
            return
        for tensor in (self.parameters, self.optimizer.first_moment, self.optimizer.second_moment):
            tensor[: self.layout.prunable].masked_fill_(self._removed, 0)

    @property
    def round_is_due(self) -> bool:
        """Whether a round of pruning comes before the next step."""
        prune = self.trial.prune
        if self.pruning is None or (
            self.position.rounds == prune.repeats if prune.repeats else self.pruning.done
        ):
            return False
        return self.position.step == prune.begin_step + self.position.rounds * prune.every_steps

    def prune(self, scores: Scores | None) -> event_pb2.Metric:
        """Does the round that is due, by these scores; None if it keeps everything. Returns the
        density of the next step.

        Raises TrialFailed if the scores are not finite or rank nothing.
        """
        assert self.pruning is not None, "only where a round is due"
        step = self.position.step + 1
        if scores is None:
            self.pruning.skip()
        else:
            try:
                self.pruning.keep(scores)
            except TrialFailed as error:
                at = (
                    f"round {self.position.rounds + 1} of {len(densities(self.trial.prune))}, "
                    f"before step {step}"
                )
                raise TrialFailed(error.reason, f"{at}: {error.message}") from error
            self._remove(self.pruning.masks)
        self.position.rounds += 1
        return self._density(step)

    def begin_rounds(self) -> Pruning:
        """A fresh pruning for the rounds that take place together now (Prune.repeats)."""
        prune, repeat = self.trial.prune, self.position.rounds + 1
        final = (1 - prune.sparsity) ** (repeat / prune.repeats)
        after_rounds = schedule_to(final, prune.rounds, prune.schedule)
        return Pruning(prune, self.trial.seed, self.layout.prunable_shapes, after_rounds)

    def adopt(self, pruning: Pruning, left_over: list[dict[str, Tensor]]) -> event_pb2.Metric:
        """Ends the rounds of `begin_rounds`: from here on trains with their masks. left_over: what
        each round's scoring left in gradients. Returns the density of the next step."""
        self._remove(pruning.finished())
        self.position.rounds += 1
        if any(left_over):
            self.left_over = torch.zeros_like(self.parameters)
            views = self.layout.views(self.left_over)
            for of_round in left_over:
                for name, gradient in of_round.items():
                    views[name].add_(gradient.to(views[name].device, torch.float32))
        return self._density(self.position.step + 1)

    def _density(self, step: int) -> event_pb2.Metric:
        density = (self.layout.prunable - int(self._removed.sum())) / self.layout.prunable
        return event_pb2.Metric(
            trial_id=self.trial.trial_id, name="density", step=step, value=density
        )

    def choose_rows(self, done: int, total: int) -> Tensor:
        """The rows, out of `total`, for the step after `done` others: the next batch_size rows of
        the epoch's permutation, or what is left in its last step. Called by one thread only."""
        batch = self.trial.train.batch_size
        epoch, step = divmod(done, -(-total // batch))
        if epoch != self._epoch:
            self._epoch, self._order = epoch, permutation(total, self.trial.seed, "order", epoch)
        return self._order[step * batch : (step + 1) * batch]

    def choose_batches(self, done: int, total: int) -> list[Tensor]:
        """The batches, each rows out of `total`, for the step after `done` others: more than one if
        the trial accumulates them."""
        many = self.trial.train.accumulated_batches or 1
        if many == 1:
            return [self.choose_rows(done, total)]
        batches = -(-total // self.trial.train.batch_size)
        steps = max(batches // many, 1)
        epoch, step = divmod(done, steps)
        first = epoch * batches + step * many
        own = range(first, min(first + many, (epoch + 1) * batches))
        # What the epoch before has left over.
        before = range(first - batches % many if step == 0 and epoch > 0 else first, first)
        return [self.choose_rows(batch, total) for batch in (*before, *own)]

    def next_parts(self, owner: int, task: Task) -> list[tuple[AnyPart, float]]:
        """The next step's rows with the trial's modules, in parts that go through the backbone one
        after the other, each with its share of the step's loss."""
        train, adapter = self.trial.train, self.trial.adapter
        dropout = Dropout(
            self.trial.seed, self.position.step + 1, train.dropout, train.attention_dropout
        )
        many = train.accumulated_batches or 1
        shares = [
            (part, 1 / (many * len(parts)))
            for batch in self.choose_batches(self.position.step, task.rows)
            for parts in [batch.split(-(-len(batch) // (train.loss_parts or 1)))]
            for part in parts
        ]
        leaves = self.leaves
        self.refresh()
        return [
            (
                task.part(owner, rows, TrialModules(adapter, leaves, _of_group(dropout, index))),
                share,
            )
            for index, (rows, share) in enumerate(shares)
        ]

    @torch.no_grad()
    def update(self, mean_loss: float, rows: int) -> None:
        """Does one optimizer step with the gradient, which is overwritten.

        Raises TrialFailed (NON_FINITE).
        """
        step, gradient, layout = self.position.step + 1, self.gradient, self.layout
        gradient[: layout.prunable].masked_fill_(self._removed, 0)
        gradient[layout.trained :].zero_()
        if self.left_over is not None:
            gradient.add_(self.left_over)
            self.left_over = None
        norm = float(torch.linalg.vector_norm(gradient))
        self._require_finite(step, "loss", mean_loss)
        self._require_finite(step, "the gradient's norm", norm)
        clip(gradient, norm, self.trial.train.max_grad_norm)
        self.optimizer.update(self.parameters, gradient, self.trial.train, step)
        self._require_finite(step, "the weights' sum", float(self.parameters.sum()))
        self.position.step = step
        self.position.rows += rows
        self._add(mean_loss, norm, rows)

    def time_is_up(self, max_seconds: float) -> event_pb2.Failure:
        """The failure of a trial that has used up its time."""
        message = (
            f"the time limit of {max_seconds:.12g} s was reached at step {self.position.step} of "
            f"{self.trial.train.total_steps}; with a higher limit it continues there"
        )
        return event_pb2.Failure(reason=event_pb2.FAILURE_REASON_TIME_LIMIT, message=message)

    def note(
        self, step: int, loss: float, norm: float, total: float, rows: int
    ) -> event_pb2.Failure | None:
        """Notes the results of a step that was done elsewhere: loss, the gradient's norm, the sum
        of the weights after it, and its rows. Returns the failure if one of them is not finite."""
        try:
            self._require_finite(step, "loss", loss)
            self._require_finite(step, "the gradient's norm", norm)
            self._require_finite(step, "the weights' sum", total)
        except TrialFailed as error:
            return error.failure()
        self._add(loss, norm, rows)
        return None

    def _add(self, mean_loss: float, norm: float, rows: int) -> None:
        self.gradient_norm = norm
        self.position.loss_sum += mean_loss * rows
        self.position.loss_rows += rows

    def _require_finite(self, step: int, name: str, value: float) -> None:
        if not math.isfinite(value):
            message = (
                f"{name} is {value} at step {step}; a lower learning rate (now "
                f"{self.trial.train.learning_rate:g}) may help"
            )
            raise TrialFailed(event_pb2.FAILURE_REASON_NON_FINITE, message)

    def take_metrics(self) -> list[event_pb2.Metric]:
        """Metrics of the latest step; the next loss will be a mean from here on."""
        position = self.position
        values = {
            "loss": position.loss_sum / position.loss_rows,
            "learning_rate": learning_rate(self.trial.train, position.step),
            "grad_norm": self.gradient_norm,
        }
        position.loss_sum, position.loss_rows = 0.0, 0
        return [
            event_pb2.Metric(trial_id=self.trial.trial_id, name=n, step=position.step, value=v)
            for n, v in values.items()
        ]


def _of_group(dropout: Dropout, index: int) -> Drops:
    """A step's dropout for one of the parts that it is computed in."""
    return dropout if index == 0 else GroupDropout(dropout, index)
