"""Cohorts of this project's trainer. No other file of the benchmark knows how to call it."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import cycle
from typing import Any, Generic, TypeVar

import torch
from sparse_adapter.trainer.v1 import job_pb2
from torch import Tensor

from sparse_adapter_engine.backbones.encoder.encoder import Encoder
from sparse_adapter_engine.backbones.encoder.loading import from_transformers
from sparse_adapter_engine.backbones.encoder_decoder.encoder_decoder import EncoderDecoder
from sparse_adapter_engine.backbones.encoder_decoder.loading import load_encoder_decoder
from sparse_adapter_engine.data.length_groups import ONE_GROUP
from sparse_adapter_engine.data.pairs import PairSplit
from sparse_adapter_engine.data.rows import CLASSIFICATION, QUESTION_ANSWERING, SUMMARIZATION, Split
from sparse_adapter_engine.device.how import GPU_PASS_TOKENS, How
from sparse_adapter_engine.files.checkpoints import Position
from sparse_adapter_engine.keys import permutation
from sparse_adapter_engine.modules.forms import prompt_length
from sparse_adapter_engine.modules.layout import initialize, layout
from sparse_adapter_engine.modules.trial_modules import TrialModules
from sparse_adapter_engine.stacked.batch import choose_shape
from sparse_adapter_engine.stacked.choose import choose
from sparse_adapter_engine.stacked.operations import PLAIN, Operations
from sparse_adapter_engine.tasks.pairs import PairTask
from sparse_adapter_engine.tasks.rows import RowTask
from sparse_adapter_engine.tasks.task import Task
from sparse_adapter_engine.training.optimizer import AdamW
from sparse_adapter_engine.training.steps import make_steps
from sparse_adapter_engine.training.trial_run import TrialRun

from .workloads import RandomRows

PRECISIONS = {
    "float32": job_pb2.PRECISION_FLOAT32,
    "tf32": job_pb2.PRECISION_TF32,
    "bf16": job_pb2.PRECISION_BF16,
}
# The precisions of encoder–decoders.
PAIR_PRECISIONS = ("bf16", "float32")
_COMMON: dict[str, Any] = {
    "init": job_pb2.ADAPTER_INIT_GAUSSIAN,
    "init_std": 0.02,
    "unfrozen": job_pb2.UNFROZEN_NONE,
}
_BOTTLENECK: dict[str, Any] = {
    "scale": 1,
    "norm": job_pb2.ADAPTER_NORM_BEFORE,
    "activation": job_pb2.ACTIVATION_RELU,
}
_NO_ATTENTION, _NO_FFN = job_pb2.ATTENTION_MODULE_NONE, job_pb2.FFN_MODULE_NONE
# What is trained, by name. `adapter` fills in widths.
_FORMS: dict[str, dict[str, Any]] = {
    "Houlsby": {
        "attention": job_pb2.ATTENTION_MODULE_SEQUENTIAL,
        "ffn": job_pb2.FFN_MODULE_SEQUENTIAL,
        **_BOTTLENECK,
    },
    "parallel": {
        "attention": job_pb2.ATTENTION_MODULE_PARALLEL,
        "ffn": job_pb2.FFN_MODULE_PARALLEL,
        **_BOTTLENECK,
    },
    "Pfeiffer": {"attention": _NO_ATTENTION, "ffn": job_pb2.FFN_MODULE_AFTER_NORM, **_BOTTLENECK},
    "LoRA": {"attention": job_pb2.ATTENTION_MODULE_LORA, "ffn": _NO_FFN, "lora_alpha": 16},
    "prefix": {"attention": job_pb2.ATTENTION_MODULE_PREFIX, "ffn": _NO_FFN},
    "prompt": {"attention": job_pb2.ATTENTION_MODULE_PROMPT, "ffn": _NO_FFN},
    "BitFit": {"attention": _NO_ATTENTION, "ffn": _NO_FFN, "unfrozen": job_pb2.UNFROZEN_BIASES},
}


def adapter(form: str = "Houlsby", width: int = 64) -> job_pb2.Adapter:
    """form: a name in _FORMS; width: of bottlenecks, LoRA's rank, tokens of a prefix or a
    prompt."""
    fields = _COMMON | _FORMS[form]
    widths = {
        "attention_bottleneck": width if fields["attention"] != _NO_ATTENTION else 0,
        "ffn_bottleneck": width if fields["ffn"] != _NO_FFN else 0,
    }
    return job_pb2.Adapter(**fields, **widths)


B = TypeVar("B", Encoder, EncoderDecoder)


@dataclass(frozen=True)
class Loaded(Generic[B]):
    """A backbone, and the operations for its stacked passes."""

    backbone: B
    operations: Operations

    @property
    def how(self) -> How:
        """How the trainer's engine computes a job on a GPU."""
        return How(GPU_PASS_TOKENS, self.operations)


