"""Tokenized data sets of texts and targets, for encoder–decoders, and batches of them."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from sparse_adapter.trainer.v1 import job_pb2
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from .artifacts import Tensors, read_tensors, resolve
from .dataset import read_rows, require_tensor
from .errors import bad_artifact


@dataclass(frozen=True)
class PaddedPairs:
    """Rows of one trial, each padded on the right to the longest of them, and their targets likewise.

    input_ids: int64 [rows, prompt + tokens], the prompt's places first; attended: bool of this shape, False where padded. target_ids: int64
    [rows, target tokens], −100 where padded. order: int64 [rows], which of the asked rows each one is.
    """

    input_ids: Tensor
    attended: Tensor
    target_ids: Tensor
    order: Tensor

    def to(self, device: torch.device) -> "PaddedPairs":
        """The same rows on a device; order stays on the CPU."""
        return replace(self, **{name: getattr(self, name).to(device) for name in ("input_ids", "attended", "target_ids")})

    @property
    def rows(self) -> int:
        return self.input_ids.shape[0]

    @property
    def tokens(self) -> int:
        """Tokens that the model computes, padding among them."""
        return self.input_ids.numel() + self.target_ids.numel()

    @property
    def is_target(self) -> Tensor:
        """bool, target_ids' shape: False where padded."""
        return self.target_ids >= 0

    @property
    def labels(self) -> Tensor:
        """int64 [target tokens of all rows], one row after the other."""
        return self.target_ids[self.is_target]

    @property
    def terms(self) -> int:
        """How many terms the mean of the loss has."""
        return int(self.is_target.sum())


@dataclass(frozen=True)
class PairSplit:
    """One split in memory. input_ids: int64 [tokens]; offsets: int64 [rows + 1]; target_ids and target_offsets likewise, an empty range
    where a row's target is not known."""

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
        """int64 [rows]: tokens of each row, its target's apart."""
        return self.offsets.diff()

    def pack(self, rows: Tensor, prompt: int = 0) -> PaddedPairs:
        """These rows (int64 [n]), shortest first. prompt: how many places for a prompt's tokens each row gets before its own."""
        _, order = self.lengths[rows].sort(stable=True)
        inputs, targets = ([ids[begin:end] for begin, end in _ranges(offsets, rows[order])] for ids, offsets in self._ragged())
        ones = [torch.ones(prompt + tokens.numel(), dtype=torch.bool) for tokens in inputs]
        # Any token will do where nothing is attended to, or where a prompt's vector takes its place.
        places = [torch.cat([tokens.new_zeros(prompt), tokens]) for tokens in inputs]
        return PaddedPairs(_padded(places, 0), _padded(ones, False), _padded(targets, -100), order)

    def _ragged(self) -> list[tuple[Tensor, Tensor]]:
        return [(self.input_ids, self.offsets), (self.target_ids, self.target_offsets)]


def _ranges(offsets: Tensor, rows: Tensor) -> list[tuple[int, int]]:
    return list(zip(offsets[rows].tolist(), offsets[rows + 1].tolist(), strict=True))


def _padded(rows: list[Tensor], value: float) -> Tensor:
    return pad_sequence(rows, batch_first=True, padding_value=value)


def load_pairs(root: Path, dataset: job_pb2.Dataset, name: str, vocabulary: int, longest: int | None) -> PairSplit:
    """Reads `<dataset>/<name>.safetensors` and checks it against the backbone's limits: vocabulary size, positions (None: any number) of
    texts and of targets.

    Raises JobFailed (BAD_ARTIFACT) that names the file, the tensor and what would be right.
    """
    path = resolve(root, f"{dataset.name}/{name}.safetensors")
    tensors = read_tensors(path)
    wanted = ("input_ids", "offsets", "target_ids", "target_offsets")
    missing = [key for key in wanted if key not in tensors]
    if missing:
        raise bad_artifact(f"{path} has no tensor {missing[0]}; a split for summarization holds {', '.join(wanted)}")
    ids, offsets = read_rows(path, tensors, vocabulary, longest)
    return PairSplit(name, ids, offsets, *_read_targets(path, tensors, offsets.numel() - 1, vocabulary, longest))


def _read_targets(path: Path, tensors: Tensors, rows: int, vocabulary: int, longest: int | None) -> tuple[Tensor, Tensor]:
    ids, offsets = tensors["target_ids"].long(), tensors["target_offsets"].long()
    require = partial(require_tensor, path)
    require(offsets.numel() == rows + 1, "target_offsets", f"must have one value more than there are rows, {rows + 1}")
    runs = int(offsets[0]) == 0 and int(offsets[-1]) == ids.numel()
    require(runs, "target_offsets", f"must run from 0 to the {ids.numel()} tokens of target_ids")
    lengths = offsets.diff()
    require(int(lengths.min()) >= 0, "target_offsets", "must not fall")
    most = int(lengths.max())
    require(longest is None or most <= longest, "target_offsets", f"has a target of {most} tokens; the backbone takes at most {longest}")
    known = ids.numel() == 0 or (int(ids.min()) >= 0 and int(ids.max()) < vocabulary)
    require(known, "target_ids", f"must be in [0, {vocabulary}), the backbone's vocabulary")
    return ids, offsets


def require_targets(split: PairSplit, dataset: job_pb2.Dataset) -> None:
    """Raises JobFailed (BAD_ARTIFACT) where a row to learn from has no target."""
    missing = (split.target_offsets.diff() == 0).nonzero()
    if missing.numel():
        row, path = int(missing[0]), f"{dataset.name}/{split.name}.safetensors"
        raise bad_artifact(f"{path}: target_offsets: row {row} has no target; every row to learn from needs one")
