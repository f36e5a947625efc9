"""The control server's limits and access, on a clock that the test sets: firmware/control/."""

import json
import socket

import pytest
from fakes import Bench
from image import proof, until

from firmware.control import ControlServer, Methods
from firmware.control.session import Session, find
from firmware.services.system import System

TOKEN = "a token for tests"


class FakeClient:
    """A connection that records what the session sends. `deliver()` takes the part of the network for sent data."""

    CliAddr = ("192.0.2.77", 40000)
    CloseError = None
    SocketID = 1

    def __init__(self):
        self.sent = []
        self.undelivered = []
        self.receiver = None
        self.closed = False
        self.OnClosed = self.OnLineTooLong = None
        self.delivers = True

    def AsyncRecvLine(self, onDataRecv):
        assert self.receiver is None and not self.closed
        self.receiver = onDataRecv

    def AsyncSendData(self, data, onDataSent):
        assert not self.closed
        self.sent.append(bytes(data).decode())
        self.undelivered.append(onDataSent)

    def Close(self):
        if not self.closed:
            self.closed = True
            self.SocketID = None
            self.OnClosed(self, 1)

    def OnExceptionalCondition(self):
        self.Close()

    def deliver(self):
        while self.undelivered and not self.closed:
            self.undelivered.pop(0)(self, None)

    def end_turn(self):
        """End a turn of the pool. The bench does this for the clients that it connects."""

    def receive(self, line):
        receiver, self.receiver = self.receiver, None
        receiver(self, line.decode().rstrip("\n"), None)
        self.end_turn()
        if self.delivers:
            self.deliver()


class ControlBench(Bench):
    """Replaces the app. The test connects clients."""

    def __init__(self, folder, **control):
        super().__init__(folder)
        for key, value in control.items():
            self.config.set("control." + key, value)
        self.methods = Methods(self.log)
        self.methods.add("ping", lambda session: "pong")
        self.methods.add("set", lambda session: "done", writes=True)
        self.soon = []
        self.server = ControlServer()
        self.server.start(self)

    def end_turn(self):
        while self.soon:
            function, argument = self.soon.pop(0)
            function(argument)

    def connect(self, address="192.0.2.77"):
        client = FakeClient()
        client.CliAddr = (address, 40000)
        visitor = find(self.server.visitors, address, self.server.sessions, 6, self.clock.uptime_ms())
        client.session = Session(self.server, client, visitor)
        client.end_turn = self.end_turn
        self.server.sessions.append(client.session)
        return client


def ask(client, method="ping", **params):
    """Call a method, and return the answer. The same call again returns the next answer."""
    client.sent.clear()
    client.receive(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode() + b"\n")
    return json.loads(client.sent[0])


def error(client, method="ping", **params):
    found = ask(client, method, **params)
    assert "error" in found, found
    return found["error"]


def answer_challenge(client, token=TOKEN):
    return proof(token, "login", ask(client, "auth.challenge")["result"])


@pytest.fixture
def make(tmp_path):
    return lambda **control: ControlBench(tmp_path, **control)


