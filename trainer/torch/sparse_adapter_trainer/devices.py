"""Which device a command line asks for, and whether it exists."""

import argparse
import re

_FORM = re.compile(r"auto|cpu|cuda(:(0|[1-9][0-9]*))?")


class UnusableDevice(Exception):
    """The requested device does not exist or has no room; the message is for a person."""


def parse_device(text: str) -> str:
    """An option's value, checked: `auto`, `cpu`, `cuda`, or `cuda:<index>`."""
    if not _FORM.fullmatch(text):
        right = "auto, cpu, cuda or cuda:<index>, for example cuda:1"
        raise argparse.ArgumentTypeError(f"{text!r} is not {right}")
    return text


def choose_device(asked: str, gpus: int, visible: str | None) -> str:
    """The device to compute on: `cpu`, or `cuda:<index>`.

    asked: from parse_device; `auto` takes the first GPU if there is one. gpus: how many the
    framework can use. visible: CUDA_VISIBLE_DEVICES, which hides GPUs and renumbers the others;
    None if it is not set. Raises UnusableDevice.
    """
    if asked == "cpu" or (asked == "auto" and gpus == 0):
        return "cpu"
    index = int(asked.partition(":")[2] or 0)
    if index < gpus:
        return f"cuda:{index}"
    hidden = "" if visible is None else f" (CUDA_VISIBLE_DEVICES is {visible!r})"
    there = {0: "no GPU", 1: "one GPU, cuda:0"}.get(gpus, f"{gpus} GPUs, cuda:0 to cuda:{gpus - 1}")
    found = f"PyTorch can use {there} here{hidden}"
    raise UnusableDevice(f"--device {asked}: {found}; --device cpu computes without one")
