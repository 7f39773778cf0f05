"""Real rows for the benchmarks: every contender gets the same ids, in batches of one size, and
trains adapters of one width."""

import csv
import json
import os
import sys
from pathlib import Path
from typing import TypeAlias

from tokenizers import ByteLevelBPETokenizer
from transformers import AutoTokenizer

# input_ids and token_type_ids.
Row: TypeAlias = dict[str, list[int]]

WIDTH = 64
MRPC_BATCH = 32
# The batch and the windows of Transformers' example for SQuAD.
SQUAD_BATCH, SQUAD_LONGEST, _STRIDE = 12, 384, 128
_QUESTIONS = 1000


def _file(name: str) -> Path:
    data = os.environ.get("SA_ORCH_DATA")
    if not data or not Path(data, name).is_file():
        sys.exit(f"SA_ORCH_DATA must name a directory with {name}")
    return Path(data, name)


def mrpc(backbone: str) -> tuple[list[Row], list[int]]:
    """Encoded training rows and labels, from SA_ORCH_DATA/glue/MRPC/train.tsv."""
    with _file("glue/MRPC/train.tsv").open(encoding="utf-8-sig", newline="") as file:
        lines = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[1:]
    tokenizer = AutoTokenizer.from_pretrained(backbone)
    encoded = tokenizer(
        [line[3] for line in lines], [line[4] for line in lines], truncation=True, max_length=128
    )
    rows = [
        {"input_ids": i, "token_type_ids": t}
        for i, t in zip(encoded["input_ids"], encoded["token_type_ids"], strict=True)
    ]
    return rows, [int(line[0]) for line in lines]


def squad(backbone: str) -> tuple[list[Row], list[list[int]]]:
    """Encoded windows of the first questions of SA_ORCH_DATA/squad/train-v1.1.json, and the places
    of the answer's first and last token in each, 0 if the window does not contain it."""
    articles = json.loads(_file("squad/train-v1.1.json").read_bytes())["data"]
    paragraphs = [paragraph for article in articles for paragraph in article["paragraphs"]]
    asked = [
        (question, paragraph["context"])
        for paragraph in paragraphs
        for question in paragraph["qas"]
    ][:_QUESTIONS]
    tokenizer = AutoTokenizer.from_pretrained(backbone)
    texts = (
        [question["question"].strip() for question, _ in asked],
        [context for _, context in asked],
    )
    cut = {
        "truncation": "only_second",
        "max_length": SQUAD_LONGEST,
        "stride": _STRIDE,
        "return_overflowing_tokens": True,
    }
    encoded = tokenizer(*texts, **cut)
    rows, places = [], []
    for index, which in enumerate(encoded["overflow_to_sample_mapping"]):
        answer = asked[which][0]["answers"][0]
        begin, end = answer["answer_start"], answer["answer_start"] + len(answer["text"]) - 1
        found = [encoded.char_to_token(index, place, sequence_index=1) for place in (begin, end)]
        rows.append({name: encoded[name][index] for name in ("input_ids", "token_type_ids")})
        places.append([0, 0] if None in found else found)
    return rows, places


def xsum(rows: int, most: int) -> list[list[int]]:
    """The first documents of SA_ORCH_DATA/xsum/train.csv, cut to at most `most` tokens of
    vocab/roberta-base, which is BART's vocabulary too."""
    return [document for document, _ in xsum_pairs(rows, most, most)]


def xsum_pairs(rows: int, most: int, most_of_target: int) -> list[tuple[list[int], list[int]]]:
    """The first documents, as `xsum` has them, and their summaries."""
    tokenizer = ByteLevelBPETokenizer(
        *(str(_file(f"vocab/roberta-base/{name}")) for name in ("vocab.json", "merges.txt"))
    )
    with _file("xsum/train.csv").open(encoding="utf-8", newline="") as file:
        pairs = [row for row, _ in zip(csv.DictReader(file), range(rows), strict=False)]

    def ids(text: str, most: int) -> list[int]:
        return [0, *tokenizer.encode(text).ids[: most - 2], 2]

    return [(ids(pair["document"], most), ids(pair["summary"], most_of_target)) for pair in pairs]
