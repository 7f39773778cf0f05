"""How a device computes."""

from dataclasses import dataclass

from sparse_adapter_engine.stacked.attention import Attend
from sparse_adapter_engine.stacked.operations import Operations

# Tokens of one pass: more spills a CPU's caches, less starves its matrix products.
CPU_PASS_TOKENS = 2_500
GPU_PASS_TOKENS = 65_536
# Rows of one trial in a forward of scoring and predicting on a GPU: enough to fill it.
GPU_PART_ROWS = 512
# And its tokens: scores are taken in float32, where padded attention keeps its probabilities.
GPU_PART_TOKENS = 32_768


@dataclass(frozen=True)
class How:
    """pass_tokens: maximum tokens per pass, of whole trials. stacked: the operations of stacked
    passes; None where trials are not stacked.

    part_rows: rows of one trial in a forward of scoring and predicting; part_tokens: its maximum
    tokens, None for no limit. Both are fixed, so that a result does not depend on who else is in
    the pass.
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
    def scored_tokens(self) -> int:
        """Tokens whose derivatives are taken at once: those of a part where parts are bounded,
        since the graphs of the whole pass are held."""
        return self.pass_tokens if self.part_tokens is None else self.part_tokens

    @property
    def attention(self) -> Attend | None:
        """Of rows of variable length, where the device has one."""
        return self.stacked.attention if self.stacked else None
