r"""One trial of the careful loop in its own process, as a shell loop around a training script would
start it: load, train, evaluate.

    SA_ORCH_DATA=<dir with glue/> \
        python careful_process.py <backbone directory> --steps 25 --threads 1 --validation-rows 200

Prints the number of validation rows that were classified.
"""

import argparse
from pathlib import Path

import torch
from careful_loop import CarefulLoop
from rows import MRPC_BATCH, WIDTH, mrpc
from torch.nn.utils.rnn import pad_sequence


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("backbone", type=Path)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--validation-rows", type=int, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    rows, labels = mrpc(str(arguments.backbone))
    held_out = sorted(rows[-arguments.validation_rows :], key=lambda row: len(row["input_ids"]))
    loop = CarefulLoop(str(arguments.backbone), rows, labels, MRPC_BATCH, WIDTH)
    loop.run(arguments.steps)
    classified = 0
    with torch.inference_mode():
        for at in range(0, len(held_out), MRPC_BATCH):
            batch = [
                {name: torch.tensor(ids) for name, ids in row.items()}
                for row in held_out[at : at + MRPC_BATCH]
            ]
            ids, types = (
                pad_sequence([row[name] for row in batch], batch_first=True)
                for name in ("input_ids", "token_type_ids")
            )
            mask = pad_sequence(
                [torch.ones_like(row["input_ids"]) for row in batch], batch_first=True
            )
            classified += loop.model(ids, types, mask).argmax(-1).numel()
    print(classified)


if __name__ == "__main__":
    main()
