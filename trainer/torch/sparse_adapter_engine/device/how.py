"""How a device computes."""

from dataclasses import dataclass

from sparse_adapter_engine.stacked.attention import Attend
from sparse_adapter_engine.stacked.operations import Operations

# Tokens per pass: more overflow a CPU's caches, fewer starve its matrix products.
CPU_PASS_TOKENS = 2_500
GPU_PASS_TOKENS = 65_536
# A CPU's packs have a multiple of this many tokens: oneDNN compiles its products for each number
# of rows, and keeps them. Multiples repeat.
CPU_TOKENS_MULTIPLE = 16
# Rows of one trial per forward when scoring or predicting on a GPU: enough to fill it.
GPU_PART_ROWS = 512
# Their maximum tokens: scoring is in float32, where padded attention keeps its probabilities.
GPU_PART_TOKENS = 32_768


@dataclass(frozen=True)
class How:
    """pass_tokens: maximum tokens per pass, which holds whole trials. stacked: the operations of
    stacked passes; None if trials are not stacked.

    part_rows: rows of one trial per forward when scoring or predicting; part_tokens: their maximum
    tokens, None for no limit. Both are fixed, so that a result does not depend on the pass's other
    trials.
    """

    pass_tokens: int
    stacked: Operations | None = None
    part_rows: int = 32
    part_tokens: int | None = None

    def rows_of_part(self, longest: int) -> int:
        """How many rows of up to `longest` tokens make a part."""
        if self.part_tokens is None:
            return self.part_rows
        return max(1, min(self.part_rows, self.part_tokens // longest))

    @property
    def tokens_multiple(self) -> int:
        """Of which number a pack's tokens are a multiple, if passes are not stacked."""
        return 1 if self.stacked else CPU_TOKENS_MULTIPLE

    @property
    def scored_tokens(self) -> int:
        """Tokens whose derivatives are taken at once: one part's if parts are bounded, because the
        graphs of the whole pass stay in memory."""
        return self.pass_tokens if self.part_tokens is None else self.part_tokens

    @property
    def attention(self) -> Attend | None:
        """The device's attention for rows of variable length, if it has one."""
        return self.stacked.attention if self.stacked else None
