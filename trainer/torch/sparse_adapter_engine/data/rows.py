"""Tokenized data sets: ragged rows, and batches of them packed without padding."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from sparse_adapter.trainer.v1 import job_pb2
from torch import Tensor

from sparse_adapter_engine.errors import bad_artifact
from sparse_adapter_engine.files.artifacts import Tensors, read_tensors
from sparse_adapter_engine.files.names import resolve

CLASSIFICATION = job_pb2.TASK_KIND_CLASSIFICATION
QUESTION_ANSWERING = job_pb2.TASK_KIND_QUESTION_ANSWERING
SUMMARIZATION = job_pb2.TASK_KIND_SUMMARIZATION


@dataclass(frozen=True)
class PackedRows:
    """Rows one after the other, without padding. Rows of equal length are neighbours.

    input_ids, token_type_ids, position_ids: int64 [tokens]. prompt: int64 [tokens], which vector of
    the trial's prompt replaces the token, −1 for the rows' own tokens; a row's prompt comes after
    its own tokens. groups: (rows, length) for each run of equal lengths, in order. first: int64
    [rows], where each row begins. order: int64 [rows], which of the requested rows each one is.
    places: int64 [own tokens], where each of the rows' own tokens is in the split. labels: [rows]
    or [rows, 2], as in Split. padding: bool [tokens], True for padding, which is then part of the
    groups' lengths; None without padding. filling: how many tokens after the last row belong to
    none: nothing attends to them, and their results are not used.
    """

    input_ids: Tensor
    token_type_ids: Tensor
    position_ids: Tensor
    prompt: Tensor
    groups: tuple[tuple[int, int], ...]
    first: Tensor
    order: Tensor
    places: Tensor
    labels: Tensor
    padding: Tensor | None = None
    filling: int = 0

    def to(self, device: torch.device) -> "PackedRows":
        """The same rows on a device; order and places stay on the CPU."""
        names = ("input_ids", "token_type_ids", "position_ids", "prompt", "first", "labels")
        moved = {name: getattr(self, name).to(device) for name in names}
        padding = None if self.padding is None else self.padding.to(device)
        return replace(self, **moved, padding=padding)

    @property
    def own_groups(self) -> list[tuple[int, int]]:
        """groups without the rows' prompts."""
        if self.padding is not None:
            return list(self.groups)
        prompt = (self.row_tokens - self.places.numel()) // self.rows
        return [(rows, length - prompt) for rows, length in self.groups]

    @property
    def tokens(self) -> int:
        return self.input_ids.numel()

    @property
    def row_tokens(self) -> int:
        """Without the filling."""
        return self.tokens - self.filling

    @property
    def rows(self) -> int:
        return self.first.numel()

    @property
    def terms(self) -> int:
        """How many terms the mean of the loss has."""
        return self.rows


@dataclass(frozen=True)
class Split:
    """One split in memory. input_ids, token_type_ids: int64 [tokens]; offsets, int64 [rows + 1];
    labels: int64 or float32 [rows], or for QUESTION_ANSWERING int64 [rows, 2], the places of start
    and end in the row; negative or NaN if unknown."""

    name: str
    input_ids: Tensor
    token_type_ids: Tensor
    offsets: Tensor
    labels: Tensor

    @property
    def rows(self) -> int:
        return self.offsets.numel() - 1

    @property
    def lengths(self) -> Tensor:
        """int64 [rows]: tokens of each row."""
        return self.offsets.diff()

    def pack(self, rows: Tensor, prompt: int = 0) -> PackedRows:
        """Packs these rows (int64 [n]), shortest first, rows of equal length in the order given.
        prompt: how many tokens of a prompt each row gets after its own."""
        own, order = self.lengths[rows].sort(stable=True)
        rows, lengths = rows[order], own + prompt
        first = lengths.cumsum(0) - lengths
        places = torch.arange(int(lengths.sum())) - first.repeat_interleave(lengths)
        prompts = (places - own.repeat_interleave(lengths)).clamp(min=-1)
        # Attention ignores order, so a prompt may be anywhere. Its tokens repeat the row's first
        # until vectors replace them.
        positions = torch.where(prompts < 0, places, 0)
        tokens = self.offsets[rows].repeat_interleave(lengths) + positions
        distinct, counts = lengths.unique_consecutive(return_counts=True)
        groups = tuple(zip(counts.tolist(), distinct.tolist(), strict=True))
        ids, types = self.input_ids[tokens], self.token_type_ids[tokens]
        return PackedRows(
            ids,
            types,
            positions,
            prompts,
            groups,
            first,
            order,
            tokens[prompts < 0],
            self.labels[rows],
        )


def pad(pack: PackedRows, tokens: int, token: int, counts_padding: bool) -> PackedRows:
    """The rows of a pack without prompts, each padded with `token` to `tokens` tokens.
    counts_padding: whether padding has the positions after the row's own, or the place before the
    first one, −1.

    Raises JobFailed (BAD_ARTIFACT) if a row is longer.
    """
    lengths = torch.tensor([length for rows, length in pack.groups for _ in range(rows)])
    if int(lengths.max()) > tokens:
        raise bad_artifact(
            f"a row has {int(lengths.max())} tokens; adapter.padded_tokens is {tokens}, and no row "
            "may be longer"
        )
    places = torch.arange(tokens).expand(len(lengths), -1)
    own = places < lengths.unsqueeze(1)

    def padded(values: Tensor, fill: Tensor | int) -> Tensor:
        result = torch.empty(own.shape, dtype=values.dtype)
        result[own] = values
        result[~own] = fill if isinstance(fill, int) else fill[~own]
        return result.flatten()

    return replace(
        pack,
        input_ids=padded(pack.input_ids, token),
        token_type_ids=padded(pack.token_type_ids, 0),
        position_ids=padded(pack.position_ids, places if counts_padding else -1),
        prompt=padded(pack.prompt, -1),
        groups=((len(lengths), tokens),),
        first=torch.arange(len(lengths)) * tokens,
        padding=~own.flatten(),
    )


