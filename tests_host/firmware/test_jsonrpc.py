"""JSON-RPC 2.0: firmware/control/jsonrpc.py. The examples are those of the specification."""

import json

import pytest
from fakes import Bench

from firmware.control import Methods
from firmware.control.jsonrpc import LONGEST_BATCH, RpcError, answer


class Session:
    """Replaces a client. The control server checks access."""

    def check_access(self, writes):
        pass


@pytest.fixture
def methods(tmp_path):
    methods = Methods(Bench(tmp_path).log)
    methods.add("subtract", lambda session, minuend, subtrahend: minuend - subtrahend, "minuend subtrahend")
    methods.add("echo", lambda session, value=None: value, "value?")
    methods.add("picky", picky, "value")
    methods.add("broken", lambda session: 1 / 0)
    return methods


def picky(_session, value):
    if value != 1:
        raise ValueError("value: 1")
    return {}["missing"]


def ask(methods, request):
    text = request if isinstance(request, str) else json.dumps(request)
    found = answer(text, lambda method, params: methods.call(Session(), method, params))
    return json.loads(found) if found is not None else None


def request(method, params=None, identity=1):
    values = {"jsonrpc": "2.0", "method": method, "id": identity}
    return values if params is None else {**values, "params": params}


def code(found):
    assert found["jsonrpc"] == "2.0" and "result" not in found
    return found["error"]["code"], found["id"]


@pytest.mark.parametrize("params", [[42, 23], {"subtrahend": 23, "minuend": 42}])
def test_parameters_by_position_and_by_name(methods, params):
    assert ask(methods, request("subtract", params)) == {"jsonrpc": "2.0", "result": 19, "id": 1}


@pytest.mark.parametrize("params, result", [
    ([1], [1, "two", "three"]), ({"first": 1, "third": 3}, [1, "two", 3]), ([1, None], [1, None, "three"]),
    ({"first": 1, "second": 2}, [1, 2, "three"]), ([1, 2, 3], [1, 2, 3]),
])  # fmt: skip
def test_an_omitted_parameter_has_its_default(methods, params, result):
    def listed(session, first, second="two", third="three"):
        return [first, second, third]

    methods.add("list", listed, "first second? third?")
    assert ask(methods, request("list", params))["result"] == result


@pytest.mark.parametrize("identity", [0, -1, 1.5, "a", "", None])
def test_the_id_is_returned_unchanged(methods, identity):
    assert ask(methods, request("echo", [1], identity))["id"] == identity


@pytest.mark.parametrize("identity", [[], {}, True])
def test_an_invalid_id(methods, identity):
    assert code(ask(methods, request("echo", [1], identity))) == (-32600, None)


@pytest.mark.parametrize("number", ["1e999", "NaN", "Infinity"])
def test_an_infinite_number_is_refused(methods, number):
    assert code(ask(methods, '{"jsonrpc": "2.0", "method": "echo", "id": %s}' % number)) == (-32700, None)


@pytest.mark.parametrize("method", ["subtract", "nothing", "broken", "picky"])
def test_a_notification_is_never_answered(methods, method):
    assert ask(methods, {"jsonrpc": "2.0", "method": method, "params": [1]}) is None


BROKEN = [
    "{",
    "nonsense",
    "",
    '{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]',
    '{"jsonrpc":"2.0","id":1,"method":"echo"',
    '{"jsonrpc":"2.0" "id":1 "method":"echo"}',
    '{"jsonrpc":"2.0","id":"\\ud83d","method":"echo"}',
    '[{"jsonrpc":"2.0","id":1,"method":"echo"}',
]


@pytest.mark.parametrize("text", BROKEN)
def test_parse_error(methods, text):
    assert code(ask(methods, text)) == (-32700, None)


