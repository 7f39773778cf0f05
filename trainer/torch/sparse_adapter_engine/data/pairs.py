"""Tokenized data sets of texts and targets for encoder–decoders, and batches of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from sparse_adapter.trainer.v1 import job_pb2
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from sparse_adapter_engine.errors import bad_artifact
from sparse_adapter_engine.files.artifacts import Tensors, read_tensors
from sparse_adapter_engine.files.names import resolve

from .length_groups import CPU_GROUP_TOKENS, group_sizes
from .rows import read_rows, require_tensor

# Rows of one trial per forward when scoring, on every device: logits over a vocabulary for each
# target token, and activations of long texts, take more memory than an encoder's rows.
PART_ROWS = 32


@dataclass(frozen=True)
class PairGroup:
    """Rows that are padded together, texts and targets each on the right to the longest; in a
    stack, equally many of each trial, trial after trial.

    input_ids: int64 [rows, prompt + tokens], the prompt's places first. lengths: int64 [rows],
    places without padding. is_padded: whether any place is padding. target_ids: int64 [rows, target
    tokens], −100 for padding.
    """

    input_ids: Tensor
    lengths: Tensor
    is_padded: bool
    target_ids: Tensor

    @property
    def attended(self) -> Tensor:
        """bool, in input_ids' shape: False for padding."""
        places = torch.arange(self.input_ids.shape[1], device=self.lengths.device)
        return places < self.lengths.unsqueeze(1)


@dataclass(frozen=True)
class PaddedPairs:
    """Rows of one trial, or of a stack of trials, in groups of similar length, shortest first.

    target_places: int64 [target tokens of all rows], where each is in the groups' targets,
    flattened one group after the other; ordered row by row, trial after trial. labels: the tokens
    there. terms_of: how many of them each trial has. orders: for each trial int64 [rows], which of
    the requested rows each one is.
    """

    groups: tuple[PairGroup, ...]
    target_places: Tensor
    labels: Tensor
    terms_of: tuple[int, ...]
    orders: tuple[Tensor, ...]

    def to(self, device: torch.device) -> "PaddedPairs":
        """The same rows on a device, in one asynchronous copy; orders stay on the CPU."""
        tensors = [self.target_places, self.labels]
        for group in self.groups:
            tensors += [group.input_ids, group.lengths, group.target_ids]
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        if device.type == "cuda":
            flat = flat.pin_memory()
        parts = flat.to(device, non_blocking=True).split([tensor.numel() for tensor in tensors])
        places, labels, *rest = (
            part.view(tensor.shape) for part, tensor in zip(parts, tensors, strict=True)
        )
        threes = zip(rest[::3], rest[1::3], rest[2::3], strict=True)
        groups = [
            replace(group, input_ids=ids, lengths=lengths, target_ids=targets)
            for group, (ids, lengths, targets) in zip(self.groups, threes, strict=True)
        ]
        return replace(self, groups=tuple(groups), target_places=places, labels=labels)

    @property
    def order(self) -> Tensor:
        """orders of a single trial."""
        (order,) = self.orders
        return order

    @property
    def rows(self) -> int:
        return sum(order.numel() for order in self.orders)

    @property
    def tokens(self) -> int:
        """Tokens that the model computes, with padding."""
        return sum(group.input_ids.numel() + group.target_ids.numel() for group in self.groups)

    @property
    def terms(self) -> int:
        """How many terms the mean of the loss has."""
        return self.labels.numel()