def fill(pack: PackedRows, multiple: int) -> PackedRows:
    """The pack with the fewest tokens of filling that make its tokens a multiple of `multiple`."""
    filling = -pack.tokens % multiple
    if not filling:
        return pack

    def filled(values: Tensor) -> Tensor:
        # Any token will do that has an embedding and a position.
        return torch.cat([values, values[:1].expand(filling)])

    return replace(
        pack,
        input_ids=filled(pack.input_ids),
        token_type_ids=filled(pack.token_type_ids),
        position_ids=filled(pack.position_ids),
        prompt=torch.cat([pack.prompt, pack.prompt.new_full((filling,), -1)]),
        filling=filling,
    )


# The tensors to learn from.
_LEARNED = {
    CLASSIFICATION: ("labels",),
    job_pb2.TASK_KIND_REGRESSION: ("labels",),
    QUESTION_ANSWERING: ("start_positions", "end_positions"),
}


def load_split(
    root: Path, dataset: job_pb2.Dataset, name: str, vocabulary: int, token_types: int, longest: int
) -> Split:
    """Reads `<dataset>/<name>.safetensors` and checks it against the backbone's limits: vocabulary
    size, token types, positions.

    Raises JobFailed (BAD_ARTIFACT), which names the file, the tensor and what would be right.
    """
    path = resolve(root, f"{dataset.name}/{name}.safetensors")
    tensors = read_tensors(path)
    learned = _LEARNED[dataset.task_kind]
    missing = [
        key for key in ("input_ids", "offsets", "token_type_ids", *learned) if key not in tensors
    ]
    if missing:
        raise bad_artifact(
            f"{path} has no tensor {missing[0]}; a split holds input_ids, offsets, token_type_ids, "
            f"{', '.join(learned)}"
        )
    types, require = tensors["token_type_ids"].long(), partial(require_tensor, path)
    ids, offsets = read_rows(path, tensors, vocabulary, longest)
    lengths = offsets.diff()
    require(
        types.numel() == ids.numel(),
        "token_type_ids",
        f"must have one value per token, {ids.numel()}",
    )
    require(
        int(types.max()) < token_types,
        "token_type_ids",
        f"must be less than {token_types}, the backbone's number of token types",
    )
    for name_of_tensor in learned:
        require(
            tensors[name_of_tensor].shape == lengths.shape,
            name_of_tensor,
            f"must have one value per row, {lengths.numel()}",
        )
    if dataset.task_kind == QUESTION_ANSWERING:
        labels = torch.stack([tensors[name_of_tensor].long() for name_of_tensor in learned], 1)
        for name_of_tensor, places in zip(learned, labels.unbind(1), strict=True):
            inside = bool(((places >= -1) & (places < lengths)).all())
            require(
                inside,
                name_of_tensor,
                "must be token positions in their rows, or −1 if unknown",
            )
    elif dataset.task_kind == CLASSIFICATION:
        labels = tensors["labels"].long()
        inside = int(labels.min()) >= -1 and int(labels.max()) < dataset.num_labels
        require(inside, "labels", f"must be a class in [0, {dataset.num_labels}), or −1 for none")
    else:
        labels = tensors["labels"].float()
    return Split(name, ids, types, offsets, labels)


def read_rows(
    path: Path, tensors: Tensors, vocabulary: int, longest: int | None
) -> tuple[Tensor, Tensor]:
    """input_ids int64 [tokens] and offsets int64 [rows + 1] of a split's tensors. longest: maximum
    tokens per row, or None for no limit.

    Raises JobFailed (BAD_ARTIFACT) as `load_split` does.
    """
    ids, offsets, require = (
        tensors["input_ids"].long(),
        tensors["offsets"].long(),
        partial(require_tensor, path),
    )
    lengths = offsets.diff()
    require(offsets.numel() > 1, "offsets", "has no row; a split has at least one")
    require(
        int(offsets[0]) == 0 and int(offsets[-1]) == ids.numel(),
        "offsets",
        f"must run from 0 to the {ids.numel()} tokens of input_ids",
    )
    require(int(lengths.min()) > 0, "offsets", "must rise: every row has at least one token")
    most = int(lengths.max())
    require(
        longest is None or most <= longest,
        "offsets",
        f"has a row of {most} tokens; the backbone takes at most {longest}",
    )
    require(
        int(ids.min()) >= 0 and int(ids.max()) < vocabulary,
        "input_ids",
        f"must be in [0, {vocabulary}), the backbone's vocabulary",
    )
    return ids, offsets


def require_tensor(path: Path, holds: bool, tensor: str, right: str) -> None:
    """Raises JobFailed (BAD_ARTIFACT), which says what would be right for the file's tensor, unless
    `holds`."""
    if not holds:
        raise bad_artifact(f"{path}: {tensor} {right}")


def require_labels(split: Split, dataset: job_pb2.Dataset) -> None:
    """Raises JobFailed (BAD_ARTIFACT) if a row to learn from has no label."""
    missing = split.labels < 0 if split.labels.dtype == torch.int64 else ~split.labels.isfinite()
    if missing.any():
        row, *which = missing.nonzero()[0].tolist()
        tensor = _LEARNED[dataset.task_kind][which[0] if which else 0]
        raise bad_artifact(
            f"{dataset.name}/{split.name}.safetensors: {tensor}: row {row} has no label; every row "
            "to learn from needs one"
        )
