"""A round's scores. Pruners that read rows score many trials at once, and trials that would score
the same weights on the same rows share them."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from sparse_adapter.trainer.v1 import job_pb2
from torch import Tensor

from sparse_adapter_engine.backbones.backbone import Backbone
from sparse_adapter_engine.keys import permutation
from sparse_adapter_engine.modules.forms import is_named
from sparse_adapter_engine.modules.layout import is_prunable
from sparse_adapter_engine.modules.trial_modules import TrialModules
from sparse_adapter_engine.pruners import find_pruner
from sparse_adapter_engine.pruners.pruner import Derived, GradientPruner, Round, RowlessPruner
from sparse_adapter_engine.tasks.losses import loss
from sparse_adapter_engine.tasks.part import Part
from sparse_adapter_engine.tasks.task import AnyPart, Task

from .official_rules import frozen_names, grasp_direction
from .pruning import Pruning
from .scores import Masks, Scores

_Gradients = dict[str, Tensor]
# How many values the gradients of a pass may have together, unless a single part has more.
_PASS_GRADIENTS = 64_000_000
# Called after each pass with its rows; may raise to stop.
Passed = Callable[[int], None]


@dataclass
class Start:
    """What some trials share: weights by name, and the rows to score on (int64). trial: one of
    them; prunings: by trial id, of those whose rounds are not over. If there is more than one
    round, they all go through the same masks. shared: all that determines the scores beside
    backbone and data set. left_over: what the last round's scoring leaves in the gradients of
    trained tensors that are not prunable, where the trial keeps it."""

    trial: job_pb2.Trial
    prunings: dict[str, Pruning]
    weights: dict[str, Tensor]
    rows: Tensor
    shared: Hashable = None
    left_over: dict[str, Tensor] = field(default_factory=dict)

    @property
    def masks(self) -> Masks:
        return next(iter(self.prunings.values())).masks

    @property
    def pruner(self) -> GradientPruner:
        return find_gradient_pruner(self.trial.prune)

    @property
    def by_official_rules(self) -> bool:
        return self.trial.prune.rules == job_pb2.MASK_RULES_OFFICIAL

    @property
    def batch_rows(self) -> int:
        """Rows of a batch, of whose mean loss the gradient is taken."""
        if self.pruner.squares_rows:
            return 1
        return self.trial.prune.scoring_batch or self.rows.numel()

    @property
    def scored_rows(self) -> int:
        """Rows that go through the encoder for one round's scores."""
        return self.rows.numel() * (2 if self.pruner.uses_curvature else 1)


def group_starts(
    trials: list[tuple[job_pb2.Trial, Pruning]],
    task: Task,
    start: Callable[[job_pb2.Trial], dict[str, Tensor]],
) -> list[Start]:
    """The starting points of these trials, whose pruners read rows.

    `start` gives a trial's first weights.
    """
    starts: dict[tuple[int, float, bytes, bytes], Start] = {}
    for trial, pruning in trials:
        rows = choose_scoring_rows(trial, task)
        adapter = trial.adapter.SerializeToString(deterministic=True)
        same = (
            trial.seed,
            trial.train.label_smoothing,
            adapter,
            _shared(trial.prune, rows.numel()),
        )
        if same not in starts:
            starts[same] = Start(trial, {}, start(trial), rows, same)
        starts[same].prunings[trial.trial_id] = pruning
    return list(starts.values())


def _shared(prune: job_pb2.Prune, rows: int) -> bytes:
    """What determines the scores of all rounds: for a single round not the number kept, and never a
    control of the finished mask."""
    shared = job_pb2.Prune(
        pruner=prune.pruner,
        scoring_rows=rows,
        scoring_batch=prune.scoring_batch,
        rules=prune.rules,
        scoring_head=prune.scoring_head,
        scoring_head_steps=prune.scoring_head_steps,
    )
    if find_pruner(prune).has_temperature:
        shared.temperature = prune.temperature
    if prune.rounds > 1:
        shared.sparsity, shared.scope, shared.rounds, shared.schedule = (
            prune.sparsity,
            prune.scope,
            prune.rounds,
            prune.schedule,
        )
        shared.structure = prune.structure
        if prune.rules == job_pb2.MASK_RULES_OFFICIAL:
            # By these rules it inverts each round's scores.
            shared.control = prune.control
    serialized: bytes = shared.SerializeToString(deterministic=True)
    return serialized


def choose_scoring_rows(trial: job_pb2.Trial, task: Task) -> Tensor:
    """Row numbers, int64: the first of a permutation keyed by the seed. A pruner that balances
    classes takes a row of each class in turn, while it has any, unless the rules are the official
    ones."""
    order = permutation(task.rows, trial.seed, "scoring rows")
    balanced = (
        find_pruner(trial.prune).balances_classes
        and trial.prune.rules != job_pb2.MASK_RULES_OFFICIAL
    )
    if balanced and task.classes is not None:
        labels = task.classes[order]
        classes = int(labels.max()) + 1
        turns = torch.empty_like(order)
        for label in range(classes):
            members = (labels == label).nonzero().squeeze(1)
            turns[members] = torch.arange(members.numel())
        order = order[(turns * classes + labels).argsort()]
    return order[: trial.prune.scoring_rows]


