"""Summarization: texts and targets for an encoder–decoder."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sparse_adapter.trainer.v1 import job_pb2
from torch import Tensor

from sparse_adapter_engine.backbones.encoder_decoder.encoder_decoder import EncoderDecoder
from sparse_adapter_engine.data.pairs import PART_ROWS, PaddedPairs, PairSplit, load_pairs
from sparse_adapter_engine.device.how import How
from sparse_adapter_engine.modules.trial_modules import TrialModules
from sparse_adapter_engine.stacked.operations import Operations
from sparse_adapter_engine.stacked.pair_pass import PairPass, pair_form
from sparse_adapter_engine.stacked.trained_stacks import TrainedTrial

from .part import Part
from .task import Adapted
from .texts import generate_texts, group_companies


@dataclass(frozen=True)
class PairTask:
    """See Task."""

    backbone: EncoderDecoder
    split: PairSplit
    kind: int
    how: How

    # Targets are texts.
    classes = None
    numbers = None
    scored_rows = PART_ROWS

    @property
    def rows(self) -> int:
        """See Task."""
        return self.split.rows

    @property
    def lengths(self) -> Tensor:
        """See Task."""
        return self.split.lengths

    def part(self, owner: int, rows: Tensor, modules: TrialModules) -> Part[PaddedPairs]:
        """See Task."""
        return Part.of(owner, self.split, rows, modules)

    def passes(
        self, parts: Sequence[Part[PaddedPairs]], pass_tokens: int
    ) -> list[list[Part[PaddedPairs]]]:
        """See Task: parts run one by one anyway."""
        return [[part] for part in parts]

    def logits(
        self, parts: Sequence[Part[PaddedPairs]], twice_differentiable: bool = False
    ) -> list[Tensor]:
        """See Task."""
        return [
            self.backbone.logits(part.pack, part.modules, twice_differentiable) for part in parts
        ]

    def head_inputs(self, parts: Sequence[Part[PaddedPairs]]) -> list[Tensor]:
        """See Task."""
        raise NotImplementedError("a request for the head of an encoder–decoder is refused")

    def head_task(self) -> None:
        """See Task: there is no head."""

    def pass_key(self, adapter: job_pb2.Adapter) -> Hashable:
        """See Task."""
        return pair_form(adapter)

    def stacked_pass(
        self, trials: Sequence[TrainedTrial], operations: Operations, row_parts: int
    ) -> PairPass:
        """See Task."""
        return PairPass(self.backbone, self.split, self.kind, trials, operations, row_parts)

    def measure_room(self, trial: TrainedTrial, trials: int, operations: Operations) -> int | None:
        """See Task."""
        return None

    def predict(
        self,
        trials: Sequence[Adapted],
        generation: job_pb2.Generation,
        passed: Callable[[int], None],
    ) -> Iterator[tuple[str, dict[str, Tensor]]]:
        """See Task."""
        is_stacked = self.how.stacked is not None
        for company in group_companies(trials, is_stacked):
            texts = generate_texts(
                self.backbone, self.split, company, generation, is_stacked, passed
            )
            for trial, predictions in zip(company, texts, strict=True):
                yield trial.trial_id, predictions


def load_texts(
    backbone: EncoderDecoder, root: Path, dataset: job_pb2.Dataset, name: str
) -> PairSplit:
    """Reads a split and checks it against the backbone's limits. Raises JobFailed
    (BAD_ARTIFACT)."""
    return load_pairs(root, dataset, name, backbone.vocabulary, backbone.longest)
