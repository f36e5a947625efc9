"""Who has to go when all places of the control server are taken."""

from firmware import const

_HOLD_S = const(60)  # that a client keeps its place then, if it has not logged in


def place_for(newcomer, all_sessions, now):
    """The session that has to make room for another client, or None. Never one that has logged in.

    An address that holds two places more than the newcomer's gives one of them, its oldest. Otherwise it is who
    was silent longest, of those that have had their place for a while.
    """
    held = {}
    for session in all_sessions:
        if session is not newcomer and not session.leaving and not session.authenticated:
            held.setdefault(session.address, []).append(session)
    most = max(held.values(), key=len) if held else []
    if len(most) > len(held.get(newcomer.address, ())) + 1:
        return most[0]
    old = [session for sessions in held.values() for session in sessions if session.since <= now - _HOLD_S]
    return min(old, key=lambda session: session.alive_at) if old else None
