"""JSON-RPC 2.0 over lines: turns the text of a request into the text of its answer.
https://www.jsonrpc.org/specification

The rarely used methods of `Methods` are here, too.
"""

from firmware import const
from firmware.jsontext import dumps, loads
from firmware.log import describe

_PARSE_ERROR = const(-32700)
_INVALID_REQUEST = const(-32600)
METHOD_NOT_FOUND = -32601
_INVALID_PARAMS = const(-32602)
INTERNAL_ERROR = -32603

# Our own codes, in the range that the specification reserves for servers.
_METHOD_FAILED = const(-32000)
ACCESS_DENIED = -32001

LONGEST_BATCH = 16


class RpcError(Exception):
    """An error for the caller: a code, and a text that says what was wrong."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code
        self.message = message


def encode_error(identity, code, message):
    """Return the text of an error's answer."""
    return dumps({"jsonrpc": "2.0", "id": identity, "error": {"code": code, "message": message}})


def encode_notification(method, params):
    """Return the text of a notification."""
    return dumps({"jsonrpc": "2.0", "method": method, "params": params})


def _is_identity(value):
    return value is None or isinstance(value, (str, int, float)) and not isinstance(value, bool)


def _answer_one(request, call):
    """Return the text of one request's answer. A notification gets no answer, not even an error: None."""
    identity = request.get("id") if isinstance(request, dict) else None
    if not _is_identity(identity):
        identity = None
    try:
        method, params = _check(request)
        result = call(method, params)
        if "id" not in request:
            return None
        return dumps({"jsonrpc": "2.0", "id": identity, "result": result})
    except RpcError as error:
        is_notification = error.code != _INVALID_REQUEST and "id" not in request
        return None if is_notification else encode_error(identity, error.code, error.message)


def _check(request):
    """Return the method and the params of a request object."""
    if not isinstance(request, dict) or request.get("jsonrpc") != "2.0":
        raise RpcError(_INVALID_REQUEST, 'not a request like {"jsonrpc": "2.0", "id": 1, "method": "ping"}')
    if not isinstance(request.get("method"), str):
        raise RpcError(_INVALID_REQUEST, "method must be text")
    if not _is_identity(request.get("id")):
        raise RpcError(_INVALID_REQUEST, "id must be a number, text or null")
    params = request.get("params", {})
    if not isinstance(params, (dict, list)):
        raise RpcError(_INVALID_REQUEST, "params must be an object or an array")
    return request["method"], params


def answer(text, call):
    """Return the answer to a request or a batch as text; None if there is nothing to answer.

    `call(method, params)` returns the result or raises RpcError.
    """
    try:
        request = loads(text)
    except (ValueError, MemoryError):
        return encode_error(None, _PARSE_ERROR, "not JSON; type help for a list of methods")
    if not isinstance(request, list):
        return _answer_one(request, call)
    if not 0 < len(request) <= LONGEST_BATCH:
        return encode_error(None, _INVALID_REQUEST, f"a batch has 1 to {LONGEST_BATCH} requests")
    answers = []
    for item in request:
        one = _answer_one(item, call)
        if one:
            answers.append(one)
    return "[" + ", ".join(answers) + "]" if answers else None


# --- the methods


def _offer(methods, name):
    for offer in methods.offers:
        if name in offer[0].split():
            return offer
    return None


def names(methods):
    """Return the sorted names of all methods."""
    found = set(methods.known)
    for offer in methods.offers:
        found.update(offer[0].split())
    return sorted(found)


def described(methods, name):
    """Return (usage, text, writes) of a method if it is loaded, else None."""
    method = methods.known.get(name)
    return method and method[1:]


def call(methods, session, name, params):
    """Return the result of a method, or raise RpcError."""
    try:
        while name not in methods.known:
            offer = _offer(methods, name)
            if not offer:
                raise RpcError(METHOD_NOT_FOUND, f"no method {name[:40]!r}; help lists them")
            offer[1](*offer[2])  # if there is no memory to load it now, it stays offered
            methods.offers.remove(offer)
        function, usage, _, writes = methods.known[name]
        session.check_access(writes)
        values, named = _bind(usage.split(), params)
        return function(session, *values, **named)
    except RpcError:
        raise
    except (ValueError, KeyError) as error:
        raise RpcError(_INVALID_PARAMS, _reason(error)) from None
    except Exception as error:
        methods.log.warning("control", name, error)
        raise RpcError(_METHOD_FAILED, describe(error)) from None


def _bind(usage, given):
    """Return (the arguments in order, by name those after an omitted one), from an object or an array."""
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
        raise RpcError(_INVALID_PARAMS, f"{problem}: it takes {', '.join(usage) or 'none'}")
    values = []
    named = dict(given)
    for name in names:
        if name not in named:
            break
        values.append(named.pop(name))
    return values, named


def _reason(error):
    return f"unknown: {error.args[0]}" if isinstance(error, KeyError) and error.args else str(error)
