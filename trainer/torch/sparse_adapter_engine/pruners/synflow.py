"""SynFlow (Tanaka et al. 2020, arXiv:2006.05467): how much of what flows through a trial's modules
flows through each weight. Needs no data and no backbone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sparse_adapter.trainer.v1 import job_pb2

from sparse_adapter_engine.modules.forms import bottlenecks

from .pruner import Published, Round, RowlessPruner

if TYPE_CHECKING:
    from torch import Tensor

    from sparse_adapter_engine.backbones.backbone import Block
    from sparse_adapter_engine.masks.scores import Scores


class Synflow(RowlessPruner, Published):
    """|w · ∂R/∂w|, where R is what flows through all modules in a chain or, by the official rules,
    through each alone."""

    number = job_pb2.PRUNER_SYNFLOW
    flows_through_modules = True

    def score(self, now: Round) -> Scores:
        """See RowlessPruner."""
        adapter = now.trial.adapter
        if now.trial.prune.rules == job_pb2.MASK_RULES_OFFICIAL:
            return synflow_scores_alone(adapter, now.masked)
        return synflow_scores(adapter, now.blocks, now.hidden, now.masked)

    def choose_written_last(self, down: Tensor, up: Tensor) -> Tensor:
        """See Published: down's gradient is read twice, and the first reading sets it to 0."""
        import torch

        return torch.zeros_like(down)


def synflow_scores(
    adapter: job_pb2.Adapter, blocks: Sequence[Block], hidden: int, weights: dict[str, Tensor]
) -> Scores:
    """|w · ∂R/∂w| in float64 for the prunable matrices by name, 0 for removed weights; blocks: in
    order of depth. PRUNER_SYNFLOW in job.proto defines R."""
    import torch

    leaves = {name: weight.double().abs().requires_grad_() for name, weight in weights.items()}

    def product(site: str, x: Tensor) -> Tensor:
        return leaves[f"{site}.up.weight"] @ (leaves[f"{site}.down.weight"] @ x)

    def attention(at: str, x: Tensor) -> Tensor:
        if "attention" in bottlenecks(adapter):
            return x + adapter.scale * product(f"{at}attention", x)
        if adapter.attention == job_pb2.ATTENTION_MODULE_LORA:
            scale = adapter.lora_alpha / adapter.attention_bottleneck
            return x + scale * product(f"{at}query", x) + scale * product(f"{at}value", x)
        return x

    def ffn(at: str, x: Tensor) -> Tensor:
        if "ffn" in bottlenecks(adapter):
            return x + adapter.scale * product(f"{at}ffn", x)
        if adapter.ffn == job_pb2.FFN_MODULE_LORA:
            scale = adapter.lora_alpha / adapter.ffn_bottleneck
            return x + scale * product(f"{at}ffn_out", scale * product(f"{at}ffn_in", x))
        return x

    x = torch.ones(hidden, dtype=torch.float64)
    for block in blocks:
        x = attention(block.at, x)
        if block.has_cross_attention:
            x = attention(f"{block.at}cross_", x)
        x = ffn(block.at, x)
    gradients = torch.autograd.grad(x.sum(), list(leaves.values()))
    return {
        name: leaf.detach() * gradient
        for (name, leaf), gradient in zip(leaves.items(), gradients, strict=True)
    }


def synflow_scores_alone(adapter: job_pb2.Adapter, weights: dict[str, Tensor]) -> Scores:
    """|w · ∂R/∂w| in float64, as MASK_RULES_OFFICIAL in job.proto defines it: R sums, over
    bottleneck modules, what each alone, with a residual, returns for an all-ones input. With norm
    BEFORE that is the norm's bias, 0, whatever the weights are."""
    import torch

    from sparse_adapter_engine.masks.units import modules, pair

    if adapter.norm == job_pb2.ADAPTER_NORM_BEFORE:
        return {
            name: torch.zeros(weight.shape, dtype=torch.float64) for name, weight in weights.items()
        }
    scores: Scores = {}
    for module in modules({name: tuple(weight.shape) for name, weight in weights.items()}):
        down, up = (weights[name].double().abs() for name in pair(module))
        # No value is negative, so ReLU is the identity.
        into, out_of = down.sum(1), up.sum(0)
        scores |= dict(
            zip(
                pair(module),
                (adapter.scale * down * out_of[:, None], adapter.scale * up * into),
                strict=True,
            )
        )
    return {name: scores[name] for name in weights}
