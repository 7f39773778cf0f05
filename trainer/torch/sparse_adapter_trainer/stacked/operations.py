"""What differs between devices: the operations of a stacked pass, each with a plain version that is the
specification.

A GPU's are chosen by a self-test when a backbone is loaded (kernels/choose.py): what is absent or wrong there
is left out, and what was taken is named in the environment of every result.
"""

from dataclasses import dataclass

from .attention import Attend, padded
from .hash_dropout import Drop, drop
from .update import Adam, adam


@dataclass(frozen=True)
class Operations:
    """attention: of rows of variable length; dropout; adam: AdamW over stacked trials; graphs: whether
    a step is captured and replayed; names: of what was chosen, for the environment."""

    attention: Attend
    dropout: Drop
    adam: Adam
    graphs: bool
    names: dict[str, str]


PLAIN = Operations(padded, drop, adam, graphs=False, names={"attention": "padded", "rows": "torch"})
