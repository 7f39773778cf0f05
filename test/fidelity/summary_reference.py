"""Tokens of documents and summaries by Transformers, for comparison, and a small T5 tokenizer to
compare with.

usage: summary_reference.py encode <model> <max length> <max target length>
           reads [document, summary] per line (JSON); writes [ids, target ids, the target's text as
           it is decoded] per line
       summary_reference.py t5 <model directory>
           reads a text per line (JSON) and learns a unigram vocabulary from them, with T5's
           special tokens; writes true per line
"""

import json
import sys

from tokenizer_reference import load
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

WORDS = 2000


def encode(model: str, max_length: str, max_target_length: str) -> None:
    tokenizer = load(model)
    for line in sys.stdin:
        document, summary = json.loads(line)
        ids = tokenizer(document, truncation=True, max_length=int(max_length))["input_ids"]
        target = tokenizer(text_target=summary, truncation=True, max_length=int(max_target_length))[
            "input_ids"
        ]
        text = tokenizer.decode(
            target, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        sys.stdout.write(json.dumps([ids, target, text], separators=(",", ":")) + "\n")


def make_t5(directory: str) -> None:
    texts = [json.loads(line) for line in sys.stdin]
    tokenizer = Tokenizer(models.Unigram())
    # T5's own normalizer has a table of characters in its place, which only its published files
    # hold.
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    )
    tokenizer.decoder = decoders.Metaspace()
    special = ["<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(
        vocab_size=WORDS, special_tokens=special, unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(directory)
    sys.stdout.write("true\n" * len(texts))


def main() -> None:
    {"encode": encode, "t5": make_t5}[sys.argv[1]](*sys.argv[2:])


main()
