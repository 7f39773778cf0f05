"""Runs jobs: the front door of the tensor work. Otherwise the server imports only the checks of
requests, which need no PyTorch."""

import gc
from pathlib import Path

import torch
import transformers
from sparse_adapter.trainer.v1 import event_pb2, job_pb2

from sparse_adapter_engine.backbones.encoder.frozen import packs_bfloat16
from sparse_adapter_engine.backbones.encoder.invariance import rows_are_invariant
from sparse_adapter_engine.device.how import (
    CPU_PASS_TOKENS,
    GPU_PART_ROWS,
    GPU_PART_TOKENS,
    GPU_PASS_TOKENS,
    How,
)
from sparse_adapter_engine.device.memory import give_back_freed_memory
from sparse_adapter_engine.device.names import cpu_name
from sparse_adapter_engine.device.room import is_out_of_memory
from sparse_adapter_engine.device.threads import use_threads
from sparse_adapter_engine.files.names import place_backbone
from sparse_adapter_engine.stacked.choose import choose
from sparse_adapter_engine.tasks.families import list_architectures
from sparse_adapter_engine.work.context import Context
from sparse_adapter_engine.work.predict import run_predict
from sparse_adapter_engine.work.prune import run_prune
from sparse_adapter_engine.work.train import run_train
from sparse_adapter_engine.work.trial_locks import hold_trials

from .errors import JobFailed
from .reporting import Reporter


class Engine:
    """Scores, trains and predicts on one device. `run` must always be called from the same thread.

    root: the artifact root. device: `cpu`, `cuda` or `cuda:<i>`. threads: PyTorch's threads, at
    most (and by default) the cores that the process may use. how: overrides the device's choice.
    """

    architectures: list[str]
    environment: dict[str, str]
    device: str
    precisions: list[job_pb2.Precision]

    def __init__(
        self, root: Path, device: str = "cpu", threads: int | None = None, how: How | None = None
    ) -> None:
        used_threads = use_threads(threads)
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        self.architectures = list_architectures()
        target = torch.device(device)
        self.device = str(target)
        self.precisions = [job_pb2.PRECISION_FLOAT32]
        if target.type == "cuda":
            if target.index is not None:
                # Triton's kernels run on the current device.
                torch.cuda.set_device(target)
            self.precisions += [job_pb2.PRECISION_TF32, job_pb2.PRECISION_BF16]
        elif packs_bfloat16():
            self.precisions.append(job_pb2.PRECISION_BF16)
        self.environment = {
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "cpu_capability": torch.backends.cpu.get_cpu_capability(),
            "threads": str(used_threads),
            "device": torch.cuda.get_device_name(target) if target.type == "cuda" else "cpu",
            "row_invariant": str(rows_are_invariant(target)).lower(),
        }
        self._given = how
        self._hows: dict[int, How] = {}
        self._context = Context(root, target, self._how, self._describe)

    def _how(self, precision: int) -> How:
        """Chosen at the first job of each precision, because the self-test takes some seconds."""
        if precision not in self._hows:
            self._hows[precision] = self._choose(precision)
        return self._hows[precision]

    def _describe(self, precision: job_pb2.Precision) -> event_pb2.Environment:
        """What computes a job at a precision."""
        device = self._context.device
        on_gpu = device.type == "cuda"
        stacked = None if self._given else self._how(precision).stacked
        return event_pb2.Environment(
            framework="torch",
            framework_version=torch.__version__,
            device=device.type,
            device_name=torch.cuda.get_device_name(device) if on_gpu else cpu_name(),
            precision=precision,
            details=self.environment | (stacked.names if stacked else {}),
        )

    def _choose(self, precision: int) -> How:
        device = self._context.device
        if self._given:
            return self._given
        if device.type == "cpu":
            return How(CPU_PASS_TOKENS)
        operations = choose(device, precision)
        return How(GPU_PASS_TOKENS, operations, GPU_PART_ROWS, GPU_PART_TOKENS)

    def run(self, spec: job_pb2.JobSpec, reporter: Reporter) -> None:
        """Runs a job to its end. Work that is already on disk, made from the same inputs, is not
        repeated.

        Raises JobFailed if the whole job fails (a single trial's failure is in its trial_result),
        Interrupted or Cancelled if the reporter asked for a stop.
        """
        work = {"prune": run_prune, "train": run_train, "predict": run_predict}[
            spec.WhichOneof("work")
        ]
        try:
            with hold_trials(self._context.root, spec, reporter):
                work(self._context, place_backbone(self._context.root, spec), reporter)
        except MemoryError as error:
            raise _out_of_memory(error) from error
        except RuntimeError as error:
            # The CPU allocator has no exception class of its own.
            if "can't allocate memory" not in str(error) and not is_out_of_memory(error):
                raise
            raise _out_of_memory(error) from error
        finally:
            give_back_freed_memory()

    def unload(self) -> None:
        """Frees the backbone and the splits of the last job. The next job loads its own."""
        self._context.unload()
        gc.collect()
        if self._context.device.type == "cuda":
            torch.cuda.empty_cache()
        give_back_freed_memory()


def _out_of_memory(error: BaseException) -> JobFailed:
    return JobFailed(
        event_pb2.FAILURE_REASON_OUT_OF_MEMORY,
        f"out of memory ({error}); fewer trials in a cohort need less",
    )
