"""What devices are called, for people."""

import platform
from pathlib import Path


def cpu_name() -> str:
    """The processor's model, or its architecture where the system does not say."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
