"""The trainer's Python in the places that people start it from."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

TRAINER = Path(__file__).parents[1]
ISOLATED = str(TRAINER / "isolated.py")

HIDING = ["random", "queue", "torch", "numpy", "grpc", "sitecustomize", "usercustomize"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with files of the user's own, named like modules that the trainer imports."""
    for name in HIDING:
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('the user’s own file')\n")
    (tmp_path / "mine.py").write_text("")
    return tmp_path


def run(
    flags: list[str], arguments: list[str], folder: Path, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Runs isolated.py in a folder, without this test's own Python settings."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")} | variables
    command = [sys.executable, *flags, ISOLATED, *arguments]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)


def test_nothing_of_the_folder_or_of_pythons_settings_is_imported(folder: Path) -> None:
    code = "import random, queue, numpy, grpc, importlib.util as u; print(u.find_spec('mine'))"
    found = run(
        ["-I"],
        ["-c", code],
        folder,
        PYTHONPATH=str(folder),
        PYTHONHOME="/usr",
        PYTHONSTARTUP=str(folder / "random.py"),
        PYTHONUSERBASE=str(folder),
        PYTHONWARNINGS="error",
    )
    assert (found.stdout, found.stderr) == ("None\n", "")


def test_the_trainer_and_the_contract_are_found(folder: Path) -> None:
    code = (
        "import sparse_adapter.trainer.v1.job_pb2, sparse_adapter_trainer as t; print(t.__file__)"
    )
    found = run(["-I"], ["-c", code], folder)
    assert found.stdout.strip() == str(TRAINER / "sparse_adapter_trainer" / "__init__.py")


def test_a_module_runs_as_with_dash_m(folder: Path) -> None:
    found = run(["-I"], ["sparse_adapter_trainer", "--nonsense"], folder)
    assert found.returncode == 2
    assert found.stderr.startswith("sparse_adapter_trainer: ")


def test_folders_of_the_users_own_python_cannot_hide_pythons_modules(folder: Path) -> None:
    (folder / "numpy.py").write_text("mine = True\n")
    code = "import random, queue, mine, numpy; print(numpy.mine)"
    arguments = ["--python-path", f"/none:{folder}", "-c", code]
    found = run(["-P", "-E"], arguments, folder, PYTHONHOME="/usr", PYTHONPATH=str(folder))
    assert found.stdout == "True\n", found.stderr


def test_ctrl_c_while_packages_load_leaves_no_stack_trace(folder: Path) -> None:
    code = "import os, signal; os.kill(os.getpid(), signal.SIGINT)"
    found = run(["-I"], ["-c", code], folder)
    assert (found.returncode, found.stderr) == (-signal.SIGINT, "")
