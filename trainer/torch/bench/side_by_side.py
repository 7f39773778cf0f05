r"""One trial on MRPC (batch 32, Houlsby 64, dropout 0) by contenders that take turns, each in a
process of its own, with the same rows and number of threads.

    SA_ORCH_DATA=<dir with glue/> \
        python side_by_side.py <backbone directory> [--rounds 10] [--steps 12] [--threads 2] \
            [--without-trainer]

Prints rows per second over all rounds, the ratios and the processor's billions of operations per
second in a layer's products as one JSON object.
"""

import argparse
import json
import platform
from pathlib import Path

from turns import Program, take_turns

# An epoch: in fewer steps, one contender's rows may be longer than another's. Turns of some
# seconds, because after the others' a processor's caches hold nothing of one's own.
ROUNDS, STEPS = 10, 12


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("backbone", type=Path)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--without-trainer",
        action="store_true",
        help="leave Transformers' Trainer out (it needs the package accelerate)",
    )
    asked = parser.parse_args()
    backbone = str(asked.backbone.absolute())

    def ours(precision: str) -> Program:
        return Program("cohort_loop:mrpc_trial", {"backbone": backbone, "precision": precision})

    def packed(dtype: str) -> Program:
        return Program("product_rates:packed", {"backbone": backbone, "dtype": dtype})

    programs = {
        "cohort_of_1": ours("PRECISION_FLOAT32"),
        "careful_loop": Program("careful_loop:mrpc_loop", {"backbone": backbone}),
        "cohort_of_1_bf16": ours("PRECISION_BF16"),
    }
    if not asked.without_trainer:
        programs["hf_trainer_128"] = Program("hf_trainer:mrpc_trainer", {"backbone": backbone})
    result = take_turns(programs, asked.threads, asked.rounds, asked.steps, warm_up=2)
    products = {
        "float32": Program("product_rates:ordinary", {"backbone": backbone}),
        "float32_packed": packed("float32"),
        "bfloat16_packed": packed("bfloat16"),
    }
    rates = take_turns(products, asked.threads, asked.rounds, asked.steps, warm_up=2)
    billions = {name: rate / 1e9 for name, rate in rates["rows_per_second"].items()}
    found = {"processor": processor(), "threads": asked.threads, "product_gflops": billions}
    print(json.dumps(found | result, indent=2))


def processor() -> str:
    """Its name where Linux tells it."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


if __name__ == "__main__":
    main()
