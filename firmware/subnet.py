"""Is a static address one that a board can have? Loaded only where there is one."""

from firmware.config import ConfigError


def check(values, start, number):
    """The address has to be one of its subnet, and the gateway another one there. Raises ConfigError.

    `number(address)` is schema.py's, which is not to be loaded a second time.
    """
    mask = number(values["netmask"])
    own = number(values["address"])
    if not 0 < own & ~mask < 0xFFFFFFFF - mask:  # neither the subnet's own nor its broadcast address
        raise ConfigError(start + "address", values["address"], f"a board's address in {_subnet(own & mask, mask)}")
    gateway = values["gateway"]
    if gateway and (number(gateway) & mask != own & mask or gateway == values["address"]):
        raise ConfigError(start + "gateway", gateway, f"another address in {_subnet(own & mask, mask)}")


def _subnet(base, mask):
    return ".".join(str(base >> shift & 255) for shift in (24, 16, 8, 0)) + "/" + str(bin(mask).count("1"))
