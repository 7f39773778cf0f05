"""SynFlow (Tanaka et al. 2020, arXiv:2006.05467): how much of what flows through a trial's modules
flows through each weight. Needs no data and no backbone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sparse_adapter.trainer.v1 import job_pb2

from sparse_adapter_engine.modules.forms import bottlenecks, scale_at

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
            now.left_over, scores = synflow_alone(adapter, now.masked, now.others)
            return scores
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
            return x + scale_at(adapter, "attention") * product(f"{at}attention", x)
        if adapter.attention == job_pb2.ATTENTION_MODULE_LORA:
            scale = adapter.lora_alpha / adapter.attention_bottleneck
            return x + scale * product(f"{at}query", x) + scale * product(f"{at}value", x)
        return x

    def ffn(at: str, x: Tensor) -> Tensor:
        if "ffn" in bottlenecks(adapter):
            return x + scale_at(adapter, "ffn") * product(f"{at}ffn", x)
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


def synflow_alone(
    adapter: job_pb2.Adapter, weights: dict[str, Tensor], others: dict[str, Tensor]
) -> tuple[Scores, Scores]:
    """∂R/∂w of the trial's other tensors, and |w · ∂R/∂w| in float64, as MASK_RULES_OFFICIAL in
    job.proto defines R: the mean of what each bottleneck module alone, with a residual, returns
    for an all-ones input, summed over modules, with the absolute value of every tensor. With norm
    BEFORE the module reads the norm's bias, 0 before training, whatever the weights are."""
    import torch

    from sparse_adapter_engine.masks.units import modules
    from sparse_adapter_engine.modules.trial_modules import TrialModules

    found = [module for module in modules({n: tuple(w.shape) for n, w in weights.items()})]
    leaves = {
        name: tensor.double().abs().requires_grad_()
        for name, tensor in (weights | others).items()
        if any(name.startswith(f"{module}.") for module in found)
    }
    own = TrialModules(adapter, leaves, dropout=None)
    outputs = [own.flow(module, leaves[f"{module}.down.weight"].shape[1]) for module in found]
    gradients = torch.autograd.grad(
        torch.stack([out.mean() for out in outputs]).sum(), list(leaves.values())
    )
    by_name = dict(zip(leaves, gradients, strict=True))
    return (
        {name: gradient for name, gradient in by_name.items() if name in others},
        {name: (leaves[name].detach() * by_name[name]).abs() for name in weights},
    )
