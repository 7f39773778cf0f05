"""What differs between devices: the operations of a stacked pass. Each has a plain version, which
is the specification.

A GPU's are chosen by a self-test (choose.py): what is absent or wrong there is left out, and what
was taken is named in the environment of every result.
"""

from dataclasses import dataclass

from .attention import Attend, padded
from .hash_dropout import Drop, drop
from .update import Adam, adam


@dataclass(frozen=True)
class Operations:
    """attention: of rows of variable length; dropout; adam: AdamW over stacked trials; graphs:
    whether a step is captured and replayed; names: of what was chosen."""

    attention: Attend
    dropout: Drop
    adam: Adam
    graphs: bool
    names: dict[str, str]


PLAIN = Operations(
    attention=padded,
    dropout=drop,
    adam=adam,
    graphs=False,
    names={
        "attention": "padded",
        "adam": "torch",
        "dropout": "torch",
        "steps": "eager",
    },
)
