r"""Generating summaries of XSum's documents with a BART of random weights and Houlsby adapters:
contenders take turns in one process.

    SA_ORCH_DATA=<dir with xsum/ and vocab/> \
        python generate_side_by_side.py [--rounds 8] [--steps 1] [--threads 2]

Settings of the published BART for XSum: 6 beams, 11 to 62 tokens, no repeated trigram. A random
model rarely ends a text, so most have the maximum length. Eight rounds of one batch cover all
documents once. Prints rows per second and the ratios as one JSON object.
"""

import argparse
import json
import tempfile

# Before torch: sets how idle OpenMP threads wait, for every contender.
import sparse_adapter_engine  # noqa: F401

# isort: split

import torch
import torch.nn.functional as F
from careful_loop import adapt
from cohort_loop import HOULSBY, WIDTH
from rows import xsum
from sparse_adapter.trainer.v1 import job_pb2
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import (
    AutoModelForSeq2SeqLM,
    BartConfig,
    BartForConditionalGeneration,
    GenerationConfig,
)
from turns import Contender, take_turns

from sparse_adapter_engine.backbones.encoder_decoder.loading import load_encoder_decoder
from sparse_adapter_engine.data.length_groups import ONE_GROUP
from sparse_adapter_engine.data.pairs import PairSplit
from sparse_adapter_engine.device.threads import use_threads
from sparse_adapter_engine.modules.layout import initialize, layout
from sparse_adapter_engine.modules.trial_modules import TrialModules

DOCUMENTS, LONGEST, BATCH = 64, 512, 8
BEAMS, LEAST, MOST, NGRAM = 6, 11, 62, 3


class Predicting:
    """This project's prediction, one batch per step."""

    def __init__(self, path: str, documents: list[list[int]]) -> None:
        self.backbone = load_encoder_decoder(path, torch.device("cpu"))
        shapes = layout(
            HOULSBY, self.backbone, num_labels=0, task_kind=job_pb2.TASK_KIND_SUMMARIZATION
        ).shapes
        self.modules = TrialModules(
            HOULSBY, initialize(job_pb2.Trial(seed=1, adapter=HOULSBY), shapes, None), dropout=None
        )
        offsets = F.pad(torch.tensor([len(each) for each in documents]).cumsum(0), (1, 0))
        ids = torch.tensor([token for document in documents for token in document])
        # Targets are not read, so one token each will do.
        targets, target_offsets = torch.full((len(documents),), 2), torch.arange(len(documents) + 1)
        self.split = PairSplit("validation", ids, offsets, targets, target_offsets)
        self.asked = job_pb2.Generation(
            beams=BEAMS, min_length=LEAST, max_length=MOST, no_repeat_ngram=NGRAM, length_penalty=1
        )
        self.batches, self.next = self.split.lengths.argsort(stable=True).split(BATCH), 0

    def run(self, steps: int) -> int:
        """Generates for `steps` batches and returns how many rows they had."""
        rows = 0
        for _ in range(steps):
            pack = self.split.pack(
                self.batches[self.next % len(self.batches)], group_tokens=ONE_GROUP
            )
            rows += len(self.backbone.generate(pack, self.modules, self.asked))
            self.next += 1
        return rows


class Generating:
    """Transformers' `generate` with adapters as forward hooks: one batch per step, padded to its
    longest document."""

    def __init__(self, path: str, documents: list[list[int]], by_length: bool) -> None:
        self.model = (
            AutoModelForSeq2SeqLM.from_pretrained(path, attn_implementation="sdpa")
            .eval()
            .requires_grad_(False)
        )
        encoder, decoder = self.model.model.encoder.layers, self.model.model.decoder.layers
        outputs = [
            out for layer in (*encoder, *decoder) for out in (layer.self_attn.out_proj, layer.fc2)
        ]
        adapt(
            [*outputs, *(layer.encoder_attn.out_proj for layer in decoder)],
            self.model.config.d_model,
            WIDTH,
        )
        rows = [
            torch.tensor(document)
            for document in (sorted(documents, key=len) if by_length else documents)
        ]
        self.batches, self.next = [rows[at : at + BATCH] for at in range(0, len(rows), BATCH)], 0
        self.settings = GenerationConfig(
            num_beams=BEAMS, do_sample=False, min_new_tokens=LEAST, max_new_tokens=MOST,
            no_repeat_ngram_size=NGRAM, pad_token_id=1, bos_token_id=0, eos_token_id=2,
            decoder_start_token_id=2,
        )  # fmt: skip

    def run(self, steps: int) -> int:
        """Generates for `steps` batches and returns how many rows they had."""
        rows = 0
        for _ in range(steps):
            batch = self.batches[self.next % len(self.batches)]
            ids = pad_sequence(batch, batch_first=True, padding_value=1)
            generated: Tensor = self.model.generate(
                input_ids=ids, attention_mask=(ids != 1).long(), generation_config=self.settings
            )
            rows += len(generated)
            self.next += 1
        return rows


def write_bart(path: str) -> None:
    """Writes a BART of random weights, 4 + 4 layers, 256 wide, with BART's vocabulary."""
    torch.manual_seed(1)
    config = BartConfig(
        d_model=256,
        encoder_layers=4,
        decoder_layers=4,
        encoder_ffn_dim=1024,
        decoder_ffn_dim=1024,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        max_position_embeddings=LONGEST,
    )
    BartForConditionalGeneration(config).save_pretrained(path)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    threads = use_threads(arguments.threads)
    documents = xsum(DOCUMENTS, LONGEST)
    with tempfile.TemporaryDirectory() as path:
        write_bart(path)
        contenders: dict[str, Contender] = {
            "predict": Predicting(path, documents),
            "generate": Generating(path, documents, by_length=False),
            "generate_by_length": Generating(path, documents, by_length=True),
        }
    tokens = sum(len(document) for document in documents) / len(documents)
    result = take_turns(contenders, arguments.rounds, arguments.steps, warm_up=0)
    print(
        json.dumps(
            {"threads": threads, "documents": len(documents), "tokens_per_document": tokens}
            | result,
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
