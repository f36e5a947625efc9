"""Texts that say why a Wi-Fi network cannot be joined."""

from firmware.network import guarded

_REASONS = (
    ("STAT_WRONG_PASSWORD", "wrong password"),
    ("STAT_NO_AP_FOUND", "no such network in reach"),
    ("STAT_NO_AP_FOUND_IN_RSSI_THRESHOLD", "the network's signal is too weak"),
    ("STAT_NO_AP_FOUND_IN_AUTHMODE_THRESHOLD", "the network is open, or its security is too weak for a password"),
    ("STAT_NO_AP_FOUND_W_COMPATIBLE_SECURITY", "no common security"),
    ("STAT_HANDSHAKE_TIMEOUT", "no handshake: wrong password?"),
    ("STAT_BEACON_TIMEOUT", "the network is no longer heard"),
    ("STAT_ASSOC_FAIL", "the network refused"),
    ("STAT_CONNECT_FAIL", "the network refused"),
)
_NEEDS_PASSWORD = "the network needs a password"
_LONGEST_SCAN_S = 5


def reason(status, constant, board, wlan, settings):
    """Return the meaning of the radio's `status`. `constant(name)` is the value of the port's constant, or None."""
    for name, text in _REASONS:
        if constant(name) != status:
            continue
        if name == "STAT_NO_AP_FOUND" and constant("STAT_NO_AP_FOUND_W_COMPATIBLE_SECURITY") is None:
            return _of_a_scan(board, wlan, settings) or text
        if name == "STAT_NO_AP_FOUND_W_COMPATIBLE_SECURITY" and not settings["password"]:
            return _NEEDS_PASSWORD
        return text
    return f"code {status}"


def _of_a_scan(board, wlan, settings):
    """Return the result of a scan. The Pico W reports "no such network" also for one with another security.

    It blocks for some seconds, but no sockets are in use at this time.
    """
    if 0 < board.watchdog_s < _LONGEST_SCAN_S:
        return None
    board.feed_watchdog()
    name = settings["ssid"].encode()
    found = [one[4] for one in guarded(wlan.scan)[0] or () if one[0] == name]
    board.feed_watchdog()
    if not found:
        return None
    if not settings["password"]:
        return _NEEDS_PASSWORD
    if not any(found):
        return "the network is open: it takes no password"
    return "no common security"