class TestAccess:
    def test_without_a_token_only_reading_works(self, make):
        bench = make()
        client = bench.connect()
        assert ask(client)["result"] == "pong"
        assert "control.token" in error(client, "set")["message"]
        assert "control.token" in error(client, "auth.login", response="")["message"]

    def test_with_a_token_writing_needs_a_login(self, make):
        client = make(token=TOKEN).connect()
        assert error(client, "set")["code"] == -32001
        assert ask(client, "auth.login", response=answer_challenge(client))["result"] is True
        assert ask(client, "set")["result"] == "done"

    def test_a_login_is_for_its_own_connection(self, make):
        bench = make(token=TOKEN)
        client, other = bench.connect(), bench.connect()
        ask(client, "auth.login", response=answer_challenge(client))
        assert error(other, "set")["code"] == -32001

    def test_a_replayed_answer_is_refused(self, make):
        bench = make(token=TOKEN)
        client = bench.connect()
        recorded = answer_challenge(client)
        ask(client, "auth.login", response=recorded)
        again = bench.connect("192.0.2.78")
        assert "no challenge is open" in error(again, "auth.login", response=recorded)["message"]
        ask(again, "auth.challenge")
        assert "wrong" in error(again, "auth.login", response=recorded)["message"]
        assert error(again, "set")["code"] == -32001

    def test_a_nonce_is_good_for_one_answer(self, make):
        bench = make(token=TOKEN)
        client = bench.connect()
        right = answer_challenge(client)
        error(client, "auth.login", response="wrong")
        bench.advance(2)
        assert "no challenge is open" in error(client, "auth.login", response=right)["message"]

    def test_a_nonce_expires(self, make):
        bench = make(token=TOKEN)
        client = bench.connect()
        right = answer_challenge(client)
        bench.advance(31)
        assert "no challenge is open" in error(client, "auth.login", response=right)["message"]

    @pytest.mark.parametrize("wrong", ["", "0" * 64, None, 5, [], "é" * 32, TOKEN])
    def test_wrong_answers(self, make, wrong):
        client = make(token=TOKEN).connect()
        ask(client, "auth.challenge")
        assert error(client, "auth.login", response=wrong)["code"] == -32001
        assert error(client, "set")["code"] == -32001

    def test_failures_make_an_address_wait_longer_on_every_connection(self, make):
        bench = make(token=TOKEN)
        for expected in (1, 2, 4, 8):
            client = bench.connect()
            ask(client, "auth.challenge")
            assert f"try again in {expected} s" in error(client, "auth.login", response="wrong")["message"]
            other = bench.connect()
            assert "too many failures" in error(other, "auth.challenge")["message"]
            assert "result" in ask(bench.connect("192.0.2.99"), "auth.challenge")
            bench.advance(expected)
        client = bench.connect()
        assert ask(client, "auth.login", response=answer_challenge(client))["result"] is True

    def test_the_token_is_in_no_log(self, make):
        bench = make(token=TOKEN)
        client = bench.connect()
        ask(client, "auth.challenge")
        error(client, "auth.login", response=TOKEN)
        assert not any(TOKEN in text for text in bench.texts())


class Line:
    """A real connection to a listening control server."""

    def __init__(self, bench):
        bench.config.set("control.port", 0)
        bench.server.network_up(None)
        self.bench, self.pool = bench, bench.pool
        self.peer = socket.create_connection(("127.0.0.1", bench.server.port))
        self.peer.setblocking(False)
        self.received = b""
        self.ended = False

    def send(self, data, size):
        """Send `data` in pieces; the board reads each of them before the next one is sent."""
        self.peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(data), size):
            self.peer.sendall(data[start : start + size])
            self.settle()

    def settle(self):
        while self.pool.PollEvents() or self.bench.soon:
            self.bench.end_turn()

    def answers(self, count):
        """Wait for at least `count` lines, and return all lines that have arrived."""
        until(lambda: self._take() or self.ended or self.received.count(b"\n") >= count)
        return self.received.decode().splitlines()

    def end(self):
        """Return True when the board has ended the connection."""
        until(lambda: self._take() or self.ended)
        return True

    def _take(self):
        self.settle()
        try:
            got = self.peer.recv(10000)
        except BlockingIOError:
            return
        self.received += got
        self.ended = not got

    def close(self):
        self.peer.close()
        self.pool.StopWaitEvents()


