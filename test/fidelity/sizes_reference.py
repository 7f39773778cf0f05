"""Sizes of adapters on an encoder–decoder as the PyTorch trainer lays them out, for comparison.

usage: sizes_reference.py <model directory> reads an Adapter of job.proto a line (its JSON); writes
[trainable weights, those of them that are prunable] a line
"""

import sys

import torch
from google.protobuf import json_format
from sparse_adapter.trainer.v1 import job_pb2

from sparse_adapter_engine.backbones.encoder_decoder.loading import load_encoder_decoder
from sparse_adapter_engine.modules.layout import layout

backbone = load_encoder_decoder(sys.argv[1], torch.device("cpu"))
for line in sys.stdin:
    adapter = json_format.Parse(line, job_pb2.Adapter())
    found = layout(adapter, backbone, num_labels=0, task_kind=job_pb2.TASK_KIND_SUMMARIZATION)
    sys.stdout.write(f"[{found.total}, {found.prunable}]\n")
