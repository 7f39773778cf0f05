"""Computes what the code published with SparseAdapter was recorded to compute, with this project's
engine, and compares: trained tensors, logits, loss, gradients, scores, masks and training steps.

    published_code.py <folder of the records> < specifications

Each line of the input is a JSON object: `case`, a name in cases.json, and `trial`, a Trial of
job.proto as JSON. Each line of the output is one, too: `case` and `wrong`, a sentence, or null
where all of the case agrees.
"""

import json
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from google.protobuf.json_format import ParseDict
from published_names import official_name
from published_records import (
    Records,
    differs,
    kind_of,
    labels_of,
    mask_name,
    names_differ,
    scores_differ,
    split_of,
    write_backbone,
)
from sparse_adapter.trainer.v1 import job_pb2
from torch import Tensor

from sparse_adapter_engine.backbones.encoder.full_tuning import read_backbone_tensors
from sparse_adapter_engine.backbones.encoder.loading import load_encoder
from sparse_adapter_engine.backbones.encoder_decoder.loading import load_encoder_decoder
from sparse_adapter_engine.device.how import CPU_PASS_TOKENS, How
from sparse_adapter_engine.files.checkpoints import Position
from sparse_adapter_engine.masks.official_rules import OfficialRules
from sparse_adapter_engine.masks.pruning import Pruning
from sparse_adapter_engine.masks.scores import Masks, Scores
from sparse_adapter_engine.masks.scoring import Start, score, score_without_rows
from sparse_adapter_engine.modules.forms import has_backbone
from sparse_adapter_engine.modules.layout import Layout, layout
from sparse_adapter_engine.modules.trial_modules import TrialModules
from sparse_adapter_engine.progress import Pace
from sparse_adapter_engine.pruners import find_pruner
from sparse_adapter_engine.tasks.losses import loss
from sparse_adapter_engine.tasks.pairs import PairTask
from sparse_adapter_engine.tasks.rows import RowTask
from sparse_adapter_engine.training import cohort as training
from sparse_adapter_engine.training.optimizer import AdamW
from sparse_adapter_engine.training.trial_run import TrialRun


@dataclass
class Model:
    """A case's frozen model and trial in this project's engine."""

    trial: job_pb2.Trial
    backbone: Any
    layout: Layout
    weights: dict[str, Tensor]
    kind: int
    # By this project's name: the official one.
    official: dict[str, str]

    def task(self, split: Any) -> Any:
        how = How(CPU_PASS_TOKENS)
        task = PairTask if self.kind == job_pb2.TASK_KIND_SUMMARIZATION else RowTask
        return task(self.backbone, split, self.kind, how)


@cache
def _backbone(key: str) -> Any:
    arch, folder = key.split("\n")
    if arch == "bart":
        return load_encoder_decoder(folder, torch.device("cpu"))
    return load_encoder(folder, torch.device("cpu"))


def load_model(records: Records, name: str, trial: job_pb2.Trial) -> Model:
    case = records.case(name)
    arch = case["arch"]
    parameters = records.parameters(name)
    folder = write_backbone(arch, records.config(name), parameters)
    backbone = _backbone(f"{arch}\n{folder}")
    kind = kind_of(case["head"])
    found = layout(trial.adapter, backbone, labels_of(case["head"]), kind)
    official = {ours: official_name(ours, arch, parameters) for ours in found.shapes}
    own = read_backbone_tensors(folder) if has_backbone(trial.adapter) else {}
    weights = {
        ours: own[ours].clone() if ours in own else parameters[theirs].clone()
        for ours, theirs in official.items()
    }
    return Model(trial, backbone, found, weights, kind, official)


def _masks_of(records: Records, at: str, model: Model) -> Masks:
    """The recorded masks by our names; empty if none is recorded."""
    if not any(name.startswith(f"{at}/") for name in records.tensors):
        return {}
    return {
        name: records.tensors[f"{at}/{mask_name(model.official[name])}"]
        for name in model.layout.prunable_shapes
    }


def check_model(records: Records, name: str, trial: job_pb2.Trial) -> str | None:
    model = load_model(records, name, trial)
    gradients = records.inputs(f"{name}/grad")
    wrong = names_differ((model.official[n] for n in model.layout.trained_names), set(gradients))
    if wrong:
        return wrong
    inputs = records.inputs(f"{name}/input")
    split, (rows,) = split_of(model.kind, [inputs])
    task = model.task(split)
    masks = _masks_of(records, f"{name}/mask", model)
    leaves = {n: w.clone().requires_grad_() for n, w in model.weights.items()}
    tensors = {n: w * masks[n] if n in masks else w for n, w in leaves.items()}
    part = task.part(0, torch.tensor(rows), TrialModules(trial.adapter, tensors, None))
    (logits,) = task.logits([part])
    value = loss(model.kind, logits, part.pack, trial.train.label_smoothing)
    value.backward()
    wrong = _logits_differ(records.inputs(f"{name}/out"), model, part.pack, logits, inputs)
    wrong = wrong or differs("loss", value.detach().reshape(1), records.tensors[f"{name}/out/loss"])
    for ours in model.layout.trained_names:
        gradient = leaves[ours].grad
        theirs = gradients[model.official[ours]]
        gradient = torch.zeros_like(theirs) if gradient is None else gradient
        wrong = wrong or differs(f"the gradient of {ours}", gradient, theirs.view_as(gradient))
    return wrong


