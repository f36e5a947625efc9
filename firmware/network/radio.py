"""The memory of an ESP32's radio. The driver takes memory that Python's heap has not taken yet."""

from firmware import const

_NEEDED = const(40000)  # bytes that the system needs for the radio's buffers, the sockets and their data
_NO_MEMORY = const("0x0101")  # ESP_ERR_NO_MEM, which MicroPython does not know by name


def switch_on(board, config, log):
    """Let the driver take its memory before anything large is loaded."""
    wanted = "wifi" in config["network"]["order"] and config["wifi"]["networks"]
    if not wanted and not hasattr(board.support, "lan") and not config["lan"]["phy"]:
        wanted = config["ap"]["enabled"]  # no network is configured, so the board's own will be needed
    if not wanted or not hasattr(board.network, "WLAN"):
        return
    wlan = board.network.WLAN
    try:
        wlan(getattr(wlan, "IF_STA", getattr(board.network, "STA_IF", 0))).active(True)
    except Exception as error:
        log.error("network", no_memory(error, board) or str(error))


def no_memory(error, board):
    """Return a message if `error` means that the radio got no memory, else None."""
    if _NO_MEMORY not in str(error):
        return None
    left = board.system_heap()
    left = f"{left['free']} bytes are left, {left['largest']} in one piece" if left else "nothing is left"
    return f"no memory for the radio: {left}; switch off services or sensors, or use our image"


def check(board, log):
    """Warn if the system has less memory left than it needs, before services take more."""
    left = board.system_heap()
    if left and left["free"] < _NEEDED:
        log.warning("boot", f"the system has {left['free']} bytes left, the network may need {_NEEDED}")
