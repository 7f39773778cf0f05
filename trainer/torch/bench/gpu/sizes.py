"""How large everything is: as users have it, or small, to rehearse on a CPU."""

from dataclasses import dataclass

from .measure import QUICK, Pace
from .workloads import MINILM, ROBERTA_BASE, ROBERTA_LARGE, Lengths, Shape


@dataclass(frozen=True)
class Sizes:
    """batch: rows per step of a trial; answer_batch: the same for question answering, as in
    Transformers' example for SQuAD; width: of adapters; rows: in a random data set; many: K of
    typical cohorts; checked_steps: of a training curve."""

    small: bool
    batch: int
    answer_batch: int
    width: int
    rows: int
    many: int
    checked_steps: int
    pace: Pace
    answers: Lengths
    base: Shape
    minilm: Shape
    large: Shape
    texts: Lengths
    targets: Lengths
    pairs_batch: int
    beams: int
    longest_target: int


FULL_SIZES = Sizes(
    small=False,
    batch=32,
    answer_batch=12,
    width=64,
    rows=640,
    many=16,
    checked_steps=90,
    pace=Pace(),
    answers=Lengths("SQuAD-like", 384, 0, 384, 384),
    base=ROBERTA_BASE,
    minilm=MINILM,
    large=ROBERTA_LARGE,
    texts=Lengths("XSum-like", 400, 90, 150, 510),
    targets=Lengths("targets", 26, 7, 10, 60),
    pairs_batch=32,
    beams=4,
    longest_target=60,
)
SMALL_SIZES = Sizes(
    small=True,
    batch=4,
    answer_batch=2,
    width=8,
    rows=16,
    many=3,
    checked_steps=6,
    pace=QUICK,
    answers=Lengths("SQuAD-like", 40, 0, 40, 40),
    base=ROBERTA_BASE.small(),
    minilm=MINILM.small(),
    large=ROBERTA_LARGE.small(),
    texts=Lengths("XSum-like", 12, 3, 5, 20),
    targets=Lengths("targets", 6, 2, 3, 8),
    pairs_batch=4,
    beams=2,
    longest_target=8,
)