class TestLines:
    @pytest.fixture
    def connect(self, make):
        lines = []

        def connect(**control):
            lines.append(Line(make(requests_per_s=1000, **control)))
            return lines[-1]

        yield connect
        for line in lines:
            line.close()

    def test_any_split_of_the_bytes(self, connect):
        data = b'{"jsonrpc":"2.0","id":1,"method":"ping"}\r\nping\n\n  \nping\n'
        for size in range(1, len(data)):
            line = connect()
            line.send(data, size)
            answers = line.answers(3)
            assert json.loads(answers[0])["result"] == "pong"
            assert answers[1:] == ["pong", "pong"]

    def test_a_line_as_long_as_allowed(self, connect):
        line = connect(line_bytes=128)
        request = b'{"jsonrpc":"2.0","id":1,"method":"ping"'
        line.send(request + b" " * (127 - len(request)) + b"}\n", 1000)
        assert json.loads(line.answers(1)[0])["result"] == "pong"

    @pytest.mark.parametrize("size", [1, 7, 128, 129, 512])
    def test_a_line_too_long_is_reported_once_and_skipped(self, connect, size):
        line = connect(line_bytes=128)
        line.send(b"x" * 1000 + b"\nping\n", size)
        answers = line.answers(2)
        assert json.loads(answers[0])["error"] == {"code": -32004, "message": "a line has at most 128 bytes"}
        assert answers[1:] == ["pong"]

    def test_invalid_json_is_reported(self, connect):
        line = connect()
        line.send(b"\x00\nping\n", 100)
        answers = line.answers(2)
        assert json.loads(answers[0])["error"]["code"] == -32700 and answers[1] == "pong"

    def test_bytes_that_are_not_text_end_the_connection_and_are_logged(self, connect):
        line = connect()
        line.send(b"ping\n\xff\xfe{}\n", 5)
        assert line.end() and line.received == b"pong\n"
        assert line.bench.texts() == ["127.0.0.1: a line is not utf-8"]

    def test_bytes_without_a_complete_line_do_not_count_as_activity(self, connect):
        line = connect(idle_s=60)
        for _ in range(6):
            line.send(b"x", 1)
            line.bench.advance(10)
        line.bench.advance(1)
        assert json.loads(line.answers(1)[0])["error"]["code"] == -32005 and line.end()

    def test_a_client_that_only_sends_gets_all_answers(self, connect):
        """Like printf ... | nc -N, it ends its sending at once, after more lines than the board answers in advance."""
        line = connect()
        line.peer.sendall(b"ping\n" * 100)
        line.peer.shutdown(socket.SHUT_WR)
        assert line.end() and line.received == b"pong\n" * 100


