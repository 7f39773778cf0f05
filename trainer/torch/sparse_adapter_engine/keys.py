"""Random streams keyed by what they are for.

Each draw has a generator of its own, seeded from (trial seed, purpose). So checkpoints hold no
random state, and no trial's numbers depend on another trial's.
"""

import hashlib

import torch


def key(seed: int, *purpose: str | int) -> int:
    """A 63-bit key: the first bits of SHA-256 over the seed and the purpose's parts."""
    text = "/".join(str(part) for part in (seed, *purpose))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(
    seed: int, *purpose: str | int, device: torch.device | str = "cpu"
) -> torch.Generator:
    """A fresh generator for one purpose of one trial."""
    return torch.Generator(device=device).manual_seed(key(seed, *purpose))


def permutation(n: int, seed: int, *purpose: str | int) -> torch.Tensor:
    """A permutation of 0..n-1, int64 [n], always drawn on the CPU."""
    return torch.randperm(n, generator=generator(seed, *purpose))
