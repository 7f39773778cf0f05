"""AdamW over a flat vector is torch's AdamW; the learning rate follows the contract."""

import pytest
import torch
from sparse_adapter.trainer.v1 import job_pb2

from sparse_adapter_engine.training.optimizer import AdamW, clip, learning_rate

LINEAR, CONSTANT = job_pb2.LEARNING_RATE_SCHEDULE_LINEAR, job_pb2.LEARNING_RATE_SCHEDULE_CONSTANT


def train(**settings: float) -> job_pb2.Train:
    defaults = {
        "total_steps": 10,
        "learning_rate": 1e-2,
        "schedule": LINEAR,
        "adam_beta1": 0.9,
        "adam_beta2": 0.98,
        "adam_epsilon": 1e-6,
    }
    return job_pb2.Train(**defaults | settings)


def test_thirty_steps_equal_torch_adamw_with_decay_on_the_first_weights_only() -> None:
    torch.manual_seed(0)
    settings, decayed = train(total_steps=30, weight_decay=0.1, warmup=0.2), 60
    flat = torch.randn(100)
    matrix, bias = flat[:decayed].clone().requires_grad_(), flat[decayed:].clone().requires_grad_()
    groups = [{"params": [matrix], "weight_decay": 0.1}, {"params": [bias], "weight_decay": 0.0}]
    theirs, ours = (
        torch.optim.AdamW(groups, lr=1.0, betas=(0.9, 0.98), eps=1e-6),
        AdamW.fresh(flat, decayed),
    )
    for step in range(1, 31):
        gradient = torch.randn(100) * 10 ** torch.randint(-6, 3, (100,)).float()
        matrix.grad, bias.grad = gradient[:decayed].clone(), gradient[decayed:].clone()
        for group in theirs.param_groups:
            group["lr"] = learning_rate(settings, step)
        theirs.step()
        ours.update(flat, gradient, settings, step)
        assert torch.allclose(flat, torch.cat([matrix, bias]).detach(), rtol=1e-6, atol=1e-8)


def test_the_rate_rises_from_zero_and_falls_linearly_towards_zero_at_the_end() -> None:
    rates = [learning_rate(train(warmup=0.2), step) for step in range(1, 11)]
    assert rates == pytest.approx(
        [0, 0.005, 0.01, 0.00875, 0.0075, 0.00625, 0.005, 0.00375, 0.0025, 0.00125]
    )


def test_warm_up_is_rounded_up_to_whole_steps() -> None:
    assert learning_rate(train(warmup=0.11), 2) == pytest.approx(0.005)


def test_a_constant_rate_stays_after_warm_up() -> None:
    assert {learning_rate(train(schedule=CONSTANT), step) for step in range(1, 11)} == {1e-2}


@pytest.mark.parametrize(
    ("limit", "expected"), [(2.5, [1.5, 2.0]), (0, [3.0, 4.0]), (7.0, [3.0, 4.0])]
)
def test_a_gradient_is_clipped_to_a_norm_and_zero_does_not_clip(
    limit: float, expected: list[float]
) -> None:
    gradient = torch.tensor([3.0, 4.0])
    clip(gradient, 5.0, limit)
    assert gradient.tolist() == pytest.approx(expected)
