r"""One trial on MRPC (batch 32, Houlsby 64, dropout 0) by three contenders that take turns in one
process, with the same threads and rows.

    SA_ORCH_DATA=<dir with glue/> \
        python side_by_side.py <backbone directory> [--rounds 29] [--steps 4] [--threads 2] \
            [--without-trainer]

Prints rows per second over all rounds and the ratios as one JSON object.
"""

import argparse
import json
from pathlib import Path

# Before torch: sets how idle OpenMP threads wait, for every contender.
import sparse_adapter_engine  # noqa: F401

# isort: split

import torch
from careful_loop import CarefulLoop
from cohort_loop import WIDTH, Cohort
from rows import mrpc
from sparse_adapter.trainer.v1 import job_pb2
from turns import Contender, take_turns

from sparse_adapter_engine.backbones.encoder.frozen import packs_bfloat16
from sparse_adapter_engine.device.threads import use_threads

BATCH = 32
# With four steps each, an epoch: in fewer, one contender's rows may be longer than another's.
ROUNDS = 29


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("backbone", type=Path)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--without-trainer",
        action="store_true",
        help="leave Transformers' Trainer out (it needs the package accelerate)",
    )
    arguments = parser.parse_args()
    threads = use_threads(arguments.threads)
    backbone = str(arguments.backbone)
    rows, labels = mrpc(backbone)
    data = rows, torch.tensor(labels), job_pb2.TASK_KIND_CLASSIFICATION
    contenders: dict[str, Contender] = {
        "cohort_of_1": Cohort(backbone, *data, BATCH, count=1),
        "careful_loop": CarefulLoop(backbone, rows, labels, BATCH, WIDTH),
    }
    if packs_bfloat16():
        bf16 = job_pb2.PRECISION_BF16
        contenders["cohort_of_1_bf16"] = Cohort(backbone, *data, BATCH, count=1, precision=bf16)
    if not arguments.without_trainer:
        from hf_trainer import classifying_trainer

        contenders["hf_trainer_128"] = classifying_trainer(backbone, rows, labels, BATCH, WIDTH)
    result = take_turns(contenders, arguments.rounds, arguments.steps, warm_up=2)
    print(json.dumps({"threads": threads} | result, indent=2))


if __name__ == "__main__":
    main()