def find_gradient_pruner(prune: job_pb2.Prune) -> GradientPruner:
    """The pruner of a Prune whose pruner reads rows."""
    pruner = find_pruner(prune)
    assert isinstance(pruner, GradientPruner), "only where the pruner reads rows"
    return pruner


def score_without_rows(
    trial: job_pb2.Trial, pruning: Pruning, backbone: Backbone, tensors: dict[str, Tensor]
) -> Round:
    """The trial's next round, scored by a pruner that reads no rows.

    tensors: the trial's by name, on the CPU.
    """
    pruner = find_pruner(trial.prune)
    assert isinstance(pruner, RowlessPruner), "one that reads rows is scored by `score`"
    weights = {name: tensors[name] for name in pruning.masks}
    others = {name: tensor for name, tensor in tensors.items() if name not in weights}
    now = Round(
        trial,
        pruning.rounds_done,
        pruning.masks,
        weights,
        backbone.blocks,
        backbone.hidden,
        others,
    )
    if trial.prune.rules == job_pb2.MASK_RULES_OFFICIAL:
        now.frozen = {
            name: backbone.frozen_matrix(frozen)
            for name, frozen in frozen_names(now.shapes).items()
        }
    now.scores = pruner.score(now)
    return now


def score(task: Task, starts: Sequence[Start], passed: Passed) -> list[Scores]:
    """Each start's scores of a round, on the CPU, by pruners that read rows, at the start's masked
    weights. Gradients are of the mean loss over the start's rows without dropout, summed in row
    order."""
    cohort = _Cohort(task, starts, passed)
    found = cohort.sum_over_rows(range(len(starts)), cohort.gradients)
    for owner, start in enumerate(starts):
        start.left_over = cohort.take_left_over(found[owner])
    curved = [owner for owner, start in enumerate(starts) if start.pruner.uses_curvature]
    if curved:
        # Removed weights stay 0, so their gradients do not count in the gradient's norm.
        cohort.directions = {owner: _masked(found[owner], starts[owner].masks) for owner in curved}
        for owner in curved:
            if starts[owner].by_official_rules:
                cohort.directions[owner] = grasp_direction(cohort.directions[owner])
        found |= cohort.sum_over_rows(curved, cohort.hessian_products)
        for owner in curved:
            starts[owner].left_over = cohort.take_left_over(found[owner])
    return [
        start.pruner.score(
            Derived(
                weights=_on_cpu({name: cohort.weights[owner][name] for name in found[owner]}),
                unmasked=_on_cpu({name: start.weights[name] for name in found[owner]}),
                derivative=_on_cpu(found[owner]),
                by_official_rules=start.by_official_rules,
            )
        )
        for owner, start in enumerate(starts)
    ]


def _kept_names(start: Start) -> list[str]:
    """The tensors that are not prunable whose gradients the trial keeps."""
    adapter = start.trial.adapter
    if not start.trial.prune.keeps_scoring_gradients:
        return []
    return [
        name
        for name in start.weights
        if name not in start.masks and not is_named(name, adapter.frozen)
    ]


def _on_cpu(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.cpu() for name, tensor in tensors.items()}


def _masked(tensors: dict[str, Tensor], masks: Masks) -> dict[str, Tensor]:
    return {name: tensor * masks[name].to(tensor.device) for name, tensor in tensors.items()}


