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
from tempfile import mkdtemp
from typing import Any

import torch
from google.protobuf.json_format import ParseDict
from published_names import official_name
from safetensors import safe_open
from safetensors.torch import save_file
from sparse_adapter.trainer.v1 import job_pb2
from torch import Tensor

from sparse_adapter_engine.backbones.encoder.full_tuning import read_backbone_tensors
from sparse_adapter_engine.backbones.encoder.loading import load_encoder
from sparse_adapter_engine.backbones.encoder_decoder.loading import load_encoder_decoder
from sparse_adapter_engine.data.pairs import PairSplit
from sparse_adapter_engine.data.rows import Split
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

TOLERANCE = 1e-5
# Of the largest score. Both sides are sums in float32, GraSP's of second derivatives.
SCORE_TOLERANCE = 2e-4
_KINDS = {
    "reg": job_pb2.TASK_KIND_REGRESSION,
    "qa": job_pb2.TASK_KIND_QUESTION_ANSWERING,
    "lm": job_pb2.TASK_KIND_SUMMARIZATION,
}


class Records:
    """cases.json and its tensors."""

    def __init__(self, folder: Path) -> None:
        self.content = json.loads((folder / "cases.json").read_text())
        self.tensors: dict[str, Tensor] = {}
        for path in sorted(folder.glob("*.safetensors")):
            with safe_open(path, "pt") as file:
                self.tensors |= {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118

    def case(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.content["cases"][name]
        return found

    def names(self, reference: Any) -> list[str]:
        return self.content["name_sets"].get(reference, reference) if reference else []

    def parameters(self, name: str) -> dict[str, Tensor]:
        """The case's parameters by their official names."""
        case = self.case(name)
        form = case.get("form")
        reference = self.content["form_parameters"][form] if form else case["parameters"]
        own = [name, *([f"mask.{form}"] if form else [])]
        shared = [f"_shared.{case['arch']}", f"_init.{case['arch']}"]
        given = case.get("params_from", [])
        places = [*own, *([given] if isinstance(given, str) else given), *shared]
        found: dict[str, Tensor] = {}
        for parameter, shape in self.content["parameter_sets"][reference].items():
            for place in places:
                tensor = self.tensors.get(f"{place}/param/{parameter}")
                if tensor is not None and list(tensor.shape) == list(shape):
                    found[parameter] = tensor
                    break
            else:
                raise KeyError(f"{name}: no value of {parameter}")
        return found

    def inputs(self, at: str) -> dict[str, Tensor]:
        """Tensors by the last part of their names."""
        return {
            name.removeprefix(f"{at}/"): tensor
            for name, tensor in self.tensors.items()
            if name.startswith(f"{at}/")
        }


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


def _labels_of(head: str) -> int:
    return 0 if head == "lm" else 2 if head == "qa" else 1 if head == "reg" else int(head[3:])


@cache
def _backbone(key: str) -> Any:
    arch, folder = key.split("\n")
    if arch == "bart":
        return load_encoder_decoder(folder, torch.device("cpu"))
    return load_encoder(folder, torch.device("cpu"))


_FOLDERS: dict[str, str] = {}


def _write_backbone(arch: str, config: dict[str, Any], parameters: dict[str, Tensor]) -> str:
    """A Hugging Face directory of the frozen model; the same one for equal weights."""
    own = {
        name.removeprefix("pretrained_model."): tensor
        for name, tensor in parameters.items()
        if name.startswith(("pretrained_model.roberta.", "pretrained_model.bert."))
        or (name.startswith("pretrained_model.model.") and arch == "bart")
    }
    own = {
        name: tensor for name, tensor in own.items() if "ef_" not in name and ".mask" not in name
    }
    if arch == "bart":
        own["final_logits_bias"] = torch.zeros(1, config["vocab_size"])
        for name in ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight"):
            own[f"model.{name}"] = own["model.shared.weight"].clone()
        own["lm_head.weight"] = own["model.shared.weight"].clone()
    key = arch + str(
        sum(float((tensor.double() * (i + 1)).sum()) for i, tensor in enumerate(own.values()))
    )
    if key not in _FOLDERS:
        folder = Path(mkdtemp(prefix="published-"))
        save_file({name: t.contiguous() for name, t in own.items()}, folder / "model.safetensors")
        architecture = {
            "roberta": "RobertaModel",
            "bert": "BertModel",
            "bart": "BartForConditionalGeneration",
        }[arch]
        more = {"model_type": arch, "architectures": [architecture]}
        (folder / "config.json").write_text(json.dumps(config | more))
        _FOLDERS[key] = str(folder)
    return _FOLDERS[key]


def load_model(records: Records, name: str, trial: job_pb2.Trial) -> Model:
    case = records.case(name)
    arch = case["arch"]
    parameters = records.parameters(name)
    config = case.get("config") or next(
        other["config"]
        for other in records.content["cases"].values()
        if other["arch"] == arch and "config" in other
    )
    folder = _write_backbone(arch, config, parameters)
    backbone = _backbone(f"{arch}\n{folder}")
    kind = _KINDS.get(case["head"], job_pb2.TASK_KIND_CLASSIFICATION)
    found = layout(trial.adapter, backbone, _labels_of(case["head"]), kind)
    official = {ours: official_name(ours, arch, parameters) for ours in found.shapes}
    own = read_backbone_tensors(folder) if has_backbone(trial.adapter) else {}
    weights = {
        ours: own[ours].clone() if ours in own else parameters[theirs].clone()
        for ours, theirs in official.items()
    }
    return Model(trial, backbone, found, weights, kind, official)


def split_of(
    kind: int, batches: list[dict[str, Tensor]], padding: int
) -> tuple[Any, list[list[int]]]:
    """The rows of some padded batches as one split, and the row numbers of each batch."""
    ids, lengths, labels, targets, target_lengths, members = [], [], [], [], [], []
    rows = 0
    for batch in batches:
        mask, tokens = batch["attention_mask"].long(), batch["input_ids"].long()
        members.append(list(range(rows, rows + len(tokens))))
        rows += len(tokens)
        for row, length in enumerate(mask.sum(1).tolist()):
            ids.append(tokens[row, :length])
            lengths.append(length)
            if kind == job_pb2.TASK_KIND_SUMMARIZATION:
                target = batch["labels"][row].long()
                targets.append(target[target != -100])
                target_lengths.append(len(targets[-1]))
        if kind == job_pb2.TASK_KIND_QUESTION_ANSWERING:
            labels.append(
                torch.stack([batch["start_positions"].long(), batch["end_positions"].long()], 1)
            )
        elif kind != job_pb2.TASK_KIND_SUMMARIZATION:
            labels.append(batch["labels"])
    offsets = torch.tensor([0, *lengths]).cumsum(0)
    if kind == job_pb2.TASK_KIND_SUMMARIZATION:
        target_offsets = torch.tensor([0, *target_lengths]).cumsum(0)
        split = PairSplit("train", torch.cat(ids), offsets, torch.cat(targets), target_offsets)
        return split, members
    joined = torch.cat(labels)
    joined = joined.float() if kind == job_pb2.TASK_KIND_REGRESSION else joined.long()
    tokens = torch.cat(ids)
    return Split("train", tokens, torch.zeros_like(tokens), offsets, joined), members


def _differs(what: str, ours: Tensor, theirs: Tensor, tolerance: float = TOLERANCE) -> str | None:
    if tuple(ours.shape) != tuple(theirs.shape):
        return f"{what} has shape {tuple(ours.shape)}, not {tuple(theirs.shape)}"
    worst = float((ours.double() - theirs.double()).abs().max()) if ours.numel() else 0.0
    room = tolerance * max(1.0, float(theirs.abs().max()) if theirs.numel() else 1.0)
    return f"{what} differs by {worst:.2e}" if not worst <= room else None


def _names_differ(model: Model, trained: set[str]) -> str | None:
    """The official names that train with an effect against ours."""
    ours = {model.official[name] for name in model.layout.trained_names}
    # A key's bias has no effect: it changes all scores of a query alike.
    trained = {name for name in trained if not name.endswith((".key.bias", "k_proj.bias"))}
    if ours != trained:
        first = min(ours ^ trained)
        return f"{first} is trained {'here' if first in ours else 'there'} only"
    return None


def _masks_of(records: Records, at: str, model: Model) -> Masks:
    """The recorded masks by our names; empty if none is recorded."""
    if not any(name.startswith(f"{at}/") for name in records.tensors):
        return {}
    return {
        name: records.tensors[f"{at}/{_mask_name(model.official[name])}"]
        for name in model.layout.prunable_shapes
    }


def _mask_name(official: str) -> str:
    """The buffer that masks a weight."""
    return (
        official.replace("down_proj.weight", "down_mask")
        .replace("up_proj.weight", "up_mask")
        .replace("ef_lora_A", "A_mask")
        .replace("ef_lora_B", "B_mask")
    )


def check_model(records: Records, name: str, trial: job_pb2.Trial) -> str | None:
    model = load_model(records, name, trial)
    gradients = records.inputs(f"{name}/grad")
    wrong = _names_differ(model, set(gradients))
    if wrong:
        return wrong
    inputs = records.inputs(f"{name}/input")
    split, (rows,) = split_of(model.kind, [inputs], 1)
    task = model.task(split)
    masks = _masks_of(records, f"{name}/mask", model)
    leaves = {n: w.clone().requires_grad_() for n, w in model.weights.items()}
    tensors = {n: w * masks[n] if n in masks else w for n, w in leaves.items()}
    part = task.part(0, torch.tensor(rows), TrialModules(trial.adapter, tensors, None))
    (logits,) = task.logits([part])
    value = loss(model.kind, logits, part.pack, trial.train.label_smoothing)
    value.backward()
    wrong = _logits_differ(records.inputs(f"{name}/out"), model, part.pack, logits, inputs)
    wrong = wrong or _differs(
        "loss", value.detach().reshape(1), records.tensors[f"{name}/out/loss"]
    )
    for ours in model.layout.trained_names:
        gradient = leaves[ours].grad
        theirs = gradients[model.official[ours]]
        gradient = torch.zeros_like(theirs) if gradient is None else gradient
        wrong = wrong or _differs(f"the gradient of {ours}", gradient, theirs.view_as(gradient))
    return wrong


def _logits_differ(
    out: dict[str, Tensor], model: Model, pack: Any, logits: Tensor, inputs: dict[str, Tensor]
) -> str | None:
    logits = logits.detach()
    if model.kind == job_pb2.TASK_KIND_SUMMARIZATION:
        theirs = out["logits"]
        # Ours are in the order of the pack's labels.
        own = [theirs[row][inputs["labels"][row].long() != -100] for row in _order(pack)]
        return _differs("logits", logits, torch.cat(own))
    if model.kind == job_pb2.TASK_KIND_QUESTION_ANSWERING:
        theirs = torch.stack([out["start_logits"], out["end_logits"]], 2)
        mask = inputs["attention_mask"].long()
        own = [
            theirs[row][: length if len(logits) == int(mask.sum()) else None]
            for row, length in ((row, int(mask[row].sum())) for row in pack.order.tolist())
        ]
        return _differs("logits", logits, torch.cat(own))
    return _differs("logits", logits, out["logits"][pack.order])


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
    split, (rows,) = split_of(model.kind, [inputs], 1)
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
        if theirs is None:
            continue
        scale = float(theirs.abs().nan_to_num().max()) or 1.0
        if not torch.equal(ours.isnan(), theirs.isnan()):
            return f"the scores of {name} are NaN elsewhere"
        wrong = _differs(
            f"the scores of {name}",
            ours.nan_to_num() / scale,
            theirs.nan_to_num() / scale,
            SCORE_TOLERANCE,
        )
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
    wrong = _names_differ(model, set(records.inputs(f"{name}/grad.first_backward")))
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
    split, members = split_of(model.kind, [*steps, *scored], 1)
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
                wrong = _differs(
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
        return _differs("losses", torch.tensor(losses), torch.tensor(case["losses"]))
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
