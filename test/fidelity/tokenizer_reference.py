"""Tokens by Transformers, for comparison. Places count code points. One line of JSON each way:

{"model": directory, "rows": [[text, pair or null], …], "max_length": n}  →  [[ids, type ids], …]
{"model": directory, "places": [text, …]}  →  [[ids, [begin, …], [end, …]], …]
"""

import functools
import json
import sys

from transformers import AutoTokenizer

CHUNK = 4096


@functools.cache
def load(path: str):
    return AutoTokenizer.from_pretrained(path)


def encode_rows(tokenizer, rows, max_length):
    for begin in range(0, len(rows), CHUNK):
        part = rows[begin : begin + CHUNK]
        encoded = tokenizer(
            [text if pair is None else (text, pair) for text, pair in part],
            truncation="longest_first",
            max_length=max_length,
            return_token_type_ids=True,
        )
        yield from zip(encoded["input_ids"], encoded["token_type_ids"], strict=True)


def place_tokens(tokenizer, texts):
    for begin in range(0, len(texts), CHUNK):
        encoded = tokenizer(
            texts[begin : begin + CHUNK], add_special_tokens=False, return_offsets_mapping=True
        )
        for ids, places in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True):
            yield [ids, [begin for begin, _ in places], [end for _, end in places]]


def main() -> None:
    for line in sys.stdin:
        request = json.loads(line)
        tokenizer = load(request["model"])
        if "places" in request:
            answer = list(place_tokens(tokenizer, request["places"]))
        else:
            answer = list(encode_rows(tokenizer, request["rows"], request["max_length"]))
        print(json.dumps(answer, separators=(",", ":")), flush=True)


if __name__ == "__main__":
    main()
