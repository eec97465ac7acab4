"""addresses: to which ones a webhook may be sent. A name is resolved once, and what was looked at is connected to.

Nobody who may choose a URL gets to what only this host can reach: itself, its network, its cloud's metadata. Spellings
(decimal, octal, mapped or tunnelled addresses) make no difference, for the resolved address is what counts.
"""

import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

from scheduler.errors import ForbiddenTargetError

_NAT64: Final = IPv6Network("64:ff9b::/96")
"""Addresses of IPv4 behind a translator."""


def resolve(host: str, port: int, *, private: bool) -> tuple[socket.AddressFamily, tuple[str, int]]:
    """An address of the host to connect to. Raises ForbiddenTargetError, and OSError where it has none.

    One address that may not be is enough to refuse them all: which of them answers is not ours to choose.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    if not private:
        for _, _, _, _, place in found:
            if not is_public(str(place[0])):
                raise ForbiddenTargetError(
                    f"{host} is at {place[0]}, which is not a public address: set `private: true` for a target that "
                    "is meant to be within your network."
                )
    family, _, _, _, place = found[0]
    return family, (str(place[0]), port)


def is_public(address: str) -> bool:
    """Whether it is an address of the internet, whatever it is wrapped in."""
    return all(part.is_global and not part.is_multicast for part in _unwrapped(ip_address(address.partition("%")[0])))


def _unwrapped(address: IPv4Address | IPv6Address) -> list[IPv4Address | IPv6Address]:
    """The address, or the IPv4 ones that it stands for."""
    if isinstance(address, IPv4Address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address.sixtofour is not None:
        return [address.sixtofour]
    if address.teredo is not None:
        return list(address.teredo)
    if address in _NAT64:
        return [IPv4Address(int(address) & 0xFFFFFFFF)]
    return [address]
