"""No change of the settings over the network locks the owner out for good: config/lockout.py, update/trial.py."""

import json
import socket

import pytest
from free_ports import free_port
from image import QUIET, merge, until
from test_update import NEW, OLD, Caller, Chip, archive, read_all, write_all

import firmware.control
from firmware import staged_files
from firmware.board import Board
from firmware.boot import start
from firmware.config import Config, ConfigError
from firmware.update import trial
from tools.board.certificate import make

TOKEN = QUIET["control"]["token"]
NO_NETWORK = {"network": {"order": ["ppp"]}, "ap": {"enabled": False}}  # on a computer, which has no modem


def settings(**sections):
    return json.dumps(merge(QUIET, sections))


def faults(client):
    return client.result("info")["config"]["faults"]


class TestImage:
    """The image as a process. Killing it corresponds to a power cut."""

    def change(self, client, **changes):
        """Log in, change settings, save them and reboot."""
        client.login()
        for key, value in changes.items():
            client.result("config.set", key=key.replace("__", "."), value=value)
        answer = client.result("config.save")
        client.result("reboot")
        return answer

    def again(self, board):
        """Start the board again, and return a client."""
        board.kill()
        return self.started(board)

    def started(self, board):
        start = len(board.output)
        board.start()
        return self.client_since(board, start)

    @staticmethod
    def client_since(board, start):
        from image import Client

        return Client(int(board.wait_for(r"^control +TCP [\d.]+:(\d+)", start).group(1)))

    def test_settings_that_cut_off_the_network_are_reverted(self, board):
        board.configure()
        before = (board.folder / "config.json").read_text()
        with self.started(board) as client:
            said = self.change(client, network__order=["ppp"], ap__enabled=False)
            assert "on trial" in said and "10 minutes" in said
        board.wait_for("network: waiting: no network is configured")
        assert json.loads((board.folder / "config.json").read_text())["network"] == {"announce": 0, "order": ["ppp"]}
        with self.again(board) as client:
            assert "nobody logged in with the new settings" in faults(client)[0]
            assert any("nobody logged in" in entry["text"] for entry in client.result("log.tail", count=50))
        assert (board.folder / "config.json").read_text() == before
        with self.again(board) as client:
            assert faults(client) == []

    def test_a_login_confirms_them(self, board):
        board.configure()
        with self.started(board) as client:
            start = len(board.output)
            self.change(client, control__requests_per_s=500)
        with self.client_since(board, start) as client:
            client.login()
            assert any(entry["text"] == "the new settings stay" for entry in client.result("log.tail", count=50))
        for _ in range(2):
            with self.again(board) as client:
                assert client.result("config.get", key="control.requests_per_s") == 500
                assert faults(client) == []

    def test_harmless_settings_need_no_login(self, board):
        board.configure()
        with self.started(board) as client:
            start = len(board.output)
            assert self.change(client, telemetry__interval_s=7) is True
        self.client_since(board, start).close()
        with self.again(board) as client:
            assert client.result("config.get", key="telemetry.interval_s") == 7

    def test_settings_on_trial_are_reverted_at_once_if_the_firmware_ends(self, board):
        board.write("config.last.json", settings())
        board.write("config.json", settings(boot={"repl": True}))
        board.write("trial.json", '{"settings": false}')
        with self.started(board) as client:
            assert "nobody logged in" in faults(client)[0]
        assert (board.folder / "config.json").read_text() == settings()

    @pytest.mark.parametrize(
        "change, said",
        [
            ({"boot__repl": True}, "boot.repl: "),
            ({"control__token": ""}, "control.token: without it nobody could log in"),
            ({"control__certificate": "none.pem"}, "control.certificate: ValueError: there is no file none.pem"),
            ({"control__certificate": "config.json", "control__key": "config.json"}, "control.certificate: "),
        ],
    )
    def test_settings_that_lock_the_owner_out_for_good_are_refused(self, board, change, said):
        board.configure()
        with self.started(board) as client:
            client.login()
            for key, value in change.items():
                proof = {"proof": client.proof("token", value)} if key == "control__token" else {}
                client.result("config.set", key=key.replace("__", "."), value=value, **proof)
            assert said in client.error("config.save")["message"]
        assert json.loads((board.folder / "config.json").read_text()) == QUIET

    def test_a_reset_to_all_defaults_is_refused_if_there_is_a_token(self, board):
        board.configure()
        with self.started(board) as client:
            client.login()
            client.result("config.reset", proof=client.proof("token", ""))
            assert "control.token" in client.error("config.save")["message"]

    def test_safe_mode_has_defaults_for_what_may_lock_out_and_shows_what_is_configured(self, board):
        board.configure(**NO_NETWORK)
        board.write("boots.json", '{"unsteady": 0, "planned": true, "safe": true}')
        with self.started(board) as client:
            assert client.result("info")["safe_mode"] == "requested"
            assert client.result("config.get", key="network.order") == ["ppp"]
            assert client.login()["result"] is True

    def test_a_file_that_cannot_be_placed_leads_to_safe_mode_and_is_given_up_there(self, board):
        board.configure(boot={"steady_s": 1})
        staging = staged_files.Staging(str(board.folder))
        for name in ("services/first.py", "services/second.py"):
            with staging.create(name) as file:
                file.write(b"class Service: pass\n")
        staging.commit()
        (board.folder / "services" / "first.py" / "x").mkdir(parents=True)
        for _ in range(3):
            with self.started(board) as client:
                info = client.result("info")
                assert info["safe_mode"] is None and info["services"]["second"] == "running"
                errors = [entry["text"] for entry in client.result("log.tail") if entry["level"] == "error"]
                assert "not in place: services/first.py is a folder on the board" in errors
                until(lambda: client.result("uptime") > 1)
            board.kill()
        with self.started(board) as client:
            assert "did not last" in client.result("info")["safe_mode"]
        assert not (board.folder / "update").exists()
        with self.again(board) as client:
            assert client.result("info")["safe_mode"] is None


