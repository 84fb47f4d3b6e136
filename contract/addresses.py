"""Which addresses are of this machine, and which of a private network."""

from __future__ import annotations

import ipaddress

PRIVATE = tuple(
    ipaddress.ip_network(network)
    for network in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7")
)
"""Narrower than `is_private` of the standard library, which counts link-local and documentation networks as private too."""
METADATA = tuple(ipaddress.ip_network(network) for network in ("fd00:ec2::/32", "fd20:ce::254/128", "fd00:42::42/128"))
"""Where AWS, Google and Scaleway keep the credentials of a machine: inside the private networks, and no neighbour's service.

Those of IPv4, and the link-local ones of IPv6, lie in no private network to begin with.
"""
METADATA_NAMES = frozenset(
    {"metadata", "metadata.google.internal", "metadata.goog", "metadata.tencentyun.com", "instance-data"}
    | {"instance-data.ec2.internal", "metadata.azure.internal", "metadata.platformequinix.com"}
)
"""Names of the same services, wherever a resolver says that they are."""


def is_loopback(host: str) -> bool:
    """Tell whether a host, a name or an address, is this machine; no name but `localhost` is looked up or trusted."""
    if host == "localhost":
        return True
    try:
        return _ip(host).is_loopback
    except ValueError:
        return False


def is_private(address: str) -> bool:
    """Tell whether an IP address is loopback or of a private network; an IPv4 address may be written as IPv6.

    What a gateway would lead on to an IPv4 address (6to4, NAT64, Teredo) is none, whatever that address is.
    """
    ip = _ip(address)
    return any(ip in network for network in PRIVATE) and not any(ip in network for network in METADATA)


def without_mapping(address: str) -> str:
    """Return an IP address as itself: an IPv4 one that is written as IPv6 as IPv4, and without a zone."""
    return str(_ip(address))


def _ip(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    ip = ipaddress.ip_address(address.partition("%")[0])
    return getattr(ip, "ipv4_mapped", None) or ip