class TestLimits:
    def test_too_many_requests_are_refused_and_then_the_connection_is_closed(self, make):
        bench = make(requests_per_s=10)
        client = bench.connect()
        for _ in range(20):
            assert ask(client)["result"] == "pong"
        for _ in range(7):
            assert error(client)["code"] == -32002
        assert not client.closed
        assert error(client)["message"] == "at most 10 requests per second" and client.closed
        assert ask(bench.connect("192.0.2.78"))["result"] == "pong"

    def test_the_rate_counts_for_all_present_and_future_connections_of_an_address(self, make):
        bench = make(requests_per_s=10)
        for _ in range(4):
            client = bench.connect()
            assert [ask(client).get("result") for _ in range(5)] == ["pong"] * 5
            client.Close()
        assert error(bench.connect())["code"] == error(bench.connect())["code"] == -32002
        assert ask(bench.connect("192.0.2.78"))["result"] == "pong"

    def test_the_rate_recovers(self, make):
        bench = make(requests_per_s=10)
        client = bench.connect()
        for _ in range(21):
            ask(client)
        bench.advance(0.1)
        assert ask(client)["result"] == "pong"
        assert error(client)["code"] == -32002
        bench.advance(10)
        assert [ask(client).get("result") for _ in range(21)] == ["pong"] * 20 + [None]

    def test_requests_that_take_long_count_as_several(self, make):
        """Else one address could keep the board so busy that its watchdog resets it: one line may have 16 requests."""
        bench = make(token=TOKEN, requests_per_s=20)

        def slow(_session):
            bench.clock.now += 250
            return "done"

        bench.methods.add("slow", slow)
        batch = [{"jsonrpc": "2.0", "id": number, "method": "slow"} for number in range(16)]

        def served(client):
            """Return how many of the batch are served."""
            client.sent.clear()
            client.receive(json.dumps(batch).encode() + b"\n")
            return sum("result" in one for one in json.loads(client.sent[0]))

        stranger = bench.connect()
        start = bench.clock.now
        assert served(stranger) <= 8 and error(stranger)["code"] == -32002
        for _ in range(10):
            bench.advance(1)
            served(stranger)
        busy_ms = bench.clock.now - start - 10000
        assert busy_ms < 10000, "more than half of the time is the stranger's"
        owner = bench.connect("192.0.2.78")
        assert ask(owner, "auth.login", response=answer_challenge(owner))["result"] is True
        assert served(owner) == 16

    def test_an_idle_client_is_reported_and_closed(self, make):
        bench = make(idle_s=60)
        client = bench.connect()
        bench.advance(59)
        ask(client)
        bench.advance(59)
        assert not client.closed
        bench.advance(2)
        assert client.closed and json.loads(client.sent[-1])["error"]["code"] == -32005

    def test_a_client_that_gets_notifications_is_not_idle(self, make):
        bench = make(idle_s=60)
        client = bench.connect()
        for _ in range(30):
            bench.advance(10)
            client.session.notify("{}")
            client.deliver()
        assert not client.closed

    def test_no_more_is_read_from_a_client_that_reads_no_answers(self, make):
        client = make().connect()
        client.delivers = False
        for _ in range(8):
            client.receive(b"ping\n")
        assert client.receiver is None
        client.deliver()
        assert client.receiver is not None

    def test_a_client_that_reads_no_answers_gets_no_errors_for_long_lines(self, make):
        client = make().connect()
        for _ in range(100):
            client.OnLineTooLong(client)
        assert len(client.sent) == 8
        client.deliver()
        client.OnLineTooLong(client)
        assert len(client.sent) == 9

    def test_a_slow_client_misses_notifications(self, make):
        bench = make(idle_s=60)
        client = bench.connect()
        for _ in range(100):
            client.session.notify("{}")
        assert len(client.sent) == 8
        client.deliver()
        client.session.notify("{}")
        assert len(client.sent) == 9

    def test_a_session_that_ends_leaves_nothing(self, make):
        bench = make()
        clients = [bench.connect() for _ in range(5)]
        for client in clients:
            client.Close()
        assert bench.server.clients == 0 and not bench.waiting

    def test_each_request_of_a_batch_counts(self, make):
        bench = make(requests_per_s=10)
        client = bench.connect()
        batch = json.dumps([{"jsonrpc": "2.0", "id": number, "method": "ping"} for number in range(16)])
        for granted in (16, 4):
            client.sent.clear()
            client.receive(batch.encode() + b"\n")
            answers = json.loads(client.sent[0])
            assert [answer.get("result") for answer in answers].count("pong") == granted
            assert {answer["error"]["code"] for answer in answers if "error" in answer} <= {-32002}

    @pytest.mark.parametrize("line", [b"greedy\n", b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}\n'])
    def test_an_answer_without_memory_is_reported_and_the_client_is_served_further(self, make, monkeypatch, line):
        bench = make()

        def no_memory(*_):
            raise MemoryError("allocating 20000 bytes")

        bench.methods.add("greedy", lambda session: "ok")
        client = bench.connect()
        with monkeypatch.context() as patch:
            patch.setattr("firmware.control.plain._plain", no_memory)
            patch.setattr("firmware.control.session.answer", no_memory)
            client.receive(line)
        assert json.loads(client.sent[0])["error"]["code"] == -32603
        assert ask(client)["result"] == "pong"


class TestPlaces:
    """New clients while all places are taken."""

    @pytest.fixture
    def bench(self, make):
        return make(clients=4, token=TOKEN, idle_s=300)

    def come(self, bench, address):
        client = FakeClient()
        client.CliAddr = (address, 40000)
        client.end_turn = bench.end_turn
        bench.server._on_client(None, client)
        bench.end_turn()
        return client

    def test_one_address_cannot_keep_the_others_out(self, bench):
        hostile = [self.come(bench, "192.0.2.66") for _ in range(10)]
        assert [client.closed for client in hostile] == [False] * 4 + [True] * 6
        honest = [self.come(bench, f"192.0.2.{number}") for number in (1, 2, 3)]
        assert not any(client.closed for client in honest)
        assert [client.closed for client in hostile[:4]] == [True, True, True, False]
        assert json.loads(hostile[0].sent[-1])["error"]["code"] == -32003
        assert self.come(bench, "192.0.2.66").closed

    def test_addresses_that_hold_one_place_each_keep_it_for_a_while(self, bench):
        """This holds for silent clients and for those that send requests all the time."""
        early = [self.come(bench, f"192.0.2.{number}") for number in range(4)]
        for _ in range(19):
            bench.advance(1)
            ask(early[0])
        assert self.come(bench, "192.0.2.99").closed
        bench.advance(2)
        assert not self.come(bench, "192.0.2.99").closed
        assert [client.closed for client in early].count(True) == 1

    def test_time_counts_for_the_address_over_all_its_connections(self, bench):
        addresses = [f"192.0.2.{number}" for number in range(4)]
        for _ in range(3):
            hostile = [self.come(bench, address) for address in addresses]
            assert not any(client.closed for client in hostile)
            bench.advance(8)
            for client in hostile:
                client.Close()
        hostile = [self.come(bench, address) for address in addresses]
        honest = self.come(bench, "192.0.2.99")
        assert not honest.closed and [client.closed for client in hostile].count(True) == 1
        # The address that lost its place does not get the place of the address that has held one for less time.
        gone = next(client for client in hostile if client.closed)
        for _ in range(10):
            self.come(bench, gone.CliAddr[0])
        assert not honest.closed

    def test_the_time_held_is_forgotten_after_a_while(self, bench):
        held = self.come(bench, "192.0.2.1")
        bench.advance(30)
        held.Close()
        bench.advance(32 * 30)
        again = self.come(bench, "192.0.2.1")
        for number in range(2, 5):
            self.come(bench, f"192.0.2.{number}")
        assert self.come(bench, "192.0.2.99").closed and not again.closed

    def test_a_logged_in_client_stays(self, bench):
        kept = [self.come(bench, "192.0.2.77") for _ in range(4)]
        for client in kept:
            ask(client, "auth.login", response=answer_challenge(client))
        bench.advance(200)
        assert self.come(bench, "192.0.2.99").closed
        assert not any(client.closed for client in kept)

    def test_the_time_of_a_logged_in_client_does_not_count(self, bench):
        mine = self.come(bench, "192.0.2.1")
        ask(mine, "auth.login", response=answer_challenge(mine))
        bench.advance(100)
        mine.Close()
        for number in range(2, 6):
            self.come(bench, f"192.0.2.{number}")
        bench.advance(20)
        assert not self.come(bench, "192.0.2.1").closed

    def test_a_client_that_closes_slowly_keeps_nobody_out(self, bench):
        """Sessions that are closing are no longer clients, and end at once when their buffer is needed."""
        for _ in range(20):
            client = FakeClient()
            client.CliAddr = ("192.0.2.66", 40000)
            client.Close = lambda: None
            client.OnExceptionalCondition = lambda client=client: FakeClient.Close(client)
            bench.server._on_client(None, client)
            bench.end_turn()
        honest = [self.come(bench, f"192.0.2.{number}") for number in (1, 2, 3)]
        assert not any(client.closed for client in honest)
        assert bench.server.clients <= 4 + 1

    def test_a_client_for_whom_there_is_no_memory_is_closed_and_logged(self, bench, monkeypatch):
        def no_memory(*_):
            raise MemoryError("allocating 1024 bytes")

        with monkeypatch.context() as patch:
            patch.setattr("firmware.control.session.Session", no_memory)
            client = FakeClient()
            client.CliAddr = ("192.0.2.1", 40000)
            ended = []
            client.Close = lambda: ended.append(client)
            bench.server._on_client(None, client)
            bench.end_turn()
        assert ended and not bench.server.clients
        assert "192.0.2.1: MemoryError: allocating 1024 bytes" in bench.texts()
        assert not self.come(bench, "192.0.2.1").closed

    def attack(self, bench, count, seconds):
        """Let `count` addresses try to hold all places. One that has held a place for almost the allowed time passes
        it to the one that has held one least. Yield each second in which another address could connect."""
        addresses = [f"10.0.0.{number}" for number in range(count)]
        held = {}

        def time_of(address):
            visitor = bench.server.visitors.get(address)
            if not visitor:
                return 0
            visitor.pass_time(bench.clock.uptime_ms())
            return visitor.held

        for second in range(seconds):
            for address in list(held):
                if held[address].closed or time_of(address) > 18500:
                    held.pop(address).Close()
            for address in sorted(set(addresses) - set(held), key=time_of)[: 4 - len(held)]:
                held[address] = self.come(bench, address)
            yield second
            bench.advance(1)

    @pytest.mark.parametrize("count", [1, 4, 8, 32])
    def test_how_long_so_many_addresses_can_keep_another_out(self, bench, count):
        for second in self.attack(bench, count, 1000):
            honest = self.come(bench, "192.0.2.99")
            if not honest.closed:
                print(f"{count} addresses: {second} s")
                break
        assert second <= (count * 20 / (4 - count / 32) if count > 1 else 0)
        # ... and it has time to log in, whatever the attackers try.
        for _ in range(19):
            for number in range(count):
                self.come(bench, f"10.0.0.{number}")
            bench.advance(1)
            assert not honest.closed

    def test_more_than_32_addresses_keep_nobody_out_but_displace_slow_clients(self, bench):
        owner = self.come(bench, "192.0.2.1")
        ask(owner, "auth.login", response=answer_challenge(owner))
        bench.config.set("control.clients", 5)
        for second in self.attack(bench, 250, 600):
            honest = self.come(bench, "192.0.2.99")
            assert ask(owner)["result"] == "pong"
            assert len(bench.server.visitors) <= 32 + 5 + 2
            if not honest.closed:
                print(f"250 addresses: {second} s")
                break
        assert second <= 270
        kept_out = longest = 0
        for _ in range(300):  # it is served repeatedly, although a later client can replace it
            kept_out = kept_out + 1 if self.come(bench, "192.0.2.99").closed else 0
            longest = max(longest, kept_out)
            bench.advance(1)
            for number in range(50):
                self.come(bench, f"10.0.2.{number}")
            assert ask(owner)["result"] == "pong"
        print(f"250 addresses that come 50 times a second: kept out for {longest} s at a time")
        assert longest <= 30


class TestCrowd:
    """Wrong answers from many addresses."""

    @pytest.fixture
    def bench(self, make):
        return make(clients=4, token=TOKEN)

    def fail(self, bench, address):
        client = bench.connect(address)
        ask(client, "auth.challenge")
        message = error(client, "auth.login", response="wrong")["message"]
        client.Close()
        return message

    def test_the_delay_doubles_and_is_bounded(self, bench):
        waited = []
        for _ in range(11):
            seconds = int(self.fail(bench, "192.0.2.1").split()[-2])
            waited.append(seconds)
            bench.advance(seconds, step_ms=1000)
        assert waited == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]

    def test_repeated_failures_of_one_address_displace_no_other(self, bench):
        for number in range(31):
            assert self.fail(bench, f"192.0.2.{number}").endswith(" 1 s")
        bench.advance(2)
        for number in range(31):
            assert self.fail(bench, f"192.0.2.{number}").endswith(" 2 s")

    def crowd(self, bench, count=40):
        """Let `count` addresses give a wrong answer. Return how many of them could do so at once."""
        return sum("wrong token" in self.fail(bench, f"10.0.{number // 250}.{number % 250}") for number in range(count))

    def test_once_the_table_is_full_unknown_addresses_wait(self, bench):
        assert self.crowd(bench, 1000) == 32
        assert len(bench.server.visitors) <= 32 + 6

    def test_how_long_the_owner_has_to_wait(self, bench):
        self.crowd(bench)
        owner = bench.connect("192.0.2.1")
        found = ask(owner, "auth.challenge")["result"]
        assert found["wait_s"] == 10
        right = proof(TOKEN, "login", found)
        assert "10 s after" in error(owner, "auth.login", response=right)["message"]
        bench.advance(10)
        assert ask(owner, "auth.login", response=right)["result"] is True
        assert ask(owner, "auth.challenge")["result"]["wait_s"] == 0

    def test_failures_are_forgotten_after_an_hour(self, bench):
        self.crowd(bench)
        bench.advance(3605, step_ms=5000)
        assert ask(bench.connect("192.0.2.1"), "auth.challenge")["result"]["wait_s"] == 0

    def test_the_address_that_failed_most_is_remembered_longest(self, bench):
        for seconds in (1, 2, 4, 8, 16, 32, 64):
            self.fail(bench, "192.0.2.1")
            bench.advance(seconds)
        self.fail(bench, "192.0.2.1")
        self.crowd(bench, 100)
        assert "too many failures" in error(bench.connect("192.0.2.1"), "auth.challenge")["message"]