class _Cohort:
    """Starts whose derivatives are taken together. An owner is an index into the starts."""

    def __init__(self, task: Task, starts: Sequence[Start], passed: Passed) -> None:
        self._task, self._starts, self._passed = task, starts, passed
        device = task.backbone.device
        placed = [
            {name: weight.to(device) for name, weight in start.weights.items()} for start in starts
        ]
        # The weights to differentiate by: the prunable ones, masked, and others that are trained,
        # where their gradients are kept. The rest is in _fixed.
        self.weights = [
            _masked({name: weights[name] for name in start.masks}, start.masks)
            | {name: weights[name] for name in _kept_names(start)}
            for start, weights in zip(starts, placed, strict=True)
        ]
        self._fixed = [
            {name: weight for name, weight in weights.items() if name not in own}
            for weights, own in zip(placed, self.weights, strict=True)
        ]
        # By owner: the g of H g.
        self.directions: dict[int, _Gradients] = {}

    def sum_over_rows(
        self, owners: Sequence[int], derivative: Callable[[list[AnyPart]], list[_Gradients]]
    ) -> dict[int, _Gradients]:
        """By owner: the sum over its rows of what `derivative` gives for each part of a pass,
        weighted by the part's share of the terms in the mean loss; or of its squares, if the
        owner's pruner squares rows."""
        parts: list[AnyPart] = []
        # By part: its batch. A batch's gradient is that of its mean loss.
        batches: list[int] = []
        # By batch: the terms in its mean loss.
        terms: list[int] = []
        for owner in owners:
            tensors, start = self._fixed[owner] | self.weights[owner], self._starts[owner]
            for batch in start.rows.split(start.batch_rows):
                of_batch = [
                    self._task.part(
                        owner, rows, TrialModules(start.trial.adapter, tensors, dropout=None)
                    )
                    for rows in batch.split(self._task.scored_rows)
                ]
                batches += [len(terms)] * len(of_batch)
                terms.append(sum(part.pack.terms for part in of_batch))
                parts += of_batch
        of_part = iter(batches)
        sums = {
            owner: {name: torch.zeros_like(weight) for name, weight in self.weights[owner].items()}
            for owner in owners
        }
        for group in self._passes(parts):
            for part, found in zip(group, derivative(group), strict=True):
                share = part.pack.terms / terms[next(of_part)]
                squares = self._starts[part.owner].pruner.squares_rows
                for name, summand in found.items():
                    if squares:
                        sums[part.owner][name].addcmul_(summand, summand)
                    else:
                        sums[part.owner][name].add_(summand, alpha=share)
            self._passed(sum(part.pack.rows for part in group))
        return sums

    def _passes(self, parts: list[AnyPart]) -> Iterator[list[AnyPart]]:
        """Groups parts that go through the backbone together, and whose gradients fit in memory:
        each part has its own."""
        for group in self._task.passes(parts, self._task.how.scored_tokens):
            some: list[AnyPart] = []
            room = _PASS_GRADIENTS
            for part in group:
                size = sum(weight.numel() for weight in self.weights[part.owner].values())
                if some and size > room:
                    yield some
                    some, room = [], _PASS_GRADIENTS
                some.append(part)
                room -= size
            yield some

    def take_left_over(self, found: _Gradients) -> _Gradients:
        """Takes the gradients of tensors that are not prunable out of an owner's."""
        others = [name for name in found if not is_prunable(name)]
        return {name: found.pop(name) for name in others}

    def gradients(self, group: list[AnyPart]) -> list[_Gradients]:
        """For each part: the gradient of its own mean loss."""
        leaves = self._leaves(group)
        return _by_part(
            torch.autograd.grad(
                self._losses(group, leaves, twice_differentiable=False),
                _flat(leaves),
                materialize_grads=True,
            ),
            leaves,
        )

    def hessian_products(self, group: list[AnyPart]) -> list[_Gradients]:
        """For each part: the Hessian of its own mean loss times its owner's direction, as the
        gradient of the product of gradient and direction."""
        leaves = self._leaves(group)
        first = torch.autograd.grad(
            self._losses(group, leaves, twice_differentiable=True), _flat(leaves), create_graph=True
        )
        products = [
            torch.stack(
                [
                    (gradients[name] * direction).sum()
                    for name, direction in self.directions[part.owner].items()
                ]
            ).sum()
            for part, gradients in zip(group, _by_part(first, leaves), strict=True)
        ]
        return _by_part(
            torch.autograd.grad(products, _flat(leaves), materialize_grads=True), leaves
        )

    def _leaves(self, group: list[AnyPart]) -> list[dict[str, Tensor]]:
        """The weights to differentiate by, separate for each part: an owner may have several in a
        pass."""
        return [
            {
                name: weight.detach().requires_grad_()
                for name, weight in self.weights[part.owner].items()
            }
            for part in group
        ]

    def _losses(
        self, group: list[AnyPart], leaves: list[dict[str, Tensor]], twice_differentiable: bool
    ) -> list[Tensor]:
        own = [
            Part(
                part.owner,
                part.pack,
                TrialModules(part.modules.adapter, part.modules.tensors | leaf, dropout=None),
            )
            for part, leaf in zip(group, leaves, strict=True)
        ]
        logits = self._task.logits(own, twice_differentiable)
        return [
            loss(
                self._task.kind,
                self._cooled(part.owner, found),
                part.pack,
                self._starts[part.owner].trial.train.label_smoothing,
            )
            for part, found in zip(own, logits, strict=True)
        ]

    def _cooled(self, owner: int, logits: Tensor) -> Tensor:
        start = self._starts[owner]
        return logits / start.trial.prune.temperature if start.pruner.has_temperature else logits


def _flat(leaves: list[dict[str, Tensor]]) -> list[Tensor]:
    return [weight for leaf in leaves for weight in leaf.values()]


def _by_part(flat: Sequence[Tensor], leaves: list[dict[str, Tensor]]) -> list[_Gradients]:
    rest = iter(flat)
    return [{name: next(rest) for name in leaf} for leaf in leaves]
