"""From scores to masks, for all pruners: over rounds, by the structure and rules of Prune in
job.proto.

Scores and masks are dicts from the names of a trial's prunable matrices to tensors of their shapes.
"""

from sparse_adapter.trainer.v1 import event_pb2, job_pb2

from sparse_adapter_engine.errors import TrialFailed

from .densities import densities
from .limits import misfit
from .n_m_groups import NMGroups
from .official_rules import OfficialRules
from .ranking import Ranking
from .scores import Masks, Scores, Shapes


class Pruning:
    """A trial's masks through the rounds of Prune: `keep` takes a round's scores, `finished` gives
    the masks to train with."""

    def __init__(
        self,
        prune: job_pb2.Prune,
        seed: int,
        shapes: Shapes,
        after_rounds: list[float] | None = None,
    ) -> None:
        """shapes: of the prunable matrices. after_rounds: with OFFICIAL rules, the density after
        each round, if not Prune's. Raises TrialFailed (DEGENERATE_MASK) if the structure does not
        fit them or nothing would be kept."""
        self._prune = prune
        self._rounds = len(after_rounds or densities(prune))
        wrong = misfit(prune, shapes)
        if wrong:
            field, reason = wrong
            raise TrialFailed(event_pb2.FAILURE_REASON_DEGENERATE_MASK, f"prune.{field}: {reason}")
        self._method: Ranking | NMGroups | OfficialRules
        if prune.rules == job_pb2.MASK_RULES_OFFICIAL:
            self._method = OfficialRules(prune, shapes, after_rounds)
        elif prune.structure == job_pb2.MASK_STRUCTURE_N_M:
            self._method = NMGroups(prune, seed, shapes)
        else:
            self._method = Ranking(prune, seed, shapes)
        self._done = 0

    @property
    def done(self) -> bool:
        """Whether all rounds are over."""
        return self._done == self._rounds

    @property
    def rounds_done(self) -> int:
        """How many rounds are over."""
        return self._done

    @property
    def keeps_all(self) -> bool:
        """Whether the next round removes nothing, so that it needs no scores."""
        return self._in_training.keeps_all(self._done)

    def skip(self) -> None:
        """Counts a round that keeps everything."""
        self._done += 1

    def go_on(self, masks: Masks, rounds: int) -> None:
        """Makes a fresh Pruning resume after `rounds` rounds that left these masks, as if it had
        done them itself. Not for inverted masks, which need the scores of all rounds."""
        self._in_training.go_on(masks)
        self._done = rounds

    @property
    def _in_training(self) -> Ranking | NMGroups:
        assert not isinstance(self._method, OfficialRules), (
            "a request for official rules during training is refused"
        )
        return self._method

    @property
    def masks(self) -> Masks:
        """uint8, for all matrices: what the rounds so far have kept."""
        return self._method.masks

    @property
    def doubts(self) -> list[str]:
        """Oddities of the rounds so far that the rules accept."""
        return self._method.doubts if isinstance(self._method, OfficialRules) else []

    def keep(self, scores: Scores) -> None:
        """Does one round. By the exact rules, the kept weights with the highest scores stay, and
        removed weights' scores are ignored. By the official rules all weights are cut again.

        Raises TrialFailed, by the exact rules: NON_FINITE if a score is not finite; DEGENERATE_MASK
        if all scores of a scope are equal though the pruner ranks by them.
        """
        self._method.keep(scores, self._done)
        self._done += 1

    def finished(self) -> Masks:
        """uint8 masks with the control applied."""
        return self._method.finished()


def emptied(masks: Masks) -> list[str]:
    """Names of matrices whose weights were all removed."""
    return [name for name, mask in masks.items() if not mask.any()]