@pytest.mark.parametrize(
    "wrong",
    [
        1,
        None,
        {},
        {"id": 1},
        {"jsonrpc": "1.0", "method": "echo", "id": 1},
        {"jsonrpc": "2.0", "method": 1, "id": 1},
        {"jsonrpc": "2.0", "method": "echo", "params": "bar", "id": 1},
        {"jsonrpc": "2.0", "method": 1, "params": "bar"},
    ],
)
def test_invalid_request(methods, wrong):
    identity = wrong.get("id") if isinstance(wrong, dict) else None
    assert code(ask(methods, wrong)) == (-32600, identity)


def test_a_string_is_not_a_request(methods):
    assert code(ask(methods, '"text"')) == (-32600, None)


def test_method_not_found(methods):
    assert code(ask(methods, request("foobar"))) == (-32601, 1)


@pytest.mark.parametrize("params", [[1], [1, 2, 3], {"minuend": 1}, {"minuend": 1, "subtrahend": 2, "more": 3}, {}])
def test_invalid_params(methods, params):
    assert code(ask(methods, request("subtract", params))) == (-32602, 1)


@pytest.mark.parametrize(
    "method, params, message",
    [
        ("echo", {"other": 1}, "no parameter 'other': it takes value?"),
        ("echo", [1, 2], "at most 1 parameters: it takes value?"),
        ("subtract", [1], "parameter 'subtrahend' is missing: it takes minuend, subtrahend"),
        ("broken", [1], "at most 0 parameters: it takes none"),
    ],
)
def test_the_answer_to_wrong_params_names_the_right_ones(methods, method, params, message):
    assert ask(methods, request(method, params))["error"]["message"] == message


def test_a_value_that_the_method_refuses(methods):
    found = ask(methods, request("picky", [2]))
    assert code(found) == (-32602, 1) and found["error"]["message"] == "value: 1"


def test_a_failing_method_reports_the_reason(methods, capsys):
    """The author of a service sees on the console where it failed."""
    methods.log.console = True
    found = ask(methods, request("broken"))
    assert code(found) == (-32000, 1) and "ZeroDivisionError" in found["error"]["message"]
    said = capsys.readouterr()
    assert "control: warning: broken: ZeroDivisionError: " in said.out
    assert 'test_jsonrpc.py", line' in said.err


def test_batch(methods):
    batch = [
        request("echo", ["a"], "1"),
        {"jsonrpc": "2.0", "method": "echo", "params": [7]},
        {"foo": "boo"},
        request("foobar", identity="5"),
        1,
    ]
    found = ask(methods, batch)
    assert [one["id"] for one in found] == ["1", None, "5", None]
    assert found[0]["result"] == "a"
    assert [one["error"]["code"] for one in found[1:]] == [-32600, -32601, -32600]


def test_a_batch_of_notifications_is_not_answered(methods):
    assert ask(methods, [{"jsonrpc": "2.0", "method": "echo"}] * 2) is None


@pytest.mark.parametrize("count", [1, LONGEST_BATCH])
def test_the_smallest_and_the_largest_batch(methods, count):
    assert [one["result"] for one in ask(methods, [request("echo", [7])] * count)] == [7] * count


@pytest.mark.parametrize("count", [0, LONGEST_BATCH + 1])
def test_a_batch_of_none_or_too_many(methods, count):
    assert code(ask(methods, [request("echo")] * count)) == (-32600, None)


def test_deep_nesting_is_an_error_and_no_crash(methods):
    assert code(ask(methods, "[" * 100_000)) == (-32700, None)


def test_an_offered_service_is_loaded_by_the_first_call_with_enough_memory(tmp_path):
    methods = Methods(Bench(tmp_path).log)
    loaded = []

    def load():
        loaded.append("part")
        if len(loaded) == 1:
            raise MemoryError
        methods.add("part.get", lambda session: 1)

    methods.offer("part.get part.set", load)
    assert methods.names() == ["part.get", "part.set"] and not loaded
    session = Session()
    with pytest.raises(RpcError, match="MemoryError"):
        methods.call(session, "part.get", {})
    assert methods.call(session, "part.get", {}) == methods.call(session, "part.get", []) == 1
    assert loaded == ["part"] * 2
    with pytest.raises(RpcError, match="no method 'part.set'"):
        methods.call(session, "part.set", {})
