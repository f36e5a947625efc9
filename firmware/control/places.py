"""What one address may take of the control server, over all its connections, also those that are over: places, requests
and wrong answers."""

from firmware import const

CROWD_WAIT_S = 10  # before an answer to a challenge, while too many addresses gave wrong ones
_ADDRESSES = const(32)  # remembered
_FORGET_MS = const(3600000)  # after the last connection
_BURST_MS = const(2000)  # so long's requests may come at once
_HOLD_MS = const(20000)  # that an address may hold places which others want
_MOST_HELD_MS = const(120000)  # counted
_FORGIVEN = const(32)  # ms without a place, for which one of the time held is forgotten
_LONGEST_DELAY_MS = const(300000)


class Visitor:
    """One address."""

    def __init__(self, now, held):
        self.places = 0
        self.failures = 0  # wrong answers, until a right one
        self.free_at = 0  # when it may answer again
        self.held = held  # ms, of all its places together
        self.seen = now
        self.credit = _BURST_MS  # ms, for requests

    def pass_time(self, now):
        """Count what it held until now, and give it new requests."""
        passed = now - self.seen
        self.seen = now
        held = self.held + (self.places * passed if self.places else -passed // _FORGIVEN)
        self.held = min(max(held, 0), _MOST_HELD_MS)
        self.credit = min(self.credit + passed, _BURST_MS)

    def spend(self, now, cost):
        """True where it may make a request now, of which there is one for each `cost` ms."""
        self.pass_time(now)
        if self.credit < cost:
            return False
        self.credit -= cost
        return True

    def failed(self, now):
        """Note a wrong answer; each makes it wait twice as long as the last. Returns the seconds."""
        self.failures += 1
        delay = min(1000 << min(self.failures - 1, 9), _LONGEST_DELAY_MS)
        self.free_at = now + delay
        return delay // 1000


def find(known, address, sessions, most, now):
    """The Visitor at `address` in `known`, which remembers 32 more than the `most` that can be connected.

    Who comes in there for another takes over the time that it held: many addresses are no better than few.
    """
    if address not in known:
        connected = [session.visitor for session in sessions]
        gone = sorted([(known[one].free_at, known[one].held, one) for one in known if known[one] not in connected])
        held = 0
        for _, _, one in gone:
            if now - known[one].seen > _FORGET_MS:
                del known[one]
            elif len(known) >= most + _ADDRESSES:
                held = known.pop(one).held
        known[address] = Visitor(now, held)
    return known[address]


def crowded(known):
    """True where so many gave wrong answers that the next may not be remembered."""
    return sum([one.failures > 0 for one in known.values()]) >= _ADDRESSES


def loser(visitor, sessions, now):
    """The session that has to make room for one more of `visitor`, or None. Never one that has logged in.

    An address that holds two places more than the newcomer's gives its oldest. Otherwise one goes that is still in the
    handshake of TLS, or whose address has held places for long, if that was for as long as the newcomer's.
    """
    found = most = None
    for session in sessions:
        if session.leaving or session.authenticated:
            continue
        other = session.visitor
        other.pass_time(now)
        is_due = (session.greeting or other.held >= _HOLD_MS) and other.held >= visitor.held
        if other.places > visitor.places + 1 or is_due:
            rank = (other.places, other.held)
            if not found or rank > most:
                found, most = session, rank
    return found
