"""Token ids by Transformers, for comparison: reads [text, pair or null] a line, writes [ids, type ids] a line.

usage: tokenizer_reference.py <model directory | bert vocab.txt | folder with vocab.json and merges.txt> <max length>
"""

import json
import os
import sys

from transformers import AutoTokenizer, BertTokenizerFast, RobertaTokenizerFast

CHUNK = 4096


def load(path: str):
    if os.path.exists(os.path.join(path, "tokenizer.json")):
        return AutoTokenizer.from_pretrained(path)
    if os.path.exists(os.path.join(path, "vocab.txt")):
        return BertTokenizerFast(os.path.join(path, "vocab.txt"))
    return RobertaTokenizerFast(os.path.join(path, "vocab.json"), os.path.join(path, "merges.txt"))


def main() -> None:
    tokenizer = load(sys.argv[1])
    rows = [json.loads(line) for line in sys.stdin]
    for begin in range(0, len(rows), CHUNK):
        part = rows[begin : begin + CHUNK]
        texts = [row[0] if row[1] is None else (row[0], row[1]) for row in part]
        encoded = tokenizer(texts, truncation="longest_first", max_length=int(sys.argv[2]), return_token_type_ids=True)
        for ids, types in zip(encoded["input_ids"], encoded["token_type_ids"], strict=True):
            sys.stdout.write(json.dumps([ids, types], separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
