"""Files are whole or absent and stay under the root; rows are packed without padding; random draws
hang on their keys only.
"""

import hashlib
from pathlib import Path

import pytest
import torch
from conftest import write_split
from sparse_adapter.trainer.v1 import job_pb2

from sparse_adapter_engine.data.rows import fill, load_split, require_labels
from sparse_adapter_engine.errors import JobFailed
from sparse_adapter_engine.files.artifacts import read_tensors, write_folder, write_tensors
from sparse_adapter_engine.files.digests import describe
from sparse_adapter_engine.files.names import resolve
from sparse_adapter_engine.keys import key, permutation
from sparse_adapter_engine.modules.dropout import Dropout

ROWS = [[5, 6, 7], [8], [9, 10, 11], [12, 13]]
CLASSES = job_pb2.Dataset(
    name="datasets/d", task_kind=job_pb2.TASK_KIND_CLASSIFICATION, num_labels=2
)


@pytest.mark.parametrize(
    "name", ["", "/etc/passwd", "../up", "a/../../up", "a//b", "a\\b", "a/./b"]
)
def test_a_name_that_is_not_under_the_root_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(JobFailed, match="artifact name"):
        resolve(tmp_path, name)


def test_a_link_that_leaves_the_root_is_refused(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "link").symlink_to(tmp_path)
    with pytest.raises(JobFailed, match="leaves the artifact root"):
        resolve(tmp_path / "root", "link/file")


def test_a_folders_digest_is_of_its_files_sorted_lines(tmp_path: Path) -> None:
    write_folder(tmp_path / "folder", {"b": b"2", "a": b"1"})
    lines = sorted(
        f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in (("a", b"1"), ("b", b"2"))
    )
    artifact = describe(tmp_path, tmp_path / "folder")
    assert (artifact.name, artifact.size) == ("folder", 2)
    assert artifact.digest == hashlib.sha256("".join(lines).encode()).hexdigest()


def test_a_folder_is_replaced_whole_and_nothing_else_is_left(tmp_path: Path) -> None:
    write_folder(tmp_path / "folder", {"old": b"1"})
    write_folder(tmp_path / "folder", {"new": b"2"})
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == [
        "folder",
        "folder/new",
    ]


def test_a_cut_off_tensor_file_is_a_bad_artifact_that_is_named(tmp_path: Path) -> None:
    write_tensors(tmp_path / "t.safetensors", {"x": torch.ones(100)})
    (tmp_path / "t.safetensors").write_bytes((tmp_path / "t.safetensors").read_bytes()[:50])
    with pytest.raises(JobFailed, match=r"t\.safetensors cannot be read"):
        read_tensors(tmp_path / "t.safetensors")


def test_rows_are_packed_by_length_without_padding(tmp_path: Path) -> None:
    write_split(
        tmp_path / "datasets" / "d" / "train.safetensors",
        ROWS,
        torch.tensor([0, 1, 0, 1], dtype=torch.int32),
    )
    pack = load_split(tmp_path, CLASSES, "train", 100, 2, 10).pack(torch.tensor([2, 0, 1]))
    assert pack.input_ids.tolist() == [8, 9, 10, 11, 5, 6, 7]
    assert pack.position_ids.tolist() == [0, 0, 1, 2, 0, 1, 2]
    assert pack.first.tolist() == [0, 1, 4]
    assert pack.groups == ((1, 1), (2, 3))
    assert pack.order.tolist() == [2, 0, 1]
    assert pack.labels.tolist() == [1, 0, 0]


def test_a_prompts_tokens_come_after_each_rows_own_and_count_as_tokens(tmp_path: Path) -> None:
    write_split(
        tmp_path / "datasets" / "d" / "train.safetensors",
        ROWS,
        torch.tensor([0, 1, 0, 1], dtype=torch.int32),
    )
    pack = load_split(tmp_path, CLASSES, "train", 100, 2, 10).pack(torch.tensor([2, 1]), prompt=2)
    assert pack.prompt.tolist() == [-1, 0, 1, -1, -1, -1, 0, 1]
    assert pack.input_ids[pack.prompt < 0].tolist() == [8, 9, 10, 11]
    assert pack.position_ids[pack.prompt < 0].tolist() == [0, 0, 1, 2]
    assert pack.first.tolist() == [0, 3]
    assert pack.groups == ((1, 3), (1, 5))
    assert pack.tokens == 8


