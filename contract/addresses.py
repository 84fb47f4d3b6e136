"""Which addresses are of this machine, and which of a private network."""

from __future__ import annotations

import ipaddress

PRIVATE = tuple(
    ipaddress.ip_network(network)
    for network in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7")
)
"""Narrower than `is_private` of the standard library, which counts link-local and documentation networks as private too."""


def is_loopback(host: str) -> bool:
    """Tell whether a host, a name or an address, is this machine; no name but `localhost` is looked up or trusted."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_private(address: str) -> bool:
    """Tell whether an IP address is loopback or of a private network; an IPv4 address may be written as IPv6."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return any(ip in network for network in PRIVATE)
