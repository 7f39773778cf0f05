"""The table of pruners: all of the contract's are there, each in a file of its own."""

import inspect
from pathlib import Path

from sparse_adapter.trainer.v1 import job_pb2

from sparse_adapter_engine.pruners import PRUNERS
from sparse_adapter_engine.pruners.pruner import GradientPruner, RowlessPruner


def test_every_pruner_of_the_contract_is_in_the_table() -> None:
    assert list(PRUNERS) == job_pb2.Pruner.values()[1:]


def test_every_pruner_has_a_file_of_its_own_that_says_what_it_is() -> None:
    modules = [inspect.getmodule(type(pruner)) for pruner in PRUNERS.values()]
    assert len({module.__name__ for module in modules if module}) == len(PRUNERS)
    assert all(module and module.__doc__ for module in modules)
    folder = Path(inspect.getfile(GradientPruner)).parent
    assert len(list(folder.glob("*.py"))) == len(PRUNERS) + len(["__init__.py", "pruner.py"])


def test_every_pruner_but_none_scores_from_rows_or_without_them() -> None:
    for number, pruner in PRUNERS.items():
        kinds = [isinstance(pruner, kind) for kind in (GradientPruner, RowlessPruner)]
        assert sum(kinds) == (0 if number == job_pb2.PRUNER_NONE else 1)
        assert pruner.reads_rows == kinds[0]
