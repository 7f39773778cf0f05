"""The benchmark's results so far, always on disk, and the time left."""

import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from . import BEGAN
from .measure import free_memory

Row = dict[str, Any]


def say(*words: object) -> None:
    """Prints a line for a person; standard output is for the results."""
    print(*words, file=sys.stderr, flush=True)


class DeviceLost(Exception):
    """Nothing more can run on the GPU in this process."""


class Skip(Exception):
    """A part that cannot be done here; the message says why."""


class Report:
    """The results, written to `out` after every part."""

    def __init__(
        self,
        device: torch.device,
        out: Path | None,
        budget_seconds: float,
        small: bool,
    ) -> None:
        self._device, self._out, self._budget = device, out, budget_seconds
        self.found: dict[str, Any] = environment(device) | {
            "budget_seconds": budget_seconds,
            "rehearsal": small,
            "checks": [],
            "rows": [],
            "skipped": [],
            "failed": [],
        }

    @property
    def left(self) -> float:
        """Seconds left of the budget."""
        return self._budget - (time.monotonic() - BEGAN)

    def part(self, name: str, work: Callable[[], object], at_most: float, least: float = 4) -> None:
        """Does a part that needs at least `least` seconds, and stops it after `at_most` or at the
        end of the budget.

        A failure is reported in one line. Raises DeviceLost if nothing more can run on the GPU.
        """
        if self.left < least:
            self._tell(
                "skipped",
                name,
                "SKIP",
                f"{max(self.left, 0):.0f} s are left, it needs {least:.0f}",
            )
            return
        try:
            with _limit(min(at_most, self.left)):
                work()
        except Skip as reason:
            self._tell("skipped", name, "SKIP", str(reason))
        except Exception as error:
            first_line = str(error).strip().split("\n")[0]
            self._tell("failed", name, "FAIL", f"{type(error).__name__}: {first_line[:300]}")
            self._require_device()
        finally:
            self.found["seconds"] = round(time.monotonic() - BEGAN, 1)
            self.write()
        free_memory(self._device)

    def check(self, name: str, value: float | bool | str, bound: float | None = None) -> None:
        """bound: the value's maximum."""
        entry: Row = {"check": name, "value": value}
        words = f"{value:.3g}" if isinstance(value, float) else str(value)
        if bound is not None:
            entry |= {"bound": bound, "holds": value <= bound}
            words += f" (at most {bound:g}: {'holds' if entry['holds'] else 'DOES NOT HOLD'})"
        self.found["checks"].append(entry)
        say(f"{self._clock} CHECK {name}: {words}")

    def row(self, row: Row) -> None:
        self.found["rows"].append(row)
        say(f"{self._clock} {format_row(row)}")

    def write(self) -> None:
        if self._out is None:
            return
        # Renamed, so that a reader finds a complete file even after a kill.
        fresh = self._out.with_name(f"{self._out.name}.new")
        fresh.write_text(json.dumps(self.found, indent=2) + "\n")
        fresh.replace(self._out)

    @property
    def _clock(self) -> str:
        return f"[{time.monotonic() - BEGAN:6.1f}]"

    def _tell(self, where: str, name: str, word: str, reason: str) -> None:
        self.found[where].append({"part": name, "reason": reason})
        say(f"{self._clock} {word} {name}: {reason}")

    def _require_device(self) -> None:
        if self._device.type != "cuda":
            return
        try:
            torch.cuda.synchronize()
            torch.zeros(1, device=self._device).item()
        except Exception as error:
            raise DeviceLost(str(error).strip().split("\n")[0]) from error


@contextmanager
def _limit(seconds: float) -> Iterator[None]:
    """Raises TimeoutError in the block when its time is up."""
    import signal

    def stop(*_: object) -> None:
        raise TimeoutError(f"it took more than {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def environment(device: torch.device) -> dict[str, Any]:
    """Device, driver, versions, date."""
    on_gpu = device.type == "cuda"
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": torch.cuda.get_device_name(device) if on_gpu else platform.processor() or "cpu",
        "driver": _driver() if on_gpu else None,
        "python": platform.python_version(),
        "cuda": torch.version.cuda if on_gpu else None,
        "threads": torch.get_num_threads(),
        **{name: _version(name) for name in ("torch", "triton", "transformers")},
    }


def _version(package: str) -> str | None:
    if package == "torch":
        return str(torch.__version__)
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _driver() -> str | None:
    asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(asked, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.split("\n")[0].strip()


# A row's key, heading, width. For all trials of a row together: ms per step, rows per second; peak
# memory in GiB; kernels per step, and the share of the step in which one runs; useful operations
# over the measured peak; padding over real tokens; rows per second over baseline B's on the same
# shape and data.
COLUMNS = (
    ("contender", "contender", 24),
    ("shape", "shape", 13),
    ("data", "data", 11),
    ("precision", "precision", 9),
    ("trials", "K", 3),
    ("ms", "ms", 9),
    ("rows_s", "rows/s", 9),
    ("peak_gib", "GiB", 6),
    ("kernels", "kernels", 7),
    ("busy_percent", "busy %", 6),
    ("mfu_percent", "MFU %", 5),
    ("padding_percent", "pad %", 5),
    ("to_baseline_b", "/ B", 6),
)


def format_row(row: Row) -> str:
    """A row of the table, with a dash for what was not measured."""
    cells = []
    for key, _, width in COLUMNS:
        value = row.get(key)
        text = "–" if value is None else str(value)
        cells.append(text.ljust(width) if isinstance(value, str) else text.rjust(width))
    return "  ".join(cells)


def table(rows: list[Row]) -> str:
    """All rows under their headings."""
    words = ("contender", "shape", "data", "precision")
    heads = [f"{head:{'<' if key in words else '>'}{width}}" for key, head, width in COLUMNS]
    head = "  ".join(heads)
    return "\n".join([head, "-" * len(head), *(format_row(row) for row in rows)])