def test_a_pack_is_filled_up_to_a_multiple_of_tokens_that_belong_to_no_row(tmp_path: Path) -> None:
    write_split(
        tmp_path / "datasets" / "d" / "train.safetensors",
        ROWS,
        torch.tensor([0, 1, 0, 1], dtype=torch.int32),
    )
    split = load_split(tmp_path, CLASSES, "train", 100, 2, 10)
    for prompt, tokens in ((0, 7), (2, 13)):
        pack = split.pack(torch.tensor([2, 0, 1]), prompt)
        filled = fill(pack, 16)
        assert (filled.tokens, filled.row_tokens, filled.filling) == (16, tokens, 16 - tokens)
        assert filled.prompt[tokens:].tolist() == [-1] * filled.filling
        for name in ("input_ids", "token_type_ids", "position_ids", "prompt"):
            assert getattr(filled, name)[:tokens].equal(getattr(pack, name)), name
        assert filled.groups == pack.groups
        assert filled.own_groups == pack.own_groups == [(1, 1), (2, 3)]
        assert fill(filled, 16) is filled


@pytest.mark.parametrize(
    ("limits", "labels", "message"),
    [
        ((10, 2, 10), [0, 1, 0, 1], r"input_ids must be in \[0, 10\)"),
        ((100, 2, 2), [0, 1, 0, 1], "a row of 3 tokens; the backbone takes at most 2"),
        ((100, 0, 10), [0, 1, 0, 1], "token_type_ids must be less than 0"),
        ((100, 2, 10), [0, 1, 2, 1], r"labels must be a class in \[0, 2\)"),
        ((100, 2, 10), [0, 1, 0], "labels must have one value per row, 4"),
    ],
)
def test_a_split_that_does_not_fit_the_backbone_is_refused_by_tensor(
    limits: tuple[int, int, int], labels: list[int], message: str, tmp_path: Path
) -> None:
    write_split(
        tmp_path / "datasets" / "d" / "train.safetensors",
        ROWS,
        torch.tensor(labels, dtype=torch.int32),
    )
    with pytest.raises(JobFailed, match=message):
        load_split(tmp_path, CLASSES, "train", *limits)


def test_a_row_without_a_label_cannot_be_learned_from(tmp_path: Path) -> None:
    write_split(
        tmp_path / "datasets" / "d" / "train.safetensors",
        ROWS,
        torch.tensor([0, 1, -1, 1], dtype=torch.int32),
    )
    with pytest.raises(JobFailed, match="row 2 has no label"):
        require_labels(load_split(tmp_path, CLASSES, "train", 100, 2, 10), CLASSES)


def test_a_permutation_hangs_on_seed_and_purpose_only() -> None:
    torch.manual_seed(5)
    one = permutation(50, 1, "order", 0)
    torch.manual_seed(6)
    assert torch.equal(one, permutation(50, 1, "order", 0))
    assert not torch.equal(one, permutation(50, 1, "order", 1))
    assert sorted(one.tolist()) == list(range(50))


def test_keys_of_different_purposes_differ() -> None:
    assert (
        len(
            {
                key(seed, purpose, step)
                for seed in range(10)
                for purpose in "ab"
                for step in range(10)
            }
        )
        == 200
    )


def test_dropout_keeps_the_mean_and_hangs_on_seed_step_and_site() -> None:
    x = torch.ones(400, 400)
    dropped = Dropout(1, 2, 0.1, 0.0)(x, "layers.0.ffn")
    assert dropped.mean() == pytest.approx(1, abs=0.01)
    assert (dropped == 0).float().mean() == pytest.approx(0.1, abs=0.01)
    assert torch.equal(dropped, Dropout(1, 2, 0.1, 0.0)(x, "layers.0.ffn"))
    for seed, step, site in (
        (2, 2, "layers.0.ffn"),
        (1, 3, "layers.0.ffn"),
        (1, 2, "layers.1.ffn"),
    ):
        assert not torch.equal(dropped, Dropout(seed, step, 0.1, 0.0)(x, site))


def test_no_dropout_leaves_the_tensor_alone() -> None:
    x = torch.ones(3)
    assert Dropout(1, 1, 0.0, 0.0)(x, "head.out") is x
    assert Dropout(1, 1, 0.0, 0.0).attention("layers.0.attention") is None
