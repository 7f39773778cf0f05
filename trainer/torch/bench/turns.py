"""Contenders that take turns, so that other programs on the machine disturb all of them equally.
Each has a process of its own, with the settings that its imports make, as its users have it.

    python turns.py <module>:<function> <arguments as JSON> <threads>

is such a process: for each line with a number of steps it does them, and prints a JSON line with
the rows that they had and the seconds that they took by the clock and by processor time.
"""

import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol, cast


class Contender(Protocol):
    """Works without end; each `run` does some more steps and returns how many rows they had."""

    def run(self, steps: int) -> int: ...


@dataclass(frozen=True)
class Program:
    """make: `module:function`, which returns the Contender for these arguments."""

    make: str
    arguments: Mapping[str, str | int]


def take_turns(
    programs: dict[str, Program], threads: int, rounds: int, steps: int, warm_up: int
) -> dict[str, dict[str, float]]:
    """Rows per second over all rounds and the first contender's ratio to each other one, by the
    clock and by processor time, which other programs disturb less. warm_up: steps that do not
    count.

    Raises SystemExit if a contender ends, or if there are fewer cores than threads.
    """
    cores = os.cpu_count() or 1
    if threads > cores:
        sys.exit(f"--threads {threads}: cores of this machine: {cores}")
    rows, wall, cpu = ({name: 0.0 for name in programs} for _ in range(3))
    with ExitStack() as stack:
        running = {
            name: stack.enter_context(_run(name, program, threads))
            for name, program in programs.items()
        }
        for contender in running.values():
            contender.work(warm_up)
        for _ in range(rounds):
            for name, contender in running.items():
                found = contender.work(steps)
                for total, value in zip((rows, wall, cpu), found, strict=True):
                    total[name] += value
    rates = {name: rows[name] / wall[name] for name in programs}
    cpu_rates = {name: rows[name] / cpu[name] for name in programs}
    result = {"rows_per_second": rates, "rows_per_cpu_second": cpu_rates}
    own, *others = programs
    for unit, rate in (("ratio", rates), ("cpu_ratio", cpu_rates)):
        result[unit] = {f"{own} / {name}": rate[own] / rate[name] for name in others}
    return result


@dataclass(frozen=True)
class _Running:
    name: str
    requests: IO[str]
    answers: IO[str]

    def work(self, steps: int) -> tuple[float, float, float]:
        """Rows, seconds by the clock, and seconds of processor time."""
        try:
            print(steps, file=self.requests, flush=True)
            rows, wall, cpu = json.loads(self.answers.readline())
        except (BrokenPipeError, ValueError):
            sys.exit(f"{self.name} has ended; what it said is above")
        return rows, wall, cpu


@contextmanager
def _run(name: str, program: Program, threads: int) -> Iterator[_Running]:
    words = [__file__, program.make, json.dumps(program.arguments), str(threads)]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, *words], stdin=pipe, stdout=pipe, text=True, cwd=Path(__file__).parent
    ) as process:
        try:
            yield _Running(name, cast(IO[str], process.stdin), cast(IO[str], process.stdout))
        finally:
            process.kill()


def _serve() -> None:
    make, arguments, threads = sys.argv[1:]
    module, function = make.split(":")
    made = getattr(importlib.import_module(module), function)
    # Not before: what a contender imports may have settings for torch.
    import torch

    torch.set_num_threads(int(threads))
    contender: Contender = made(**json.loads(arguments))
    for line in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        rows = contender.run(int(line))
        print(json.dumps([rows, time.perf_counter() - wall, time.process_time() - cpu]), flush=True)


if __name__ == "__main__":
    _serve()