class TestUpdate:
    """Settings, certificates and keys that are sent as files."""

    @pytest.fixture
    def caller(self, tmp_path):
        write_all(tmp_path, {**OLD, "config.json": settings(), "config.last.json": settings()})
        return Caller(tmp_path, Chip())

    def send(self, caller, files, delete=()):
        content = archive(files, delete)
        caller.begin("files", content)
        caller.send(content)
        return caller.call("end")

    @pytest.mark.parametrize(
        "files, said",
        [
            ({"config.json": settings(boot={"steady_s": "two"})}, "boot.steady_s: 'two' is not"),
            ({"config.json": settings(boot={"repl": True})}, "boot.repl: "),
            ({"config.json": "{}"}, "control.token: "),
            ({"config.json": "{"}, "not JSON"),
            ({"config.json": settings(control={"certificate": "none.pem"})}, "no file none.pem"),
            ({"certificate.pem": "none"}, "no file key.pem"),
            ({"certificate.pem": "none", "key.pem": "none"}, "cannot be used"),
        ],
    )
    def test_an_update_that_locks_the_owner_out_is_refused_before_anything_changes(self, caller, tmp_path, files, said):
        before = read_all(tmp_path)
        with pytest.raises(Exception, match=said):
            self.send(caller, {**files, "other.py": ""})
        staged_files.recover(str(tmp_path))
        assert read_all(tmp_path) == before and not caller.restarts

    def test_the_settings_cannot_be_deleted(self, caller):
        with pytest.raises(ConfigError, match="no token any more"):
            self.send(caller, {}, ["config.json"])

    @pytest.mark.parametrize("files, delete", [({"main.py": "print()"}, []), ({}, ["main.py"])])
    def test_main_py_of_stock_micropython_cannot_be_changed(self, caller, monkeypatch, files, delete):
        monkeypatch.setattr("firmware.boot.USER_MAIN", "user_main.py")
        with pytest.raises(ConfigError, match="main.py starts the firmware on this board; .* user_main.py"):
            self.send(caller, files, delete)
        self.send(caller, {"user_main.py": "print()"})

    def test_a_certificate_cannot_be_deleted_without_its_key(self, caller, tmp_path):
        write_all(tmp_path, {"certificate.pem": "", "key.pem": ""})
        with pytest.raises(ValueError, match="no file certificate.pem"):
            self.send(caller, {}, ["certificate.pem"])
        self.send(caller, {}, ["certificate.pem", "key.pem"])

    def test_settings_that_may_lock_out_are_on_trial(self, caller, tmp_path):
        self.send(caller, {"config.json": settings(**NO_NETWORK)})
        assert json.loads((tmp_path / "trial.json").read_text()) == {"settings": False}

    def test_other_settings_are_not_on_trial(self, caller, tmp_path):
        self.send(caller, {"config.json": settings(telemetry={"port": 9000}), **{"main.py": NEW["main.py"]}})
        assert not (tmp_path / "trial.json").exists()