@dataclass(frozen=True)
class PairSplit:
    """One split in memory. input_ids: int64 [tokens]; offsets: int64 [rows + 1]; target_ids and
    target_offsets are the same for targets, with an empty range for an unknown target."""

    name: str
    input_ids: Tensor
    offsets: Tensor
    target_ids: Tensor
    target_offsets: Tensor

    @property
    def rows(self) -> int:
        return self.offsets.numel() - 1

    @property
    def lengths(self) -> Tensor:
        """int64 [rows]: tokens of each row, without its target."""
        return self.offsets.diff()

    def pack(
        self, rows: Tensor, prompt: int = 0, group_tokens: float = CPU_GROUP_TOKENS
    ) -> PaddedPairs:
        """These rows (int64 [n]) of one trial, shortest first. prompt: how many places each row
        gets for a prompt, before its own tokens; group_tokens: the cost of one more group
        (length_groups.py)."""
        return self.pack_stack([rows], prompt, group_tokens)

    def pack_stack(
        self, rows_of: Sequence[Tensor], prompt: int, group_tokens: float
    ) -> PaddedPairs:
        """Packs each trial's rows, as `pack` does. A trial with fewer rows than another gets rows
        of one token, without a target, before its own."""
        sorted_rows, orders = [], []
        for rows in rows_of:
            order = self.lengths[rows].sort(stable=True).indices
            orders.append(order)
            sorted_rows.append(rows[order])
        most = max(rows.numel() for rows in sorted_rows)
        texts, targets = (
            [
                [ids[:least]] * (most - rows.numel())
                + [ids[begin:end] for begin, end in _ranges(offsets, rows)]
                for rows in sorted_rows
            ]
            for ids, offsets, least in (
                (self.input_ids, self.offsets, 1),
                (self.target_ids, self.target_offsets, 0),
            )
        )
        sizes = group_sizes(_longest(texts), _longest(targets), group_tokens, len(rows_of))
        # Any token will do: a prompt's vector replaces it.
        places = self.input_ids.new_zeros(prompt)
        groups: list[PairGroup] = []
        target_places: list[list[Tensor]] = [[] for _ in rows_of]
        begin = first = 0
        for size in sizes:
            these = slice(begin, begin + size)
            own = [torch.cat([places, text]) for of_trial in texts for text in of_trial[these]]
            theirs = [target for of_trial in targets for target in of_trial[these]]
            lengths = [text.numel() for text in own]
            target_ids = _padded(theirs, -100)
            groups.append(
                PairGroup(
                    _padded(own, 0), torch.tensor(lengths), min(lengths) < max(lengths), target_ids
                )
            )
            of_each = target_ids.numel() // len(rows_of)
            for trial, of_trial in enumerate(target_places):
                block = target_ids.view(-1)[trial * of_each :][:of_each]
                of_trial.append((block >= 0).nonzero().squeeze(1) + first + trial * of_each)
            begin, first = begin + size, first + target_ids.numel()
        by_trial = [torch.cat(of_trial) for of_trial in target_places]
        all_places = torch.cat(by_trial)
        labels = torch.cat([group.target_ids.reshape(-1) for group in groups])[all_places]
        return PaddedPairs(
            tuple(groups),
            all_places,
            labels,
            tuple(each.numel() for each in by_trial),
            tuple(orders),
        )


def _longest(of_trials: list[list[Tensor]]) -> list[int]:
    """For each place in the trials' rows, the tokens of the longest row there."""
    return [max(row.numel() for row in rows) for rows in zip(*of_trials, strict=True)]


def _ranges(offsets: Tensor, rows: Tensor) -> list[tuple[int, int]]:
    return list(zip(offsets[rows].tolist(), offsets[rows + 1].tolist(), strict=True))


def _padded(rows: list[Tensor], value: float) -> Tensor:
    return pad_sequence(rows, batch_first=True, padding_value=value)


def load_pairs(
    root: Path, dataset: job_pb2.Dataset, name: str, vocabulary: int, longest: int | None
) -> PairSplit:
    """Reads `<dataset>/<name>.safetensors` and checks it against the backbone's limits: vocabulary
    size, positions (None: any number) of texts and of targets.

    Raises JobFailed (BAD_ARTIFACT), which names the file, the tensor and what would be right.
    """
    path = resolve(root, f"{dataset.name}/{name}.safetensors")
    tensors = read_tensors(path)
    wanted = ("input_ids", "offsets", "target_ids", "target_offsets")
    missing = [key for key in wanted if key not in tensors]
    if missing:
        raise bad_artifact(
            f"{path} has no tensor {missing[0]}; a split for summarization holds "
            f"{', '.join(wanted)}"
        )
    ids, offsets = read_rows(path, tensors, vocabulary, longest)
    return PairSplit(
        name, ids, offsets, *_read_targets(path, tensors, offsets.numel() - 1, vocabulary, longest)
    )


def _read_targets(
    path: Path, tensors: Tensors, rows: int, vocabulary: int, longest: int | None
) -> tuple[Tensor, Tensor]:
    ids, offsets = tensors["target_ids"].long(), tensors["target_offsets"].long()
    require = partial(require_tensor, path)
    require(
        offsets.numel() == rows + 1,
        "target_offsets",
        f"must have one value more than there are rows, {rows + 1}",
    )
    runs = int(offsets[0]) == 0 and int(offsets[-1]) == ids.numel()
    require(runs, "target_offsets", f"must run from 0 to the {ids.numel()} tokens of target_ids")
    lengths = offsets.diff()
    require(int(lengths.min()) >= 0, "target_offsets", "must not fall")
    most = int(lengths.max())
    require(
        longest is None or most <= longest,
        "target_offsets",
        f"has a target of {most} tokens; the backbone takes at most {longest}",
    )
    known = ids.numel() == 0 or (int(ids.min()) >= 0 and int(ids.max()) < vocabulary)
    require(known, "target_ids", f"must be in [0, {vocabulary}), the backbone's vocabulary")
    return ids, offsets


def require_targets(split: PairSplit, dataset: job_pb2.Dataset) -> None:
    """Raises JobFailed (BAD_ARTIFACT) if a row to learn from has no target."""
    missing = (split.target_offsets.diff() == 0).nonzero()
    if missing.numel():
        row, path = int(missing[0]), f"{dataset.name}/{split.name}.safetensors"
        raise bad_artifact(
            f"{path}: target_offsets: row {row} has no target; every row to learn from needs one"
        )
