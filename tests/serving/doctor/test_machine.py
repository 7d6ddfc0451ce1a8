import sys

import pytest

from ddxgraph.serving.doctor.finding import Status
from ddxgraph.serving.doctor.machine import (
    NAMES,
    Gpu,
    Torch,
    gpus_found,
    gpus_of,
    graphics,
    hardware_found,
    machine_findings,
    memory_bytes,
    packages_found,
    torch_found,
    torch_report,
)

H100 = Gpu("NVIDIA H100 80GB HBM3", 81_559, "550.54.15")


@pytest.mark.alone
def test_this_machine_is_described_in_order_and_nothing_of_it_stops_the_graph():
    found = list(machine_findings())
    assert [each.name for each in found] == list(NAMES)
    assert all(each.status in {Status.OK, Status.WARN} for each in found)
    said = {each.name: each.value for each in found}
    assert sys.executable in said["Python"]
    assert "ddxgraph 0." in said["packages"]
    assert "langgraph" in said["packages"].partition(";")[0]


@pytest.mark.parametrize(
    ("listing", "gpus"),
    [
        ("", []),
        ("NVIDIA H100 80GB HBM3, 81559, 550.54.15\n", [H100]),
        ("NVIDIA H100 80GB HBM3, 81559, 550.54.15\n" * 2, [H100, H100]),
        ("NVIDIA GB10, [N/A], 580.95.05\n", [Gpu("NVIDIA GB10", None, "580.95.05")]),
        ("Odd, name, 4096, 535.1\n", [Gpu("Odd, name", 4_096, "535.1")]),
    ],
)
def test_nvidia_smis_list_is_read(listing, gpus):
    assert gpus_of(listing) == gpus


def test_graphics_processors_that_are_alike_are_counted():
    found = gpus_found([H100, H100, Gpu("NVIDIA GB10", None, "580")], "")
    assert found.status is Status.OK
    assert found.value == (
        "2 x NVIDIA H100 80GB HBM3, 80 GiB, driver 550.54.15; NVIDIA GB10, shared memory, driver 580"
    )


def test_no_graphics_processor_is_said_plainly_with_what_it_costs():
    found = gpus_found([], "nvidia-smi is not there")
    assert found.status is Status.WARN
    assert found.value.startswith("none")
    assert found.cost


@pytest.mark.parametrize(
    ("script", "gpus", "trouble"),
    [
        ("echo 'NVIDIA H100 80GB HBM3, 81559, 550.54.15'", [H100], ""),
        (
            "echo 'NVIDIA-SMI has failed because it could not reach the driver.'; exit 9",
            [],
            "reach the driver",
        ),
        ("exit 0", [], "names none"),
    ],
)
def test_nvidia_smi_is_asked_and_may_fail(script, gpus, trouble, tmp_path, monkeypatch):
    command = tmp_path / "nvidia-smi"
    command.write_text(f"#!/bin/sh\n{script}\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = graphics()
    assert list(found.gpus) == gpus
    assert trouble in found.trouble


def test_without_nvidia_smi_there_is_none(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert graphics().gpus == []
    assert "nvidia-smi" in graphics().trouble


FAKE_TORCH = """
__version__ = "2.13.0+cu130"
class version: cuda = "13.0"
class cuda: is_available = staticmethod(lambda: False)
"""


@pytest.mark.parametrize(
    ("module", "report"),
    [
        (FAKE_TORCH, Torch("2.13.0+cu130", "13.0", False)),
        ("raise ImportError('libcudart.so.13: cannot open shared object file')", "libcudart.so.13"),
        ("import os; os._exit(3)", "exit code 3"),
    ],
)
def test_torch_is_asked_in_a_process_of_its_own_and_may_break(module, report, tmp_path, monkeypatch):
    (tmp_path / "torch.py").write_text(module)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    said = torch_report()
    assert "torch" not in sys.modules or sys.modules["torch"].__file__ != str(tmp_path / "torch.py")
    if isinstance(report, Torch):
        assert said == report
    else:
        assert isinstance(said, str)
        assert report in said


@pytest.mark.parametrize(
    ("report", "gpu", "status", "said"),
    [
        (None, False, Status.WARN, "not installed"),
        ("installed, but it does not load (x)", False, Status.WARN, "does not load"),
        (Torch("2.13.0+cpu", None, False), False, Status.OK, "CPU build, no GPU"),
        (Torch("2.13.0+cpu", None, False), True, Status.WARN, "CPU build"),
        (Torch("2.13.0", "13.0", False), True, Status.WARN, "13.0, no GPU"),
        (Torch("2.13.0", "13.0", True), True, Status.OK, "13.0, a GPU"),
    ],
)
def test_torch_is_held_against_the_graphics_processor(report, gpu, status, said):
    found = torch_found(report, gpu)
    assert found.status is status
    assert said in found.value
    assert bool(found.cost) == (status is Status.WARN)


def test_hardware_and_packages_in_words():
    assert hardware_found(1, 8 << 30).value == "1 core, 8.0 GiB memory"
    assert hardware_found(64, None).value == "64 cores, memory unknown"
    assert packages_found({"a": "1.0", "b": None}).value == "a 1.0; not in this environment: b"
    assert packages_found({"a": "1.0"}).value == "a 1.0"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux's")
def test_memory_is_at_most_the_machines():
    total = next(line for line in open("/proc/meminfo") if line.startswith("MemTotal"))  # noqa: PTH123, SIM115
    assert 0 < (memory_bytes() or 0) <= int(total.split()[1]) * 1024
