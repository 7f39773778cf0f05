"""What is wrong in itself with how a trial is trained, and with a job that trains."""

from sparse_adapter.trainer.v1 import job_pb2

from .violations import (
    Found,
    check_at_least_one,
    check_enum,
    check_fraction,
    check_not_negative,
    check_positive,
)


def check_train_work(work: job_pb2.TrainWork) -> Found:
    yield from check_at_least_one("spec.train.log_every_steps", work.log_every_steps)
    yield from check_at_least_one("spec.train.keep_checkpoints", work.keep_checkpoints)
    yield from check_not_negative("spec.train.checkpoint_seconds", work.checkpoint_seconds)


def check_train(at: str, train: job_pb2.Train) -> Found:
    yield from check_at_least_one(f"{at}.batch_size", train.batch_size)
    yield from check_at_least_one(f"{at}.total_steps", train.total_steps)
    yield from check_positive(f"{at}.learning_rate", train.learning_rate)
    yield from check_not_negative(f"{at}.weight_decay", train.weight_decay)
    yield from check_fraction(f"{at}.warmup", train.warmup)
    yield from check_enum(f"{at}.schedule", train.schedule, job_pb2.LearningRateSchedule)
    yield from check_not_negative(f"{at}.max_grad_norm", train.max_grad_norm)
    yield from check_fraction(f"{at}.adam_beta1", train.adam_beta1)
    yield from check_fraction(f"{at}.adam_beta2", train.adam_beta2)
    yield from check_positive(f"{at}.adam_epsilon", train.adam_epsilon)
    yield from check_fraction(f"{at}.dropout", train.dropout)
    yield from check_fraction(f"{at}.attention_dropout", train.attention_dropout)
    yield from check_fraction(f"{at}.label_smoothing", train.label_smoothing)
