r"""One trial on SQuAD (batch 12, Houlsby 64, dropout 0) by two contenders that take turns in one
process, with the same threads and windows.

    SA_ORCH_DATA=<dir with squad/> \
        python squad_side_by_side.py <backbone directory> [--rounds 5] [--steps 2] [--threads 2]

Windows have at most 384 tokens and a stride of 128. Transformers' Trainer pads them to 384, as its
example does. Prints windows per second over all rounds and the ratio as one JSON object. Needs the
package accelerate.
"""

import argparse
import json
from pathlib import Path

# Before torch: sets how idle OpenMP threads wait, for every contender.
import sparse_adapter_engine  # noqa: F401

# isort: split

import torch
from cohort_loop import WIDTH, Cohort
from hf_trainer import span_trainer
from rows import squad
from sparse_adapter.trainer.v1 import job_pb2
from turns import Contender, take_turns

from sparse_adapter_engine.device.threads import use_threads

# The batch and the windows of Transformers' example for SQuAD.
BATCH, LONGEST, STRIDE = 12, 384, 128
QUESTIONS = 1000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("backbone", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    threads = use_threads(arguments.threads)
    backbone = str(arguments.backbone)
    rows, found = squad(backbone, QUESTIONS, LONGEST, STRIDE)
    places = torch.tensor(found)
    contenders: dict[str, Contender] = {
        "cohort_of_1": Cohort(
            backbone, rows, places, job_pb2.TASK_KIND_QUESTION_ANSWERING, BATCH, count=1
        ),
        f"hf_trainer_{LONGEST}": span_trainer(backbone, rows, places, BATCH, WIDTH, padded=LONGEST),
    }
    tokens = sum(len(row["input_ids"]) for row in rows) / len(rows)
    result = take_turns(contenders, arguments.rounds, arguments.steps, warm_up=1)
    print(
        json.dumps(
            {"threads": threads, "windows": len(rows), "tokens_per_window": tokens} | result,
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
