"""Checks a static address; loaded only if there is one."""


def faults(values, start, number):
    """Return the faults as texts. The address and the gateway have to be two different addresses of one subnet.

    `number(address)` is passed from schema.py, so that it is not loaded twice.
    """
    mask = number(values["netmask"])
    own = number(values["address"])
    subnet = _subnet(own & mask, mask)
    found = []
    if not 0 < own & ~mask < 0xFFFFFFFF - mask:  # neither the subnet's own nor its broadcast address
        found.append(f"{start}address: {values['address']!r} is not a board's address in {subnet}")
    gateway = values["gateway"]
    if gateway and (number(gateway) & mask != own & mask or gateway == values["address"]):
        found.append(f"{start}gateway: {gateway!r} is not another address in {subnet}")
    return found


def _subnet(base, mask):
    return ".".join(str(base >> shift & 255) for shift in (24, 16, 8, 0)) + "/" + str(bin(mask).count("1"))
