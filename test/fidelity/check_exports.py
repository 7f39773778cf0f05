"""Loads exports with the code of their model cards, and answers to each line {folder, dataset,
kind, expected, base} how far its logits are from the trial's own, as a part of the largest one if
that is above 1: {difference, warnings}.

base: [what the card calls the backbone, a directory that has it], or null.
"""

import json
import logging
import os
import re
import sys
import warnings
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

Tensors = dict[str, Tensor]


class Told(logging.Handler):
    """What libraries say."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def load(folder: Path, base: list[str] | None) -> object:
    (code,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    if base:
        code = code.replace(*(json.dumps(each) for each in base))
    os.chdir(folder)
    names: dict[str, object] = {}
    exec(code, names)
    return names["model"]


def padded(flat: Tensor, offsets: Tensor, value: int) -> tuple[Tensor, Tensor]:
    """Rows [rows, tokens], and which of their places are tokens."""
    rows = list(flat.long().split(offsets.diff().tolist()))
    whole = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=value)
    lengths = torch.tensor([len(row) for row in rows])
    return whole, torch.arange(whole.shape[1]) < lengths[:, None]


@torch.inference_mode()
def logits(model: object, rows: Tensors, kind: str) -> Tensor:
    """In the order of the trial's own predictions."""
    padding = model.config.pad_token_id or 0  # type: ignore[attr-defined]
    ids, is_token = padded(rows["input_ids"], rows["offsets"], padding)
    batch = {"input_ids": ids, "attention_mask": is_token.long()}
    if kind == "summarization":
        labels, is_target = padded(rows["target_ids"], rows["target_offsets"], -100)
        return model(**batch, labels=labels).logits[is_target]  # type: ignore[operator]
    batch["token_type_ids"], _ = padded(rows["token_type_ids"], rows["offsets"], 0)
    if kind == "question_answering":
        output = model(**batch)  # type: ignore[operator]
        return torch.stack([output.start_logits, output.end_logits], -1)[is_token]
    return model(**batch).logits  # type: ignore[operator]


def answer(case: dict) -> dict:
    told = Told()
    for name in ("transformers", "adapters"):
        logging.getLogger(name).addHandler(told)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = load(Path(case["folder"]), case["base"])
        found = logits(model, load_file(case["dataset"]), case["kind"])
    expected = load_file(case["expected"])["logits"]
    if found.shape != expected.shape:
        return {"difference": f"{list(found.shape)} instead of {list(expected.shape)}"}
    size = max(1, expected.abs().max().item())
    lines = [*told.lines, *(str(each.message) for each in caught)]
    return {"difference": (found - expected).abs().max().item() / size, "warnings": lines}


torch.set_num_threads(1)
for line in sys.stdin:
    try:
        print(json.dumps(answer(json.loads(line))), flush=True)
    except Exception as error:
        print(json.dumps({"difference": f"{type(error).__name__}: {error}"}), flush=True)
