"""The steps of Bringup until a link is up, and when it is lost. See bringup.py."""

from firmware import const
from firmware.network import FAILED, UP, guarded
from firmware.network.bringup import Connection

_HISTORY = const(20)


def start(bringup):
    """Try the first link."""
    _enter(bringup, "down", "start")
    _begin_round(bringup)


def stop(bringup):
    """Disconnect for good."""
    bringup.timer.Cancel()
    _lose(bringup, "stopped")
    _give_up_link(bringup)
    _lower_fallback(bringup)
    _enter(bringup, "down", "stopped")
    bringup.attempts = None


def step(bringup):
    """Take the next step."""
    if bringup.active:
        _check_attempt(bringup)
    elif bringup.state == "connecting":
        _attempt(bringup)  # the previous link failed
    else:
        _begin_round(bringup)


def lost(bringup, reason):
    """Handle the loss of the link: start again with the first one."""
    _enter(bringup, "down", f"{bringup.active.name}: {reason}")
    _lose(bringup, reason)
    _give_up_link(bringup)
    _begin_round(bringup)


def moved(bringup, address):
    """Handle a new address of the link."""
    _lose(bringup, f"the address is now {address[0]}")
    _use_active(bringup)


def _enter(bringup, state, text):
    bringup.state = state
    bringup.history.append({"uptime": bringup.clock.uptime(), "state": state, "text": text})
    if len(bringup.history) > _HISTORY:
        bringup.history.pop(0)
    bringup.log.info("network", f"{state}: {text}")


def _has_guests(bringup):
    """Return True if devices use the board's own network. Trying another network would take the radio off their
    channel."""
    return bringup.fallback_is_up and bringup.fallback.has_guests()


def _begin_round(bringup):
    if _has_guests(bringup):
        bringup.timer.Restart(_wait_s(bringup))
        return
    bringup.index = 0
    _attempt(bringup)


def _attempt(bringup):
    while bringup.index < len(bringup.links) and bringup.links[bringup.index].broken:
        bringup.index += 1
    if bringup.index >= len(bringup.links):
        _round_failed(bringup)
        return
    link = bringup.active = bringup.links[bringup.index]
    _enter(bringup, "connecting", link.name)
    wait_ms = link.waits_ms or bringup.settings["connect_timeout_s"] * 1000
    bringup.deadline_ms = bringup.clock.uptime_ms() + wait_ms
    error = guarded(link.start)[1]
    if error:
        _attempt_failed(bringup, error)
    else:
        _check_attempt(bringup)


def _check_attempt(bringup):
    state, error = guarded(bringup.active.poll)
    if state == UP:
        _use_active(bringup)
    elif error or state == FAILED:
        _attempt_failed(bringup, error or bringup.active.reason)
    elif bringup.clock.uptime_ms() >= bringup.deadline_ms:
        _attempt_failed(bringup, bringup.active.late or "no answer in time")
    elif _has_guests(bringup):
        _give_up_link(bringup)
        _enter(bringup, "waiting", "the board's own network is in use")
        bringup.timer.Restart(_wait_s(bringup))
    else:
        bringup.timer.Restart(0.2)


def _attempt_failed(bringup, reason):
    _enter(bringup, "connecting", f"{bringup.active.name}: {reason}")
    _give_up_link(bringup)
    bringup.index += 1
    bringup.timer.Restart(0.001)  # by the timer, not by recursion, because there may be many links


def _give_up_link(bringup):
    if bringup.active:
        guarded(bringup.active.stop)
        bringup.active = None


def _round_failed(bringup):
    bringup.rounds += 1
    if bringup.links and all(link.broken for link in bringup.links):
        _enter(bringup, "waiting", "for the next boot")
        return
    _raise_fallback(bringup)
    if not bringup.links:
        _enter(bringup, "waiting", "no network is configured")
        return
    wait_s = _wait_s(bringup)
    _enter(bringup, "waiting", f"{wait_s:.1f} s")
    bringup.timer.Restart(wait_s)


def _wait_s(bringup):
    """Return a growing pause. It varies at random by up to a quarter, so that boards do not all act at once."""
    seconds = bringup.settings["backoff_s"] * 2 ** min(max(bringup.rounds - 1, 0), 16)
    seconds = min(seconds, bringup.settings["backoff_most_s"])
    return seconds * (0.75 + bringup.random() / 2)


def _raise_fallback(bringup):
    if bringup.fallback_is_up:
        return
    bringup.fallback = bringup.fallback or bringup.make_fallback()
    if not bringup.fallback:
        return
    error = guarded(bringup.fallback.start)[1]
    address = None
    if not error:
        address, error = guarded(bringup.fallback.address)
    if error:
        bringup.log.error("network", f"{bringup.fallback.name}: {error}")
        return
    bringup.fallback_is_up = True
    _tell_up(bringup, Connection(bringup.fallback, address))


def _lower_fallback(bringup):
    if bringup.fallback_is_up:
        guarded(bringup.fallback.stop)
        bringup.fallback_is_up = False


def _use_active(bringup):
    address, error = guarded(bringup.active.address)
    if error:
        _attempt_failed(bringup, error)
        return
    if bringup.fallback_is_up:
        _lose(bringup, f"{bringup.active.name} is back")
        _lower_fallback(bringup)
    bringup.rounds = 0
    _enter(bringup, "up", f"{bringup.active.name}, {address[0]}")
    bringup.attempts = None
    _tell_up(bringup, Connection(bringup.active, address))
    bringup.timer.Restart(1)


def _tell_up(bringup, connection):
    bringup.connection = connection
    for listener in bringup.listeners:
        listener.network_up(connection)


def _lose(bringup, reason):
    if bringup.connection:
        bringup.connection = None
        for listener in bringup.listeners:
            listener.network_down(reason)
