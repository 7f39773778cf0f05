"""Token ids by Transformers, for comparison.

Reads {"model": directory, "max_length": n, "rows": [[text, pair or null], …]} a line, and writes
[[ids, type ids], …] a line.
"""

import functools
import json
import os
import sys

from transformers import AutoTokenizer, BertTokenizerFast, RobertaTokenizerFast

CHUNK = 4096


@functools.cache
def load(path: str):
    if os.path.exists(os.path.join(path, "tokenizer.json")):
        return AutoTokenizer.from_pretrained(path)
    if os.path.exists(os.path.join(path, "vocab.txt")):
        return BertTokenizerFast(os.path.join(path, "vocab.txt"))
    return RobertaTokenizerFast(os.path.join(path, "vocab.json"), os.path.join(path, "merges.txt"))


def main() -> None:
    for line in sys.stdin:
        request = json.loads(line)
        tokenizer = load(request["model"])
        answer = []
        for begin in range(0, len(request["rows"]), CHUNK):
            part = request["rows"][begin : begin + CHUNK]
            texts = [text if pair is None else (text, pair) for text, pair in part]
            encoded = tokenizer(
                texts,
                truncation="longest_first",
                max_length=request["max_length"],
                return_token_type_ids=True,
            )
            answer += zip(encoded["input_ids"], encoded["token_type_ids"], strict=True)
        print(json.dumps(answer, separators=(",", ":")), flush=True)


if __name__ == "__main__":
    main()
