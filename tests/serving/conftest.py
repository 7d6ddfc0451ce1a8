"""A server that loads adapters, and an adapter to load."""

import pytest
from adapter_server import adapter_server
from adapterfolder import write_adapter

from ddxgraph.serving.adapters.files import read_adapter


@pytest.fixture
def server():
    with adapter_server() as running:
        yield running


@pytest.fixture
def adapter(tmp_path):
    return read_adapter(write_adapter(tmp_path / "adapter"))
