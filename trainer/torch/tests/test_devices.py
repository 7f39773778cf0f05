"""Which device a trainer takes, what it says of it, and which errors of a GPU end it."""

import argparse
from types import SimpleNamespace

import pytest
import torch
from server_support import IdleEngine, command, short_folder, tiny_trainer, valid_request
from sparse_adapter.trainer.v1 import event_pb2, job_pb2
from test_server_restart import job, refusal

from sparse_adapter_engine import engine as engine_module
from sparse_adapter_engine.engine import Engine
from sparse_adapter_trainer import __main__ as trainer_main
from sparse_adapter_trainer.capabilities import describe
from sparse_adapter_trainer.device_faults import breaks_the_device
from sparse_adapter_trainer.devices import UnusableDevice, choose_device, parse_device


@pytest.mark.parametrize(
    ("asked", "gpus", "device"),
    [
        ("auto", 0, "cpu"),
        ("cpu", 4, "cpu"),
        ("auto", 4, "cuda:0"),
        ("cuda", 1, "cuda:0"),
        ("cuda:0", 1, "cuda:0"),
        ("cuda:3", 4, "cuda:3"),
    ],
)
def test_a_device_is_taken_by_its_index(asked, gpus, device):
    assert choose_device(parse_device(asked), gpus, None) == device


@pytest.mark.parametrize(
    ("asked", "gpus", "visible", "says"),
    [
        (
            "cuda",
            0,
            None,
            "--device cuda: PyTorch can use no GPU here; --device cpu computes without one",
        ),
        (
            "cuda:0",
            0,
            "",
            "--device cuda:0: PyTorch can use no GPU here (CUDA_VISIBLE_DEVICES is ''); --device "
            "cpu",
        ),
        (
            "cuda:1",
            1,
            "3",
            "--device cuda:1: PyTorch can use one GPU, cuda:0 here (CUDA_VISIBLE_DEVICES is '3')",
        ),
        ("cuda:4", 4, None, "--device cuda:4: PyTorch can use 4 GPUs, cuda:0 to cuda:3 here"),
    ],
)
def test_a_device_that_is_not_there_is_said_with_those_that_are(asked, gpus, visible, says):
    with pytest.raises(UnusableDevice) as error:
        choose_device(asked, gpus, visible)
    assert str(error.value).startswith(says)


@pytest.mark.parametrize(
    "text",
    ["gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:01", "cuda:1,2", "CUDA", "cuda:1\n", "", "mps"],
)
def test_what_is_no_device_is_refused_before_anything_starts(text):
    with pytest.raises(
        argparse.ArgumentTypeError,
        match="is not auto, cpu, cuda or cuda:<index>, for example cuda:1",
    ):
        parse_device(text)


def test_a_command_line_with_such_a_device_ends_with_status_2():
    with short_folder() as folder:
        assert "argument --device: 'cuda:x' is not auto, cpu, cuda or cuda:<index>" in refusal(
            command("done", folder, "--device", "cuda:x")
        )


