"""Compares what the code published with SparseAdapter was recorded to compute with the
TensorFlow.js engine: trained tensors, logits, loss, gradients, scores, masks and training steps.

    published_tfjs.py <folder of the records> <published-tfjs.js> < specifications

Input and output as of published_code.py.
"""

import json
import sys
from pathlib import Path
from subprocess import PIPE, Popen
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any

import torch
from google.protobuf.json_format import MessageToDict, ParseDict
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
from safetensors.torch import load_file, save_file
from sparse_adapter.trainer.v1 import job_pb2
from torch import Tensor

from sparse_adapter_engine.backbones.encoder.full_tuning import read_backbone_tensors
from sparse_adapter_engine.modules.forms import has_backbone

_DIGEST = "0" * 16


class Engine:
    """The program that computes with TensorFlow.js."""

    def __init__(self, program: str) -> None:
        # Open as long as the program runs.
        self._stderr = TemporaryFile("w+")  # noqa: SIM115
        self._process = Popen(
            ["node", program], stdin=PIPE, stdout=PIPE, stderr=self._stderr, text=True
        )

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """Raises RuntimeError if the program has ended."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{json.dumps(question)}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            self._stderr.seek(0)
            raise RuntimeError(f"the program has ended: {self._stderr.read()[-2000:]}")
        answer: dict[str, Any] = json.loads(line)
        return answer


class Case:
    """A recorded case on the engine. root: an empty folder for its rows, weights and results."""

    def __init__(
        self, engine: Engine, records: Records, name: str, trial: job_pb2.Trial, root: Path
    ) -> None:
        case = records.case(name)
        self.name, self.head, self._engine, self._root = name, case["head"], engine, root
        self._arch, self.trial = case["arch"], trial
        self._parameters = records.parameters(name)
        self.kind = kind_of(self.head)
        self._backbone = write_backbone(self._arch, records.config(name), self._parameters)

    def load(self, batches: list[dict[str, Tensor]]) -> list[list[int]]:
        """Gives the engine the rows of these batches; returns each batch's row numbers."""
        split, members = split_of(self.kind, batches)
        tensors = {
            "input_ids": split.input_ids.int(),
            "token_type_ids": split.token_type_ids.to(torch.uint8),
            "offsets": split.offsets,
        }
        labels = split.labels.int() if split.labels.dtype == torch.int64 else split.labels
        if self.kind == job_pb2.TASK_KIND_QUESTION_ANSWERING:
            tensors |= {
                "start_positions": labels[:, 0].contiguous(),
                "end_positions": labels[:, 1].contiguous(),
            }
        else:
            tensors["labels"] = labels
        folder = self._root / "datasets" / _DIGEST
        folder.mkdir(parents=True)
        save_file(tensors, folder / "train.safetensors")
        answer = self._ask("shapes")
        self.shapes, self.trained = answer["shapes"], answer["trained"]
        self.official = {
            ours: official_name(ours, self._arch, self._parameters) for ours in self.shapes
        }
        return members

    def compute(self, what: str, masks: dict[str, Tensor], **more: Any) -> dict[str, Tensor]:
        """What the engine computes of the recorded parameters; masks: by our names."""
        adapter = self.trial.adapter
        own = read_backbone_tensors(self._backbone) if has_backbone(adapter) else {}
        weights = {
            ours: own[ours] if ours in own else self._parameters[theirs].view(self.shapes[ours])
            for ours, theirs in self.official.items()
        }
        given, out = (str(self._root / f"{part}.safetensors") for part in ("weights", "out"))
        save_file(
            {n: (w * masks[n] if n in masks else w).contiguous() for n, w in weights.items()},
            given,
        )
        self._ask(what, weights=given, out=out, **more)
        return load_file(out)

    def _ask(self, what: str, **more: Any) -> dict[str, Any]:
        spec = job_pb2.JobSpec(
            backbone=job_pb2.Backbone(path=self._backbone, digest=_DIGEST),
            dataset=job_pb2.Dataset(
                name=f"datasets/{_DIGEST}",
                digest=_DIGEST,
                task_kind=self.kind,  # type: ignore[arg-type]
                num_labels=labels_of(self.head),
            ),
            trials=[self.trial],
        )
        question = {"root": str(self._root), "spec": MessageToDict(spec), "what": what}
        return self._engine.ask(question | more)


def check_model(records: Records, case: Case) -> str | None:
    name = case.name
    inputs, gradients = records.inputs(f"{name}/input"), records.inputs(f"{name}/grad")
    case.load([inputs])
    wrong = names_differ((case.official[ours] for ours in case.trained), set(gradients))
    if wrong:
        return wrong
    recorded = records.inputs(f"{name}/mask")
    masks = {
        ours: recorded[mask_name(theirs)]
        for ours, theirs in case.official.items()
        if mask_name(theirs) in recorded
    }
    if len(masks) != len(recorded):
        return f"{len(recorded)} masks are recorded, {len(masks)} have a place here"
    found = case.compute("pass", masks)
    wrong = _logits_differ(case.kind, found["logits"], records.inputs(f"{name}/out"), inputs)
    wrong = wrong or differs("loss", found["loss"], records.tensors[f"{name}/out/loss"].view(1))
    for ours in case.trained:
        gradient = found[f"gradient.{ours}"]
        # Training takes no gradient of a removed weight.
        gradient = gradient * masks[ours] if ours in masks else gradient
        theirs = gradients[case.official[ours]].view_as(gradient)
        wrong = wrong or differs(f"the gradient of {ours}", gradient, theirs)
    return wrong


