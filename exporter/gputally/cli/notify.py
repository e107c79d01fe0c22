"""Tells systemd that the agent is ready and alive, by the datagram protocol of sd_notify(3)."""

import os
import socket


def notify(message: str, patience_seconds: float = 5.0) -> bool:
    """Send e.g. `READY=1`; False when no service manager is listening, or it has not read for so long."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]  # abstract namespace
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.settimeout(patience_seconds)  # once ten messages are unread, the kernel lets senders wait
            sock.sendto(message.encode(), address)
    except OSError:
        return False
    return True


def watchdog_seconds() -> float | None:
    """How often the service manager wants to hear from us; None if it does not care."""
    try:
        return int(os.environ["WATCHDOG_USEC"]) / 1e6
    except (KeyError, ValueError):
        return None