def _logits_differ(
    out: dict[str, Tensor], model: Model, pack: Any, logits: Tensor, inputs: dict[str, Tensor]
) -> str | None:
    logits = logits.detach()
    if model.kind == job_pb2.TASK_KIND_SUMMARIZATION:
        theirs = out["logits"]
        # Ours are in the order of the pack's labels.
        own = [theirs[row][inputs["labels"][row].long() != -100] for row in _order(pack)]
        return differs("logits", logits, torch.cat(own))
    if model.kind == job_pb2.TASK_KIND_QUESTION_ANSWERING:
        theirs = torch.stack([out["start_logits"], out["end_logits"]], 2)
        mask = inputs["attention_mask"].long()
        own = [
            theirs[row][: length if len(logits) == int(mask.sum()) else None]
            for row, length in ((row, int(mask[row].sum())) for row in pack.order.tolist())
        ]
        return differs("logits", logits, torch.cat(own))
    return differs("logits", logits, out["logits"][pack.order])


def _order(pack: Any) -> list[int]:
    found: list[int] = pack.orders[0].tolist()
    return found


@dataclass
class _Recorded:
    """Scores as the official rules compare them, for a record."""

    rules: OfficialRules

    def compared(self, prune: job_pb2.Prune, scores: Scores) -> Scores:
        plain = job_pb2.Prune()
        plain.CopyFrom(prune)
        plain.control = job_pb2.MASK_CONTROL_NONE
        shapes = {name: tuple(tensor.shape) for name, tensor in scores.items()}
        return OfficialRules(plain, shapes)._compared(scores)


def check_mask(records: Records, name: str, trial: job_pb2.Trial) -> str | None:
    case = records.case(name)
    model = load_model(records, name, trial)
    trained = set(records.names(records.content["form_trainable"][case["form"]]))
    inputs = records.inputs(f"{case.get('inputs_from', 'mask.' + case['form'])}/input")
    split, (rows,) = split_of(model.kind, [inputs])
    task = model.task(split)
    if not {model.official[n] for n in model.layout.trained_names} <= trained:
        return "other tensors are trained"
    for kept, result in case["results"].items():
        prune = job_pb2.Prune()
        prune.CopyFrom(trial.prune)
        prune.sparsity = 1 - float(kept)
        prune.scoring_batch = case["batches"][0]
        one = job_pb2.Trial()
        one.CopyFrom(trial)
        one.prune.CopyFrom(prune)
        pruning = Pruning(prune, 1, model.layout.prunable_shapes)
        for epoch, recorded in enumerate(result["epochs"]):
            scores = _scores(task, one, pruning, model.weights, torch.tensor(rows))
            at = f"{name}/score" if epoch == 0 else f"{name}/score@{kept}.e{epoch}"
            compared = _Recorded(pruning._method).compared(prune, scores)  # type: ignore[arg-type]
            wrong = _scores_differ(records, model, at, compared)
            if wrong and trial.prune.pruner != job_pb2.PRUNER_RAND:
                return f"kept {kept}, round {epoch + 1}: {wrong}"
            pruning.keep(scores)
            last = epoch + 1 == len(result["epochs"])
            at = f"{name}/mask@{kept}" + ("" if last else f".e{epoch}")
            masks = pruning.finished() if last else pruning.masks
            found = sum(int(mask.sum()) for mask in masks.values())
            if trial.prune.pruner == job_pb2.PRUNER_RAND:
                # Of a pair of masks that share their scores, a draw counts twice.
                if not case["mispaired"] and found != recorded["kept"]:
                    return f"kept {kept}: {found} weights are kept, not {recorded['kept']}"
                continue
            theirs = _masks_of(records, at, model)
            for each, mask in theirs.items():
                if not torch.equal(mask, masks[each]):
                    many = int((mask != masks[each]).sum())
                    return f"kept {kept}, round {epoch + 1}: {many} of the mask {each} differ"
            if found != recorded["kept"]:
                return f"kept {kept}: {found} weights are kept, not {recorded['kept']}"
    return None


def _scores(
    task: Any, trial: job_pb2.Trial, pruning: Pruning, weights: dict[str, Tensor], rows: Tensor
) -> Scores:
    if find_pruner(trial.prune).reads_rows:
        start = Start(trial, {"t": pruning}, weights, rows)
        return score(task, [start], lambda _: None)[0]
    return score_without_rows(trial, pruning, task.backbone, weights).scores


