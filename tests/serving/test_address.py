import socket

import pytest

from ddxgraph.serving.address import free_port, is_free, is_loopback, url_host


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "::1", "0:0:0:0:0:0:0:1"])
def test_loopback_is_reached_from_this_machine_alone(host):
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        "0.0.0.0",
        "::",
        "10.0.0.1",
        "fe80::1",
        "gpu.example",
        "",
        "127.0.0.1.evil.example",
        "localhost.evil",
        "128.0.0.1",
    ],
)
def test_everything_else_is_not_loopback(host):
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        ("::", "[::1]"),
        ("::1", "[::1]"),
        ("gpu.example", "gpu.example"),
    ],
)
def test_an_address_is_reached_as_part_of_a_url(host, url):
    assert url_host(host) == url


def test_a_free_port_is_free_until_someone_listens():
    port = free_port("127.0.0.1")
    assert port > 0
    assert is_free("127.0.0.1", port)
    with socket.create_server(("127.0.0.1", port)):
        assert not is_free("127.0.0.1", port)


def test_a_port_is_free_again_when_its_server_has_gone():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        listener.accept()[0].close()  # what is left of it lingers in TIME_WAIT
        client.close()
    assert is_free("127.0.0.1", port)


def test_an_address_that_this_machine_has_not_is_no_port_in_use():
    elsewhere = "192.0.2.1"  # for documentation, and nobody's (RFC 5737)
    with pytest.raises(OSError, match="assign"):
        is_free(elsewhere, 8000)
    with pytest.raises(OSError, match="assign"):
        free_port(elsewhere)
