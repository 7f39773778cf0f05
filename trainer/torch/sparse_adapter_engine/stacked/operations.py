"""The operations of a stacked pass that differ between devices. Each has a plain version, which is
the specification.

A self-test chooses a GPU's (choose.py): missing or wrong ones are left out, and the environment of
every result names those used.
"""

from dataclasses import dataclass

from .attention import Attend, padded
from .hash_dropout import Drop, drop
from .update import Adam, adam


@dataclass(frozen=True)
class Operations:
    """attention: over rows of variable length; adam: AdamW over stacked trials; graphs: whether
    steps are captured and replayed; names: what was chosen."""

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
