r"""Training a BART of random weights with Houlsby adapters on XSum's documents: contenders take
turns, each in a process of its own.

    SA_ORCH_DATA=<dir with xsum/ and vocab/> \
        python summarize_side_by_side.py [--rounds 4] [--steps 1] [--threads 2]

"train" is this project's step, with rows in groups of similar length; "together" is the same
without groups; "train_bf16" has the frozen model in bfloat16; "loop" is Transformers' model with
adapters as forward hooks, each batch padded to its longest document and summary. Batches have 16
rows, in a fixed order. Prints rows per second and the ratios as one JSON object.
"""

import argparse
import json
import tempfile

from bart import write_bart
from turns import Program, take_turns


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as model:
        write_bart(model)

        def ours(precision: str, in_groups: bool) -> Program:
            return Program(
                "pair_contenders:training",
                {"model": model, "precision": precision, "in_groups": in_groups},
            )

        programs = {
            "train": ours("PRECISION_FLOAT32", in_groups=True),
            "together": ours("PRECISION_FLOAT32", in_groups=False),
            "train_bf16": ours("PRECISION_BF16", in_groups=True),
            "loop": Program("pair_loops:training", {"model": model}),
        }
        result = take_turns(programs, asked.threads, asked.rounds, asked.steps, warm_up=1)
    print(json.dumps({"threads": asked.threads} | result, indent=2))


if __name__ == "__main__":
    main()
