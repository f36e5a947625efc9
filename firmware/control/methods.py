"""The methods that the control server offers: who adds one says what it takes and whether it changes anything."""

from firmware.control.jsonrpc import INVALID_PARAMS, METHOD_FAILED, METHOD_NOT_FOUND, RpcError
from firmware.log import describe


class Methods:
    """All methods by name. Those of a part that is not loaded are known by name only, until one is called."""

    def __init__(self, log):
        self._log = log
        self._methods = {}  # name: (function, usage, text, writes)
        self._offers = []  # (names with spaces between, what loads them, its arguments)

    def add(self, name, function, params="", text="", writes=False):
        """Offer `name`. `params` are names with spaces between, "?" after those that may be left out.

        `function(session, *params)` returns what JSON can say; ValueError and KeyError mean a wrong parameter. What is
        left out is left out: the function has a default for it.
        """
        self._methods[name] = (function, params, text, writes)

    def offer(self, names, load, *args):
        """Offer the methods `names`, with spaces between; `load(*args)` adds them when one is called."""
        self._offers.append((names, load, args))

    def _offer(self, name):
        for offer in self._offers:
            if name in offer[0].split():
                return offer
        return None

    def names(self):
        """The sorted names of all of them."""
        names = set(self._methods)
        for offer in self._offers:
            names.update(offer[0].split())
        return sorted(names)

    def described(self, name):
        """(usage, text, writes) of a method that is loaded, else None."""
        method = self._methods.get(name)
        return method and method[1:]

    def __contains__(self, name):
        return name in self._methods or self._offer(name) is not None

    def call(self, session, name, params):
        """The result of a method, or RpcError."""
        try:
            while name not in self._methods:
                offer = self._offer(name)
                if not offer:
                    raise RpcError(METHOD_NOT_FOUND, f"no method {name[:40]!r}; help lists them")
                offer[1](*offer[2])  # it stays offered if there is no memory for it now
                self._offers.remove(offer)
            function, usage, _, writes = self._methods[name]
            session.check_access(writes)
            values, named = _bind(usage.split(), params)
            return function(session, *values, **named)
        except RpcError:
            raise
        except (ValueError, KeyError) as error:
            raise RpcError(INVALID_PARAMS, _reason(error)) from None
        except Exception as error:
            self._log.warning("control", f"{name}: {describe(error)}")
            raise RpcError(METHOD_FAILED, describe(error)) from None


def _bind(usage, given):
    """(the arguments in order, those after one that is left out by name), from an object or an array."""
    names = [name.rstrip("?") for name in usage]
    problem = None
    if isinstance(given, list):
        if len(given) > len(names):
            problem = f"at most {len(names)} parameters"
        given = dict(zip(names, given))
    for name in given:
        if name not in names:
            problem = f"no parameter {name!r}"
    for name in usage:
        if name not in given and not name.endswith("?"):
            problem = problem or f"parameter {name!r} is missing"
    if problem:
        raise RpcError(INVALID_PARAMS, f"{problem}: it takes {', '.join(usage) or 'none'}")
    values = []
    named = dict(given)
    for name in names:
        if name not in named:
            break
        values.append(named.pop(name))
    return values, named


def _reason(error):
    return f"unknown: {error.args[0]}" if isinstance(error, KeyError) and error.args else str(error)
