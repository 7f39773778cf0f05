"""Writes MRPC's training rows as a trainer's data set: `python write_rows.py <backbone directory>
<folder of the data set> <rows>`."""

import sys
from pathlib import Path

import torch
from rows import mrpc

from sparse_adapter_engine.files.artifacts import write_tensors

backbone, folder, count = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
rows, labels = mrpc(backbone)
rows, labels = rows[:count], labels[:count]
lengths = torch.tensor([len(row["input_ids"]) for row in rows])
split = {
    "input_ids": torch.tensor(
        [token for row in rows for token in row["input_ids"]], dtype=torch.int32
    ),
    "token_type_ids": torch.tensor(
        [kind for row in rows for kind in row["token_type_ids"]], dtype=torch.uint8
    ),
    "offsets": torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)]),
    "labels": torch.tensor(labels, dtype=torch.int32),
}
write_tensors(folder / "train.safetensors", split)
