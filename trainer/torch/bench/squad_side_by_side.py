r"""One trial on SQuAD (batch 12, Houlsby 64, dropout 0) by two contenders that take turns, each
in a process of its own, with the same windows and number of threads.

    SA_ORCH_DATA=<dir with squad/> \
        python squad_side_by_side.py <backbone directory> [--rounds 5] [--steps 2] [--threads 2]

Windows have at most 384 tokens and a stride of 128. Transformers' Trainer pads them to 384, as its
example does. Prints windows per second over all rounds and the ratio as one JSON object. Needs the
package accelerate.
"""

import argparse
import json
from pathlib import Path

from turns import Program, take_turns


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("backbone", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    backbone = {"backbone": str(asked.backbone.absolute())}
    programs = {
        "cohort_of_1": Program("cohort_loop:squad_trial", backbone),
        "hf_trainer_384": Program("hf_trainer:squad_trainer", backbone),
    }
    result = take_turns(programs, asked.threads, asked.rounds, asked.steps, warm_up=1)
    print(json.dumps({"threads": asked.threads} | result, indent=2))


if __name__ == "__main__":
    main()
