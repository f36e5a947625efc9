"""Why a Wi-Fi network cannot be joined, in words."""

_REASONS = (
    ("STAT_WRONG_PASSWORD", "wrong password"),
    ("STAT_NO_AP_FOUND", "no such network in reach"),
    ("STAT_NO_AP_FOUND_IN_RSSI_THRESHOLD", "the network's signal is too weak"),
    ("STAT_NO_AP_FOUND_IN_AUTHMODE_THRESHOLD", "the network's security is too weak"),
    ("STAT_NO_AP_FOUND_W_COMPATIBLE_SECURITY", "no security that both sides know"),
    ("STAT_HANDSHAKE_TIMEOUT", "no handshake: wrong password?"),
    ("STAT_BEACON_TIMEOUT", "the network is no longer heard"),
    ("STAT_ASSOC_FAIL", "the network refused"),
    ("STAT_CONNECT_FAIL", "the network refused"),
)


def reason(status, constant):
    """What the radio's `status` means; `constant(name)` is the value of the port's constant, or None."""
    for name, text in _REASONS:
        if constant(name) == status:
            return text
    return f"code {status}"
