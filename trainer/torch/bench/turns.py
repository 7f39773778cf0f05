"""Contenders that take turns in one process, so that other programs on the machine disturb all of
them equally."""

import time
from typing import Protocol


class Contender(Protocol):
    """Works without end; each `run` does some more steps and returns how many rows they had."""

    def run(self, steps: int) -> int: ...


def take_turns(
    contenders: dict[str, Contender], rounds: int, steps: int, warm_up: int
) -> dict[str, dict[str, float]]:
    """Rows per second over all rounds and the first contender's ratio to each other one, by the
    clock and by processor time, which other programs disturb less."""
    for contender in contenders.values():
        contender.run(warm_up)
    rows_done, wall, cpu = ({name: 0.0 for name in contenders} for _ in range(3))
    for _ in range(rounds):
        for name, contender in contenders.items():
            wall_began, cpu_began = time.perf_counter(), time.process_time()
            rows_done[name] += contender.run(steps)
            wall[name] += time.perf_counter() - wall_began
            cpu[name] += time.process_time() - cpu_began
    rates = {name: rows_done[name] / wall[name] for name in contenders}
    cpu_rates = {name: rows_done[name] / cpu[name] for name in contenders}
    result = {"rows_per_second": rates, "rows_per_cpu_second": cpu_rates}
    own, *others = contenders
    for unit, found in (("ratio", rates), ("cpu_ratio", cpu_rates)):
        result[unit] = {f"{own} / {name}": found[own] / found[name] for name in others}
    return result
