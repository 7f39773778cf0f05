r"""Generating summaries of XSum's documents with a BART of random weights and Houlsby adapters:
contenders take turns, each in a process of its own.

    SA_ORCH_DATA=<dir with xsum/ and vocab/> \
        python generate_side_by_side.py [--rounds 8] [--steps 1] [--threads 2]

Settings of the published BART for XSum: 6 beams, 11 to 62 tokens, no repeated trigram. A random
model rarely ends a text, so most have the maximum length. Eight rounds of one batch cover all
documents once. Prints rows per second and the ratios as one JSON object.
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
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as model:
        write_bart(model)
        programs = {
            "predict": Program("pair_contenders:predicting", {"model": model}),
            "generate": Program("pair_loops:generating", {"model": model, "by_length": False}),
            "generate_by_length": Program(
                "pair_loops:generating", {"model": model, "by_length": True}
            ),
        }
        result = take_turns(programs, asked.threads, asked.rounds, asked.steps, warm_up=0)
    print(json.dumps({"threads": asked.threads} | result, indent=2))


if __name__ == "__main__":
    main()
