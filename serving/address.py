"""Addresses that a server listens on."""

import errno
import ipaddress
import socket
from urllib.parse import urlsplit, urlunsplit


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address, given by name or by number in any notation."""
    host = host.lower().rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return _is_short_loopback(host)
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def _is_short_loopback(host: str) -> bool:
    """Whether a host is an IPv4 address of loopback as C's functions read them: `127.1`, `0x7f000001`."""
    try:
        return ipaddress.ip_address(socket.inet_aton(host)).is_loopback
    except (OSError, UnicodeEncodeError):
        return False


def without_password(url: str) -> str:
    """An address as a message may show it."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=host))


def url_host(host: str) -> str:
    """Host to put into a URL for a listening address."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"[{host}]" if ":" in host else host


def free_port(host: str) -> int:
    """A port that nothing listens on.

    Raises:
        OSError: this machine has no such address.
    """
    with _bound(host, 0) as listener:
        port: int = listener.getsockname()[1]
        return port


def is_free(host: str, port: int) -> bool:
    """Whether nothing listens on a port.

    Raises:
        OSError: this machine has no such address, or the user may not listen on such a port.
    """
    try:
        _bound(host, port).close()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        return False
    return True


def _bound(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(
        socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
    )  # closed connections of the last one linger
    try:
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener
