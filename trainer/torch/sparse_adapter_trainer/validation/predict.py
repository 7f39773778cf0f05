"""What is wrong in itself with a job that predicts."""

import math
import re

from sparse_adapter.trainer.v1 import job_pb2

from .violations import Found, check_at_least_one, write_number

_SPLIT = re.compile(r"[a-z0-9_-]{1,64}")


def check_predict_work(spec: job_pb2.JobSpec) -> Found:
    work = spec.predict
    if not work.splits:
        yield "spec.predict.splits", "is empty; name at least one split"
    for index, split in enumerate(work.splits):
        if not _SPLIT.fullmatch(split):
            yield (
                f"spec.predict.splits[{index}]",
                f"{split!r} is not 1 to 64 characters of a-z, 0-9, '_' and '-'",
            )
    for index, trial in enumerate(spec.trials):
        total = trial.train.total_steps
        if work.at_step and work.at_step >= total:
            yield (
                "spec.predict.at_step",
                f"{work.at_step} is not below {total}, the total_steps of spec.trials[{index}]; "
                "the last step's predictions are those without at_step",
            )
    if spec.dataset.task_kind == job_pb2.TASK_KIND_SUMMARIZATION:
        yield from _check_generation("spec.predict.generation", work.generation)


def _check_generation(at: str, generation: job_pb2.Generation) -> Found:
    yield from check_at_least_one(f"{at}.beams", generation.beams)
    yield from check_at_least_one(f"{at}.max_length", generation.max_length)
    if generation.min_length > generation.max_length >= 1:
        yield (
            f"{at}.min_length",
            f"{generation.min_length} is more than max_length, {generation.max_length}",
        )
    if not math.isfinite(generation.length_penalty):
        yield f"{at}.length_penalty", f"{write_number(generation.length_penalty)} is not a number"