def _logits_differ(
    kind: int, found: Tensor, out: dict[str, Tensor], inputs: dict[str, Tensor]
) -> str | None:
    if kind != job_pb2.TASK_KIND_QUESTION_ANSWERING:
        return differs("logits", found, out["logits"].flatten())
    # Predictions are of the rows' own tokens; the loss is over padding, too.
    both = torch.stack([out["start_logits"], out["end_logits"]], 2)
    own = inputs["attention_mask"].bool()
    return differs("logits", found, both[own].flatten())


def check_steps(records: Records, case: Case) -> str | None:
    name, recorded = case.name, records.case(case.name)
    steps, scored = (
        [records.inputs(f"{name}/{what}.{i}") for i in range(count)]
        for what, count in (
            ("train_input", recorded["micro_batches"]),
            ("prune_input", recorded.get("prune_batches_seen", 0)),
        )
    )
    members = case.load([*steps, *(batch for batch in scored if batch)])
    if scored:
        case.trial.prune.scoring_batch = recorded["prune_loader"]["batch_size"]
    batches = -(-recorded["micro_batches"] // recorded["training_args"]["num_train_epochs"])
    trained = set(records.inputs(f"{name}/grad.first_backward"))
    wrong = names_differ((case.official[ours] for ours in case.trained), trained)
    if wrong:
        return wrong
    snapshots = recorded["snapshots"]
    found = case.compute(
        "steps",
        {},
        scoring=[row for batch in members[len(steps) :] for row in batch],
        batches=members[: len(steps)],
        epochRows=recorded["train_batch_size"] * batches,
        snapshots=snapshots,
    )
    for step in snapshots:
        for ours in case.trained:
            theirs = records.tensors[f"{name}/param.step{step}/{case.official[ours]}"]
            now = found[f"step{step}.{ours}"]
            wrong = wrong or differs(f"{ours} after step {step}", now, theirs.view_as(now))
    if case.trial.train.accumulated_batches > 1:
        # Recorded are the batches' own losses.
        return wrong
    return wrong or differs("losses", found["losses"], torch.tensor(recorded["losses"]))


def check_mask(records: Records, case: Case) -> str | None:
    name, recorded = case.name, records.case(case.name)
    inputs = records.inputs(f"{recorded.get('inputs_from', 'mask.' + recorded['form'])}/input")
    (rows,) = case.load([inputs])
    trained = set(records.names(records.content["form_trainable"][recorded["form"]]))
    if not {case.official[ours] for ours in case.trained} <= trained:
        return "other tensors are trained"
    case.trial.prune.scoring_batch = recorded["batches"][0]
    results = recorded["results"]
    found = case.compute("rounds", {}, scoring=rows, densities=[float(kept) for kept in results])
    is_random = case.trial.prune.pruner == job_pb2.PRUNER_RAND
    for i, (kept, result) in enumerate(results.items()):
        for k, of_round in enumerate(result["epochs"]):
            at = f"kept {kept}, round {k + 1}"
            masks = _ours(found, f"mask.{i}.{k}.")
            many = sum(int(mask.sum()) for mask in masks.values())
            # Of a pair of masks that share their scores, a draw counts twice.
            if many != of_round["kept"] and not (is_random and recorded["mispaired"]):
                return f"{at}: {many} weights are kept, not {of_round['kept']}"
            if is_random:
                continue
            scores = f"{name}/score" if k == 0 else f"{name}/score@{kept}.e{k}"
            for ours, score in _ours(found, f"score.{i}.{k}.").items():
                theirs = records.tensors.get(f"{scores}/{case.official[ours]}")
                wrong = None if theirs is None else scores_differ(ours, score, theirs)
                if wrong:
                    return f"{at}: {wrong}"
            last = k + 1 == len(result["epochs"])
            place = f"{name}/mask@{kept}" + ("" if last else f".e{k}")
            if not any(tensor.startswith(f"{place}/") for tensor in records.tensors):
                continue
            for ours, mask in masks.items():
                theirs = records.tensors[f"{place}/{mask_name(case.official[ours])}"]
                if not torch.equal(mask, theirs):
                    return f"{at}: {int((mask != theirs).sum())} of the mask {ours} differ"
    return None


def _ours(found: dict[str, Tensor], at: str) -> dict[str, Tensor]:
    return {name.removeprefix(at): each for name, each in found.items() if name.startswith(at)}


CHECKS = {"model": check_model, "mask": check_mask, "steps": check_steps}


def main() -> None:
    records = Records(Path(sys.argv[1]))
    engine = Engine(sys.argv[2])
    for line in sys.stdin:
        asked = json.loads(line)
        name, trial = asked["case"], ParseDict(asked["trial"], job_pb2.Trial())
        with TemporaryDirectory(prefix="published-") as root:
            try:
                case = Case(engine, records, name, trial, Path(root))
                wrong = CHECKS[records.case(name)["kind"]](records, case)
            except Exception as error:
                wrong = f"{type(error).__name__}: {error}"
        print(json.dumps({"case": name, "wrong": wrong}), flush=True)


if __name__ == "__main__":
    main()