def load(model: Any, precision: str) -> Loaded[Encoder]:
    """The trainer's backbone from Transformers' model, on the model's device; precision: a name in
    PRECISIONS."""
    set_products(precision)
    operations = choose_operations(model.device.type, precision)
    backbone = from_transformers(model, False, PRECISIONS[precision])
    return Loaded(backbone, operations)


def set_products(precision: str) -> None:
    """Sets, for the whole process, whether a GPU may round float32 products to TF32."""
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")


@cache
def choose_operations(device: str, precision: str) -> Operations:
    """What the trainer chooses on a GPU after a self-test; on a CPU, which stands in for one here,
    the plain operations."""
    if device == "cuda":
        return choose(torch.device(device), PRECISIONS[precision])
    return PLAIN


@dataclass(frozen=True)
class Asked:
    """A trial of a cohort. first_step_only: no clipping and no averaging of the first moment, so
    that `gradients` finds the step's gradient."""

    seed: int
    adapter: job_pb2.Adapter
    batch: int
    dropout: float = 0.0
    first_step_only: bool = False

    def trial(self) -> job_pb2.Trial:
        train = job_pb2.Train(
            batch_size=self.batch,
            total_steps=100_000,
            learning_rate=1e-3,
            weight_decay=0.01,
            schedule=job_pb2.LEARNING_RATE_SCHEDULE_LINEAR,
            max_grad_norm=0 if self.first_step_only else 1,
            adam_beta1=0 if self.first_step_only else 0.9,
            adam_beta2=0.999,
            adam_epsilon=1e-8,
            dropout=self.dropout,
        )
        trial_id = f"seed-{self.seed}"
        return job_pb2.Trial(trial_id=trial_id, seed=self.seed, adapter=self.adapter, train=train)


class _Trials:
    """Trials in training over one backbone. They must be closed: a thread feeds their steps."""

    runs: list[TrialRun]

    def __init__(
        self,
        task: Task,
        asked: Sequence[Asked],
    ) -> None:
        self._backbone, self._task_kind = task.backbone, task.kind
        self.runs = [self._start(each.trial()) for each in asked]
        self._steps = make_steps(task, self.runs)

    def _start(self, trial: job_pb2.Trial) -> TrialRun:
        """Starts at the initial weights with noise, so that biases and norms have some too."""
        found = layout(trial.adapter, self._backbone, num_labels=2, task_kind=self._task_kind)
        parameters = found.flatten(initialize(trial, found.shapes, self._backbone.pooler))
        random = torch.Generator(self._backbone.device).manual_seed(trial.seed)
        parameters = parameters.to(self._backbone.device)
        parameters += 0.02 * torch.randn(parameters.shape, generator=random, device=random.device)
        shapes = found.prunable_shapes.items()
        masks = {name: torch.ones(shape, dtype=torch.uint8) for name, shape in shapes}
        optimizer = AdamW.fresh(parameters, found.decayed)
        return TrialRun(trial, found, parameters, masks, None, optimizer, Position(""), until=0)

    def close(self) -> None:
        """Ends what feeds the steps."""
        for steps in self._steps:
            steps.close()

    def step(self) -> None:
        """Does one step of every trial; on a GPU it is only queued."""
        for steps in self._steps:
            steps.step(lambda rows, trials: None)

    def settle(self) -> None:
        """Waits for the device. Raises RuntimeError for a trial that has failed."""
        for steps in self._steps:
            for trial_id, failure in steps.settle().items():
                raise RuntimeError(f"{trial_id}: {failure.message}")

    def take_losses(self) -> list[float]:
        """Each trial's mean loss over the settled steps since the last call."""
        found = []
        for run in self.runs:
            found.append(run.position.loss_sum / run.position.loss_rows)
            run.position.loss_sum, run.position.loss_rows = 0.0, 0
        return found

    def weights(self) -> list[dict[str, Tensor]]:
        """Copies of each trial's weights by name. Call it after `settle`."""
        self._write_back()
        views = [run.layout.views(run.parameters) for run in self.runs]
        return [{name: view.clone() for name, view in own.items()} for own in views]

    def gradients(self) -> list[dict[str, Tensor]]:
        """Each trial's gradients by name, after one settled step of trials with
        `first_step_only`."""
        self._write_back()
        return [run.layout.views(run.optimizer.first_moment) for run in self.runs]

    def _write_back(self) -> None:
        for steps in self._steps:
            steps.write_back(self.runs)


