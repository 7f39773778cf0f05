"""The records of what the code published with SparseAdapter computes, for trainers to be compared
with."""

import json
from collections.abc import Iterable
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from sparse_adapter.trainer.v1 import job_pb2
from torch import Tensor

from sparse_adapter_engine.data.pairs import PairSplit
from sparse_adapter_engine.data.rows import Split

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

    def config(self, name: str) -> dict[str, Any]:
        """The config.json of the case's frozen model."""
        case = self.case(name)
        found: dict[str, Any] = case.get("config") or next(
            other["config"]
            for other in self.content["cases"].values()
            if other["arch"] == case["arch"] and "config" in other
        )
        return found

    def inputs(self, at: str) -> dict[str, Tensor]:
        """Tensors by the last part of their names."""
        return {
            name.removeprefix(f"{at}/"): tensor
            for name, tensor in self.tensors.items()
            if name.startswith(f"{at}/")
        }


def labels_of(head: str) -> int:
    return 0 if head == "lm" else 2 if head == "qa" else 1 if head == "reg" else int(head[3:])


_FOLDERS: dict[str, str] = {}


def write_backbone(arch: str, config: dict[str, Any], parameters: dict[str, Tensor]) -> str:
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


def split_of(kind: int, batches: list[dict[str, Tensor]]) -> tuple[Any, list[list[int]]]:
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


def differs(what: str, ours: Tensor, theirs: Tensor, tolerance: float = TOLERANCE) -> str | None:
    if tuple(ours.shape) != tuple(theirs.shape):
        return f"{what} has shape {tuple(ours.shape)}, not {tuple(theirs.shape)}"
    worst = float((ours.double() - theirs.double()).abs().max()) if ours.numel() else 0.0
    room = tolerance * max(1.0, float(theirs.abs().max()) if theirs.numel() else 1.0)
    return f"{what} differs by {worst:.2e}" if not worst <= room else None


def names_differ(official: Iterable[str], trained: set[str]) -> str | None:
    """What is wrong if we do not train exactly those tensors that train there with an effect.
    official: their names of those that train here."""
    ours = set(official)
    # A key's bias has no effect: it changes all scores of a query alike.
    trained = {name for name in trained if not name.endswith((".key.bias", "k_proj.bias"))}
    if ours != trained:
        first = min(ours ^ trained)
        return f"{first} is trained {'here' if first in ours else 'there'} only"
    return None


def kind_of(head: str) -> int:
    return _KINDS.get(head, job_pb2.TASK_KIND_CLASSIFICATION)


def mask_name(official: str) -> str:
    """The buffer that masks a weight."""
    return (
        official.replace("down_proj.weight", "down_mask")
        .replace("up_proj.weight", "up_mask")
        .replace("ef_lora_A", "A_mask")
        .replace("ef_lora_B", "B_mask")
    )


def scores_differ(name: str, ours: Tensor, theirs: Tensor) -> str | None:
    """What is wrong with a matrix's scores, as the official rules compare them."""
    scale = float(theirs.abs().nan_to_num().max()) or 1.0
    if not torch.equal(ours.isnan(), theirs.isnan()):
        return f"the scores of {name} are NaN elsewhere"
    return differs(
        f"the scores of {name}",
        ours.nan_to_num() / scale,
        theirs.nan_to_num() / scale,
        SCORE_TOLERANCE,
    )
