"""Real MRPC rows for the benchmarks: the same ids for every contender."""

import csv
import os
import sys
from pathlib import Path

from transformers import AutoTokenizer


def mrpc(backbone: str) -> tuple[list[dict[str, list[int]]], list[int]]:
    """Encoded training rows (input_ids, token_type_ids) and labels, from SA_ORCH_DATA/glue/MRPC/train.tsv."""
    data = os.environ.get("SA_ORCH_DATA")
    if not data:
        sys.exit("SA_ORCH_DATA must name a directory with glue/MRPC/train.tsv")
    with Path(data, "glue", "MRPC", "train.tsv").open(encoding="utf-8-sig", newline="") as file:
        lines = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[1:]
    tokenizer = AutoTokenizer.from_pretrained(backbone)
    encoded = tokenizer([line[3] for line in lines], [line[4] for line in lines], truncation=True, max_length=128)
    rows = [{"input_ids": i, "token_type_ids": t} for i, t in zip(encoded["input_ids"], encoded["token_type_ids"], strict=True)]
    return rows, [int(line[0]) for line in lines]