class TestToken:
    """Changing the token needs a proof of the old one on every kind of connection."""

    @pytest.fixture
    def client(self, make):
        bench = make(token=TOKEN, idle_s=86400)
        system = System()
        system.start(bench)
        client = bench.connect()
        client.bench = bench
        ask(client, "auth.login", response=answer_challenge(client))
        return client

    def token(self, client):
        return client.bench.config["control"]["token"]

    CHANGES = [
        ("config.set", {"key": "control.token", "value": "a token of mine"}),
        ("config.set", {"key": "control", "value": {"token": "a token of mine"}}),
        ("config.set", {"key": "control", "value": {}}),
        ("config.reset", {"key": "control.token"}),
        ("config.reset", {"key": "control"}),
        ("config.reset", {}),
    ]

    @pytest.mark.parametrize("method, params", CHANGES, ids=range(len(CHANGES)))
    def test_a_login_alone_changes_no_token(self, client, method, params):
        assert error(client, method, **params)["code"] == -32001
        for proof_of in (TOKEN, "0" * 64, proof("a token of mine", "token", self.challenge(client), "a token of mine")):
            assert error(client, method, proof=proof_of, **params)["code"] == -32001
        assert self.token(client) == TOKEN

    def challenge(self, client):
        client.bench.advance(300, step_ms=1000)
        ask(client)
        return ask(client, "auth.challenge")["result"]

    @pytest.mark.parametrize("method, params", CHANGES, ids=range(len(CHANGES)))
    def test_the_owner_changes_it(self, client, method, params):
        value = params.get("value", "")
        new = value if isinstance(value, str) else value.get("token", "")
        right = proof(TOKEN, "token", self.challenge(client), new)
        assert "changed" in ask(client, method, proof=right, **params)["result"]
        assert self.token(client) == new

    def test_a_proof_is_for_one_token_once(self, client):
        right = proof(TOKEN, "token", self.challenge(client), "a token of mine")
        assert error(client, "config.set", key="control.token", value="another token", proof=right)["code"] == -32001
        client.bench.advance(2)
        again = error(client, "config.set", key="control.token", value="a token of mine", proof=right)
        assert "no challenge is open" in again["message"]

    def test_the_old_token_is_valid_until_the_next_boot(self, client):
        right = proof(TOKEN, "token", self.challenge(client), "a token of mine")
        ask(client, "config.set", key="control.token", value="a token of mine", proof=right)
        other = client.bench.connect()
        assert ask(other, "auth.login", response=answer_challenge(other, TOKEN))["result"] is True
        other = client.bench.connect()
        assert error(other, "auth.login", response=answer_challenge(other, "a token of mine"))["code"] == -32001

    @pytest.mark.parametrize("key, value", [("device.name", "attic"), ("control.clients", 3), ("control.idle_s", 60)])
    def test_everything_else_needs_no_proof(self, client, key, value):
        assert "changed" in ask(client, "config.set", key=key, value=value)["result"]
        assert "changed" in ask(client, "config.reset", key=key)["result"]
