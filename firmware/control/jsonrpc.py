"""JSON-RPC 2.0 over lines: from the text of a request to the text of its answer. https://www.jsonrpc.org/specification"""

from firmware import const
from firmware.jsontext import dumps, loads

_PARSE_ERROR = const(-32700)
_INVALID_REQUEST = const(-32600)
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603

# Our own, in the range that the specification leaves to servers.
METHOD_FAILED = -32000
ACCESS_DENIED = -32001
TOO_MANY_REQUESTS = -32002
TOO_MANY_CLIENTS = -32003
LINE_TOO_LONG = -32004
IDLE_TOO_LONG = -32005

LONGEST_BATCH = 16


class RpcError(Exception):
    """An error for the caller: a code, and what was wrong."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code
        self.message = message


def encode_error(identity, code, message):
    """The text of an error's answer."""
    return dumps({"jsonrpc": "2.0", "id": identity, "error": {"code": code, "message": message}})


def encode_notification(method, params):
    """The text of a notification."""
    return dumps({"jsonrpc": "2.0", "method": method, "params": params})


def _is_identity(value):
    return value is None or isinstance(value, (str, int, float)) and not isinstance(value, bool)


def _answer_one(request, call):
    """The text of one request's answer; None for a notification, which gets none, not even an error."""
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
    """The method and the params of a request object."""
    if not isinstance(request, dict) or request.get("jsonrpc") != "2.0":
        raise RpcError(_INVALID_REQUEST, 'not a request: {"jsonrpc": "2.0", "id": 1, "method": "ping"} is one')
    if not isinstance(request.get("method"), str):
        raise RpcError(_INVALID_REQUEST, "method must be text")
    if not _is_identity(request.get("id")):
        raise RpcError(_INVALID_REQUEST, "id must be a number, text or null")
    params = request.get("params", {})
    if not isinstance(params, (dict, list)):
        raise RpcError(_INVALID_REQUEST, "params must be an object or an array")
    return request["method"], params


def answer(text, call):
    """The text that answers a request or a batch; None where nothing is to be answered.

    `call(method, params)` returns the result or raises RpcError.
    """
    try:
        request = loads(text)
    except (ValueError, MemoryError):
        return encode_error(None, _PARSE_ERROR, "not JSON; type help for what there is")
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
