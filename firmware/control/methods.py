"""The methods that the control server offers: who adds one says what it takes and whether it changes anything."""

from firmware.control.jsonrpc import INVALID_PARAMS, METHOD_FAILED, METHOD_NOT_FOUND, RpcError
from firmware.log import describe


class Method:
    """One method: `function(session, ...)` with the named parameters in their order."""

    def __init__(self, function, params, text, writes):
        self.function = function
        self.usage = params.split()
        self.required = tuple(name for name in params.split() if not name.endswith("?"))
        self.params = tuple(name.rstrip("?") for name in params.split())
        self.text = text
        self.writes = writes

    def bind(self, given):
        """The arguments in order, from an object or an array; None for what is left out."""
        if isinstance(given, list):
            if len(given) > len(self.params):
                raise RpcError(INVALID_PARAMS, f"at most {len(self.params)} parameters: {self._takes()}")
            given = {name: given[index] for index, name in enumerate(self.params[: len(given)])}
        for name in given:
            if name not in self.params:
                raise RpcError(INVALID_PARAMS, f"no parameter {name!r}: {self._takes()}")
        for name in self.required:
            if name not in given:
                raise RpcError(INVALID_PARAMS, f"parameter {name!r} is missing: {self._takes()}")
        return [given.get(name) for name in self.params]

    def _takes(self):
        return "it takes " + (", ".join(self.usage) or "none")


class Methods:
    """All methods by name."""

    def __init__(self, log):
        self._log = log
        self._methods = {}

    def add(self, name, function, params="", text="", writes=False):
        """Offer `name`. `params` are names with spaces between, "?" after those that may be left out.

        `function(session, *params)` returns what JSON can say; ValueError and KeyError mean a wrong parameter.
        """
        self._methods[name] = Method(function, params, text, writes)

    def help(self):
        """[{"method", "params", "text", "writes"}] in order of the names; optional parameters end with "?"."""
        return [
            {"method": name, "params": method.usage, "text": method.text, "writes": method.writes}
            for name, method in sorted(self._methods.items())
        ]

    def __contains__(self, name):
        return name in self._methods

    def call(self, session, name, params):
        """The result of a method, or RpcError."""
        method = self._methods.get(name)
        if not method:
            raise RpcError(METHOD_NOT_FOUND, f"no method {name[:40]!r}; help lists them")
        session.check_access(method)
        arguments = method.bind(params)
        try:
            return method.function(session, *arguments)
        except RpcError:
            raise
        except (ValueError, KeyError) as error:
            raise RpcError(INVALID_PARAMS, _reason(error)) from None
        except Exception as error:
            self._log.warning("control", f"{name}: {describe(error)}")
            raise RpcError(METHOD_FAILED, describe(error)) from None


def _reason(error):
    return f"unknown: {error.args[0]}" if isinstance(error, KeyError) and error.args else str(error)