class Cohort(_Trials):
    """Trials over one encoder on rows with a class or an answer's places each, in stacked passes
    even on a CPU. graphs: whether steps may be captured and replayed, if the device can."""

    def __init__(
        self,
        loaded: Loaded[Encoder],
        rows: RandomRows,
        asked: Sequence[Asked],
        graphs: bool = True,
    ) -> None:
        answers = rows.labels.ndim == 2
        kind = QUESTION_ANSWERING if answers else CLASSIFICATION
        types = torch.zeros_like(rows.ids)
        self._rows = Split("train", rows.ids, types, rows.offsets, rows.labels)
        if not graphs:
            loaded = replace(loaded, operations=replace(loaded.operations, graphs=False))
        super().__init__(RowTask(loaded.backbone, self._rows, kind, loaded.how), asked)

    def first_rows(self) -> list[Tensor]:
        """The rows of each trial's first step, int64 [batch]."""
        return [rows[0] for rows in self._rows_of_epoch(1)]

    def padding(self) -> float:
        """Padded tokens over real ones in the first steps."""
        computed = real = 0
        for rows in zip(*self._rows_of_epoch(8), strict=True):
            prompts = [prompt_length(run.trial.adapter) for run in self.runs]
            packs = [self._rows.pack(*each) for each in zip(rows, prompts, strict=True)]
            tokens = [pack.tokens for pack in packs]
            longest = max(length for pack in packs for _, length in pack.groups)
            shape = choose_shape(tokens, [pack.rows for pack in packs], longest)
            computed += shape.tokens * shape.trials
            real += sum(tokens)
        return computed / real - 1

    def _rows_of_epoch(self, most: int) -> list[tuple[Tensor, ...]]:
        """For each trial, the rows of its first steps, at most `most` of them."""
        orders = [permutation(self._rows.rows, run.trial.seed, "order", 0) for run in self.runs]
        batches = [run.trial.train.batch_size for run in self.runs]
        return [order.split(batch)[:most] for order, batch in zip(orders, batches, strict=True)]


def load_pairs(model: Any, precision: str) -> Loaded[EncoderDecoder]:
    """The trainer's encoder–decoder from Transformers' model, which goes through a temporary
    folder; precision: one of PAIR_PRECISIONS."""
    set_products(precision)
    operations = choose_operations(model.device.type, precision)
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        backbone = load_encoder_decoder(folder, model.device, PRECISIONS[precision])
    return Loaded(backbone, operations)


class PairCohort(_Trials):
    """Trials over one encoder–decoder on texts with targets."""

    def __init__(
        self,
        loaded: Loaded[EncoderDecoder],
        texts: list[Tensor],
        targets: list[Tensor],
        asked: Sequence[Asked],
    ) -> None:
        self._model = loaded.backbone
        self._pairs = PairSplit("train", *_packed(texts), *_packed(targets))
        super().__init__(PairTask(self._model, self._pairs, SUMMARIZATION, loaded.how), asked)

    def generating(self, beams: int, longest: int) -> Callable[[], None]:
        """A function that generates one batch with the first trial; batches have similar lengths,
        as in prediction."""
        run, split = self.runs[0], self._pairs
        asked = job_pb2.Generation(beams=beams, max_length=longest, length_penalty=1)
        modules = TrialModules(run.trial.adapter, run.layout.views(run.parameters), dropout=None)
        batches = cycle(split.lengths.argsort(stable=True).split(run.trial.train.batch_size))

        def generate() -> None:
            pack = split.pack(next(batches), group_tokens=ONE_GROUP).to(self._model.device)
            self._model.generate(pack, modules, asked)

        return generate


def _packed(rows: list[Tensor]) -> tuple[Tensor, Tensor]:
    """The rows one after the other, and where each begins and ends."""
    lengths = torch.tensor([row.numel() for row in rows])
    return torch.cat(rows), torch.nn.functional.pad(lengths.cumsum(0), (1, 0))