class TestTrial:
    """The trial of settings, on a clock that the test sets."""

    @pytest.fixture
    def bench(self, tmp_path):
        from fakes import Bench

        bench = Bench(tmp_path)
        bench.restarts = 0
        bench.restart_later = lambda: setattr(bench, "restarts", bench.restarts + 1)
        write_all(tmp_path, {"config.json": settings(**NO_NETWORK), "config.last.json": settings()})
        trial.announce(bench.board, "settings", False)
        return bench

    def booted(self, bench):
        bench.board = Board(object(), object(), object(), bench.board.files)
        fault = trial.begin(bench.board, bench.log, False)
        bench.config = Config(bench.board, bench.log)
        bench.config.load()
        return fault

    def test_without_a_login_the_board_restarts_with_the_old_settings(self, bench, tmp_path):
        assert self.booted(bench) is None and bench.config["network"]["order"] == ["ppp"]
        assert (tmp_path / "config.last.json").read_text() == settings()
        trial.watch(bench)
        bench.advance(trial.LOGIN_S - 1, step_ms=1000)
        assert not bench.restarts
        bench.advance(2)
        assert bench.restarts == 1
        assert "nobody logged in" in self.booted(bench)
        assert bench.config["network"]["order"] != ["ppp"] and not (tmp_path / "trial.json").exists()
        assert self.booted(bench) is None

    def test_with_a_login_the_new_settings_stay(self, bench, tmp_path):
        self.booted(bench)
        trial.watch(bench)
        trial.keep_settings(bench)
        bench.advance(trial.LOGIN_S + 1, step_ms=1000)
        assert not bench.restarts and not (tmp_path / "trial.json").exists()
        assert (tmp_path / "config.last.json").read_text() == settings(**NO_NETWORK)

    def test_unchanged_settings_are_not_on_trial(self, bench, tmp_path):
        (tmp_path / "config.json").write_text(settings())
        assert self.booted(bench) is None and not bench.board.settings_on_trial
        assert not (tmp_path / "trial.json").exists()

    @pytest.mark.parametrize("damaged", [b"\xff\xfe{", b"\0", b"\xe9", b"{", b" " * 20000], ids=range(5))
    def test_a_damaged_copy_is_made_anew(self, bench, tmp_path, damaged):
        """It is nothing to go back to. The settings in use become the copy, although they were on trial."""
        (tmp_path / "config.last.json").write_bytes(damaged)
        for _ in range(2):
            assert self.booted(bench) is None
            assert bench.config["network"]["order"] == ["ppp"]
        assert (tmp_path / "config.last.json").read_text() == settings(**NO_NETWORK)
        assert not (tmp_path / "trial.json").exists() and not bench.texts()

    def test_safe_mode_tries_no_settings(self, bench, tmp_path):
        """It does not use those that may lock out, so a login there confirms nothing."""
        assert trial.begin(bench.board, bench.log, True) is None and not bench.board.settings_on_trial
        assert self.booted(bench) is None and bench.board.settings_on_trial

    def test_an_image_and_settings_are_on_trial_independently(self, bench, tmp_path):
        trial.announce(bench.board, "partition", "ota_1")
        trial.drop(bench.board, "partition")
        assert json.loads((tmp_path / "trial.json").read_text()) == {"settings": False}

    def test_a_truncated_record_is_ignored(self, bench, tmp_path):
        for text in ("", "{", "[]", "5", '{"settings": 7}', '{"partition": 5}'):
            (tmp_path / "trial.json").write_text(text)
            self.booted(bench)

    def test_with_settings_on_trial_a_held_button_does_not_lead_to_the_repl(self, bench, tmp_path):
        class Pin:
            IN, PULL_UP = 0, 1

            def __init__(self, *_):
                pass

            def value(self):
                return 0

        (tmp_path / "config.json").write_text(settings(boot={"button": 5}))
        bench.board.machine = type("Machine", (), {"Pin": Pin})
        bench.config.load()
        assert start.escape(bench.board, bench.config) is None
        assert "nobody logged in" in self.booted(bench) and bench.config["boot"]["button"] is None


def test_safe_mode_uses_the_default_port_if_the_configured_one_is_taken(tmp_path, collector, monkeypatch):
    from test_app import RunningApp

    with socket.socket() as taken, socket.socket() as free:
        for one in (taken, free):
            one.bind(("0.0.0.0", free_port()))
        taken.listen()
        default = free.getsockname()[1]
        monkeypatch.setattr(firmware.control, "_DEFAULT_PORT", default)
        running = RunningApp(tmp_path, collector, control__port=taken.getsockname()[1])
        running.app.safe_reason = "a test"
        free.close()
        running.turn_until(lambda: running.control.port == default)
        running.app.end()


def test_the_certificate_is_read_from_the_boards_folder(tmp_path, collector):
    """The board's folder is not always the current folder."""
    from test_app import RunningApp

    certificate, key = make(["kitchen"], 10)
    (tmp_path / "certificate.pem").write_bytes(certificate)
    (tmp_path / "key.pem").write_bytes(key)
    running = RunningApp(tmp_path, collector)
    running.turn_until(lambda: running.control.port)
    assert running.control.tls
    running.app.end()
