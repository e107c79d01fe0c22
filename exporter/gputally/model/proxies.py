"""Addresses of proxies, as the environment gives them: often with a password, so nobody quotes them."""

from urllib.parse import urlsplit

COMPLAINT = "the proxy of the environment is no address such as http://proxy.example.com:3128"


def is_usable(proxy: str) -> bool:
    """Whether it has a host, and a port that can be one; `proxy.example.com:3128` has them, too."""
    try:
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        return bool(parts.hostname) and parts.port != 0 and " " not in proxy and proxy.isprintable()
    except ValueError:
        return False