def _scores_differ(records: Records, model: Model, at: str, scores: Scores) -> str | None:
    for name, ours in scores.items():
        theirs = records.tensors.get(f"{at}/{model.official[name]}")
        wrong = None if theirs is None else scores_differ(name, ours, theirs)
        if wrong:
            return wrong
    return None


class _Quiet:
    """A reporter of a training that reports nothing."""

    def __getattr__(self, _: str) -> Any:
        return lambda *_: 0


def check_steps(records: Records, name: str, trial: job_pb2.Trial) -> str | None:
    case = records.case(name)
    model = load_model(records, name, trial)
    wrong = names_differ(
        (model.official[n] for n in model.layout.trained_names),
        set(records.inputs(f"{name}/grad.first_backward")),
    )
    if wrong:
        return wrong
    steps, scored = (
        [records.inputs(f"{name}/{what}.{i}") for i in range(count)]
        for what, count in (
            ("train_input", case["micro_batches"]),
            ("prune_input", case.get("prune_batches_seen", 0)),
        )
    )
    # GraSP reads its batches twice.
    scored = [batch for batch in scored if batch]
    split, members = split_of(model.kind, [*steps, *scored])
    scoring_rows = [row for batch in members[len(steps) :] for row in batch]
    task = model.task(split)
    per_epoch = case["micro_batches"] // round(case["training_args"]["num_train_epochs"] + 0.49)
    batch = case["train_batch_size"]
    rows = batch * (-(-case["micro_batches"] // case["training_args"]["num_train_epochs"]))
    del per_epoch
    one = job_pb2.Trial()
    one.CopyFrom(trial)
    if scored:
        one.prune.scoring_batch = case["prune_loader"]["batch_size"]
    snapshots = case["snapshots"]
    position = Position("recorded")
    parameters = model.layout.flatten(model.weights)
    pruned = one.prune.pruner != job_pb2.PRUNER_NONE
    masks = {
        each: torch.ones(shape, dtype=torch.uint8)
        for each, shape in model.layout.prunable_shapes.items()
    }
    run = TrialRun(
        one,
        model.layout,
        parameters,
        masks,
        Pruning(one.prune, 1, model.layout.prunable_shapes) if pruned else None,
        AdamW.fresh(parameters, model.layout.decayed, model.layout.trained),
        position,
        one.train.total_steps,
    )
    run.choose_rows = lambda done, total: torch.tensor(members[done])  # type: ignore[method-assign]
    training.choose_scoring_rows = lambda trial, task: torch.tensor(scoring_rows)
    losses: list[float] = []
    problems: list[str] = []
    update = run.update

    def updated(mean_loss: float, rows_done: int) -> None:
        losses.append(mean_loss)
        update(mean_loss, rows_done)
        if run.position.step in snapshots:
            now = model.layout.views(run.parameters)
            for each in model.layout.trained_names:
                theirs = records.tensors[
                    f"{name}/param.step{run.position.step}/{model.official[each]}"
                ]
                wrong = differs(
                    f"{each} after step {run.position.step}", now[each], theirs.view_as(now[each])
                )
                if wrong:
                    problems.append(wrong)

    run.update = updated  # type: ignore[method-assign]
    epoch_rows = rows

    class Task(type(task)):  # type: ignore[misc]
        rows = epoch_rows

    shown = Task(*(getattr(task, field) for field in ("backbone", "split", "kind", "how")))
    on = training.Callbacks(*(lambda *_: 0.0 for _ in range(4)))
    work = job_pb2.TrainWork(log_every_steps=1000, keep_checkpoints=1)
    pace = Pace(_Reporter(), 0, one.train.total_steps, 0)
    training.train_cohort(shown, [run], work, pace, on)
    if problems:
        return problems[0]
    many = one.train.accumulated_batches or 1
    if many == 1:
        return differs("losses", torch.tensor(losses), torch.tensor(case["losses"]))
    return None


class _Reporter:
    def stop_requested(self) -> int:
        return 0

    def __getattr__(self, _: str) -> Any:
        return lambda *_: None


CHECKS = {"model": check_model, "mask": check_mask, "steps": check_steps}


def main() -> None:
    torch.set_num_threads(1)
    records = Records(Path(sys.argv[1]))
    for line in sys.stdin:
        asked = json.loads(line)
        trial = ParseDict(asked["trial"], job_pb2.Trial())
        try:
            wrong = CHECKS[records.case(asked["case"])["kind"]](records, asked["case"], trial)
        except Exception as error:
            wrong = f"{type(error).__name__}: {error}"
        print(json.dumps({"case": asked["case"], "wrong": wrong}), flush=True)


if __name__ == "__main__":
    main()