def test_a_trainer_whose_device_is_not_there_ends_with_status_2_and_one_sentence(
    monkeypatch, capsys
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with short_folder() as folder:
        place = [
            "--listen",
            f"unix:{folder}/t.sock",
            "--root",
            f"{folder}/root",
            "--state",
            f"{folder}/state",
        ]
        assert trainer_main.main([*place, "--device", "cuda:2"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "sparse_adapter_trainer: --device cuda:2: PyTorch can use no GPU here" in said.err
    assert "Traceback" not in said.err


def test_capabilities_describe_the_engines_own_device_and_what_it_can_compute_in(
    tmp_path, monkeypatch
):
    cards = {
        f"cuda:{index}": SimpleNamespace(name=f"card {index}", total_memory=index)
        for index in range(2)
    }
    monkeypatch.setattr(torch.cuda, "get_device_properties", cards.__getitem__)
    precisions = [job_pb2.PRECISION_FLOAT32, job_pb2.PRECISION_BF16]
    found = describe(IdleEngine(device="cuda:1", precisions=precisions), tmp_path, 4)
    assert [(each.kind, each.name, each.memory_bytes) for each in found.devices] == [
        ("cuda", "card 1", 1)
    ]
    assert found.precisions == precisions


@pytest.mark.parametrize(
    ("multiplies_bfloat16", "precisions"),
    [
        (False, [job_pb2.PRECISION_FLOAT32]),
        (True, [job_pb2.PRECISION_FLOAT32, job_pb2.PRECISION_BF16]),
    ],
)
def test_a_cpu_offers_bfloat16_where_it_multiplies_it_and_never_tf32(
    multiplies_bfloat16, precisions, tmp_path, monkeypatch
):
    monkeypatch.setattr(engine_module, "packs_bfloat16", lambda: multiplies_bfloat16)
    engine = Engine(tmp_path, device="cpu", threads=1)
    found = describe(engine, tmp_path, 4)
    assert ([each.kind for each in found.devices], found.precisions) == (["cpu"], precisions)


def numbered(code: int) -> RuntimeError:
    error = torch.AcceleratorError("CUDA error: in words that nobody knows")
    error.error_code = code
    return error


@pytest.mark.parametrize(
    "error",
    [
        numbered(700),
        numbered(719),
        RuntimeError(
            "CUDA error: device-side assert triggered\nCUDA kernel errors might be asynchronously "
            "reported"
        ),
        RuntimeError("CUDA error: an illegal memory access was encountered"),
        RuntimeError("CUDA error: unspecified launch failure"),
        RuntimeError("CUDA error: uncorrectable ECC error encountered"),
        RuntimeError("CUDA error: the launch timed out and was terminated"),
        RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasGemmEx(...)`"),
        RuntimeError("Triton Error [CUDA]: misaligned address"),
        torch.AcceleratorError("CUDA error: an illegal instruction was encountered"),
    ],
)
def test_a_sticky_error_breaks_the_device(error):
    assert breaks_the_device(error)
    try:
        try:
            raise error
        finally:
            raise KeyError("while the step was undone")
    except KeyError as later:
        assert breaks_the_device(later)


@pytest.mark.parametrize(
    "error",
    [
        numbered(2),
        numbered(209),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("CUDA error: no kernel image is available for execution on the device"),
        RuntimeError("mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)"),
        RuntimeError("Expected all tensors to be on the same device, but found cuda:0 and cpu"),
        ValueError("CUDA error: device-side assert triggered"),
        MemoryError(),
    ],
)
def test_what_only_fails_once_does_not(error):
    assert not breaks_the_device(error)


def test_a_sticky_error_ends_the_process_and_leaves_the_job_to_the_next_one():
    with short_folder() as folder:
        for _ in range(3):
            with tiny_trainer("sticky", folder) as trainer:
                submitted = trainer.submit(valid_request(trainer.root))
                assert submitted.job.state == event_pb2.JOB_STATE_QUEUED
                assert trainer.process.wait(10) == 1
        with tiny_trainer("done", folder) as trainer:
            last = job(trainer)
            assert (last.state, last.failure.reason, last.runs) == (
                event_pb2.JOB_STATE_FAILED,
                event_pb2.FAILURE_REASON_QUARANTINED,
                3,
            )


def test_after_one_sticky_error_the_job_goes_on_in_the_next_process():
    with short_folder() as folder:
        with tiny_trainer("metrics:2,sticky", folder) as trainer:
            trainer.submit(valid_request(trainer.root))
            assert trainer.process.wait(10) == 1
        with tiny_trainer("done", folder) as trainer:
            assert job(trainer).state == event_pb2.JOB_STATE_INTERRUPTED
            trainer.submit(valid_request(trainer.root))
            assert trainer.watch("job-1")[-1].state_changed.state == event_pb2.JOB_STATE_SUCCEEDED


def test_memory_that_cannot_be_had_is_the_jobs_failure_and_the_process_goes_on():
    with short_folder() as folder, tiny_trainer("memory", folder) as trainer:
        trainer.submit(valid_request(trainer.root))
        assert trainer.watch("job-1")[-1].state_changed.state == event_pb2.JOB_STATE_FAILED
        assert trainer.submit(valid_request(trainer.root, "job-2")).created
