"""The boot from reset to the main loop, with escape, safe mode, reboot and watchdog: firmware/boot/."""

import json

import pytest
from fakes import FakeClock
from image import until

from firmware import boot
from firmware.board import Board
from firmware.boot import start
from XAsyncSockets import XAsyncSocketsPool

SLOW = {"steady_s": 3600}


def read_record(board):
    try:
        return json.loads((board.folder / "boots.json").read_text())
    except ValueError:  # the file is being written
        return {"unsteady": None}


class TestImage:
    @pytest.mark.parametrize("how", ["file", "config"])
    def test_the_escape_leads_to_the_repl(self, board, how):
        board.configure(boot={"repl": how == "config"})
        if how == "file":
            board.write("repl", "")
        board.start()
        assert board.wait() == 0
        assert "the firmware does not start" in board.text and "network" not in board.text

    def test_three_failed_boots_lead_to_safe_mode_with_a_reason(self, board):
        board.configure(boot=SLOW)
        board.write("services/mine.py", "print('mine: loaded')\nclass Service: pass\n")
        for _ in range(3):
            start = len(board.output)
            board.start()
            board.wait_for("control    TCP", start)
            assert "mine: loaded\n" in board.output[start:]
            board.kill()
        start = len(board.output)
        board.start()
        board.wait_for("control    TCP", start)
        assert "mine: loaded\n" not in board.output[start:]
        with self.client_of(board, start) as client:
            info = client.result("info")
            assert "the last 3 boots did not last" in info["safe_mode"]
            assert info["services"] == dict.fromkeys(
                ["announce", "control", "http", "system"], "running"
            )
            assert client.error("telemetry.get")["code"] == -32601
            assert client.result("net.status")["state"] == "up"
        board.kill()
        start = len(board.output)
        board.start()
        with self.client_of(board, start) as client:
            assert client.result("info")["safe_mode"] is None

    @pytest.mark.parametrize(
        "source, last",
        [
            ("import os\nos.system('kill -9 $PPID')\n", "services: boom.py"),
            ("import sys\nsys.exit()\n", "services: boom.py"),
            ("class Service:\n def start(self, app):\n  import os\n  os.system('kill -9 $PPID')\n", "boom: start"),
            ("class Service:\n tick_s = 0\n def tick(self):\n  import sys\n  sys.exit()\n", "boom: tick"),
        ],
    )
    def test_safe_mode_names_the_failing_step_and_has_the_log_of_the_failed_boots(self, board, source, last):
        board.configure(boot=SLOW)
        board.write("services/a.py", "class Service: pass\n")
        board.write("services/boom.py", source)
        while "SAFE MODE" not in board.text:
            board.start()
            until(lambda: "SAFE MODE" in board.text or board.ended)
        start = [index for index, line in enumerate(board.output) if "SAFE MODE" in line][0]
        with self.client_of(board, start) as client:
            assert client.result("info")["safe_mode"] == f"the last 3 boots did not last; last step: {last}"
            log = [entry["text"] for entry in client.result("log.tail", count=100)]
            assert any("boot: XAsyncSockets firmware" in text for text in log), log

    @staticmethod
    def client_of(board, start):
        from image import Client

        return Client(int(board.wait_for(r"^control +TCP [\d.]+:(\d+)", start).group(1)))

    def test_a_good_boot_does_not_count_as_failed(self, board):
        board.configure(boot=SLOW)
        board.start()
        board.wait_for("control    TCP")
        assert read_record(board)["unsteady"] == 1
        board.kill()
        board.configure(boot={"steady_s": 1})
        board.start()
        until(lambda: read_record(board)["unsteady"] == 0)

    def test_a_boot_ended_on_purpose_does_not_count_as_failed(self, board):
        board.configure(boot=SLOW)
        for _ in range(4):
            start = len(board.output)
            board.start()
            board.wait_for("control    TCP", start)
            board.interrupt()
            assert board.wait() == 0
        assert "SAFE MODE" not in board.text

    def test_reboot_and_safe_mode_on_request(self, board):
        board.start()
        with board.client() as client:
            client.login()
            start = len(board.output)
            assert client.result("safe_mode") is True
            assert client.line() == ""
        with self.client_of(board, start) as client:
            assert client.result("info")["safe_mode"] == "requested"
            client.login()
            start = len(board.output)
            assert client.result("reboot") is True
        with self.client_of(board, start) as client:
            assert client.result("info")["safe_mode"] is None
        board.interrupt()
        assert board.wait() == 0

    def test_a_bad_configuration_boots_and_is_reported(self, board):
        board.write("config.json", '{"control": {"port": 0}, "telemetry": {"interval_s": 0')
        board.write("config.last.json", '{"control": {"port": 0}}')
        board.start()
        board.wait_for("config: error: config.json: not JSON")
        with board.client() as client:
            config = client.result("info")["config"]
            assert config["source"] == "config.last.json" and "not JSON" in config["faults"][0]

    def test_a_board_whose_files_cannot_be_written(self, board, tmp_path):
        board.configure()
        (tmp_path / "boots.json").mkdir()
        (tmp_path / "config.last.json").mkdir()
        board.start()
        with board.client() as client:
            assert client.result("ping") == "pong"


class Watchdog:
    made = []

    def __init__(self, timeout):
        self.timeout = timeout
        self.feeds = 0
        Watchdog.made.append(self)

    def feed(self):
        self.feeds += 1


class Machine:
    """A chip with a watchdog."""

    WDT_RESET = 3
    cause = 1
    WDT = Watchdog

    @classmethod
    def reset_cause(cls):
        return cls.cause

    @staticmethod
    def unique_id():
        return b"\x01\x02\x03"


class FakeApp:
    """Replaces the firmware between boot and end. The test's function `during` runs instead."""

    during = None
    failure = None

    def __init__(self, board, config, log, clock, safe_reason):
        self.board, self.config, self.log, self.clock, self.safe_reason = board, config, log, clock, safe_reason
        self.pool = XAsyncSocketsPool()
        self.pool.OnException = lambda socket, error: pytest.fail(repr(error))

    def run(self):
        try:
            return FakeApp.during(self)
        except AssertionError as error:  # an error of the test, which run() would report as an error of the firmware
            FakeApp.failure = error
            return "failed"

    def live(self, seconds):
        for _ in range(seconds):
            self.clock.now += 1000
            self.pool.PollEvents()
            self.board.feed_watchdog()


class TestRun:
    @pytest.fixture(autouse=True)
    def a_board(self, tmp_path, monkeypatch):
        Watchdog.made = []
        monkeypatch.setattr(Machine, "cause", 1)
        monkeypatch.setattr("firmware.app.App", FakeApp)
        self.folder = tmp_path

    def configure(self, **values):
        (self.folder / "config.json").write_text(json.dumps({"boot": values}))

    def run(self, during):
        FakeApp.during, FakeApp.failure = during, None
        board = Board(network=object(), machine=Machine, support=object(), files=str(self.folder))
        outcome = boot.run(board, FakeClock())
        if FakeApp.failure:
            raise FakeApp.failure
        return outcome

    def reasons(self, count, during):
        """Return for each of `count` boots why it was in safe mode, or None."""
        found = []

        def note(app):
            found.append(app.safe_reason)
            return during(app)

        for _ in range(count):
            self.run(note)
        return found

    def test_firmware_errors_lead_to_reboots_and_then_to_safe_mode(self):
        assert self.run(lambda app: 1 / 0) == boot.REBOOT
        found = self.reasons(3, lambda app: 1 / 0)
        assert found[:2] == [None, None] and found[2]

    def test_after_safe_mode_three_boots_are_tried_again(self):
        assert [bool(reason) for reason in self.reasons(8, lambda app: 1 / 0)] == [False, False, False, True] * 2

    def test_an_end_on_purpose_clears_the_count_of_failed_boots(self):
        self.reasons(2, lambda app: 1 / 0)
        self.run(lambda app: "done")
        assert self.reasons(3, lambda app: 1 / 0) == [None] * 3

    def test_an_error_in_safe_mode_leads_to_the_repl(self):
        self.reasons(3, lambda app: 1 / 0)
        assert self.run(lambda app: 1 / 0) == boot.ENDED

    def test_without_a_record_of_boots_a_firmware_error_leads_to_the_repl(self):
        (self.folder / "boots.json").mkdir()
        assert self.run(lambda app: 1 / 0) == boot.ENDED

    def test_sys_exit_in_a_users_file_counts_as_a_failed_boot(self):
        def leave(app):
            raise SystemExit

        assert self.run(leave) == boot.REBOOT
        assert self.reasons(3, leave)[2]

    def test_outcomes(self):
        assert self.run(lambda app: "reboot") == boot.REBOOT
        assert self.run(lambda app: "safe mode") == boot.REBOOT
        assert self.reasons(1, lambda app: "done") == ["requested"]
        assert self.run(lambda app: "done") == boot.ENDED

    def test_the_watchdog_starts_after_a_good_boot_and_is_fed(self):
        self.configure(watchdog_s=8, steady_s=30)

        def during(app):
            app.live(29)
            assert not Watchdog.made
            app.live(10)
            assert [watchdog.timeout for watchdog in Watchdog.made] == [8000]
            assert Watchdog.made[0].feeds >= 9
            return "done"

        self.run(during)

    @pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
    def test_the_watchdog_stops_with_the_repl(self, error):
        """It stops after Ctrl-C. It also stops if the firmware fails and does not restart, because nothing can be
        recorded.
        """
        self.configure(watchdog_s=8, steady_s=30)
        boards = []
        if error is ZeroDivisionError:
            (self.folder / "boots.json").mkdir()

        def during(app):
            app.live(40)
            boards.append(app.board)
            assert app.board.watchdog_s == 8
            raise error

        assert self.run(during) == boot.ENDED
        assert boards[0].watchdog_s == 0

    def test_no_watchdog_without_configuration_nor_in_safe_mode(self):
        self.run(lambda app: app.live(100) or "safe mode")
        self.configure(watchdog_s=8)
        self.run(lambda app: app.live(100) or "done")
        assert not Watchdog.made

    def test_watchdog_resets_after_good_boots_lead_to_safe_mode(self):
        """The count is not cleared after 30 s if the watchdog caused the last reset."""
        self.configure(watchdog_s=8, steady_s=30)

        def reset_by_watchdog(app):
            app.live(60)
            raise KeyError("stands for the reset") from None

        Machine.cause = 3
        assert self.reasons(5, reset_by_watchdog)[3] is not None

    def test_a_planned_reboot_is_not_taken_for_a_watchdog_reset(self):
        """On RP2 the watchdog does machine.reset(), and reset_cause() reports the watchdog."""
        Machine.cause = 3
        self.run(lambda app: "reboot")
        self.configure(steady_s=30)

        def during(app):
            app.live(40)
            assert json.loads((self.folder / "boots.json").read_text())["unsteady"] == 0
            return "reboot"

        self.run(during)

    def test_a_board_without_a_watchdog_is_reported(self, monkeypatch):
        self.configure(watchdog_s=8, steady_s=30)
        told = []

        def during(app):
            app.live(40)
            told.append("this board has no watchdog" in [entry["text"] for entry in app.log.tail()])
            return "done"

        self.run(during)
        monkeypatch.delattr(Machine, "WDT")
        self.run(during)
        assert told == [False, True]

    def test_an_image_that_was_rolled_back_is_noticed(self):
        (self.folder / "trial.json").write_text('{"partition": "ota_1"}')
        found = []
        self.run(lambda app: found.append(app.board.last_update) or "done")
        assert found == ["went back"] and not (self.folder / "trial.json").exists()

    def test_a_reboot_resets_the_board(self, monkeypatch):
        outcomes = [boot.REBOOT, boot.REBOOT, boot.ENDED]
        resets = []
        board = type("Board", (), {"reset": lambda self: resets.append(len(outcomes))})
        monkeypatch.setattr(boot, "_boot", lambda: outcomes.pop(0))
        monkeypatch.setattr(boot, "Board", board)
        monkeypatch.setattr(boot.time, "sleep", lambda seconds: None)
        boot.main()
        assert resets == [2, 1]

    def test_a_truncated_record_is_ignored(self):
        record = '{"unsteady": %s, "planned": 1, "safe": 0}'
        for text in ("", "{", '{"unsteady": "x"}', "[]", record % "null", record % "1e999"):
            (self.folder / "boots.json").write_text(text)
            assert self.reasons(1, lambda app: "done") == [None]


class TestEscape:
    class Pin:
        IN, PULL_UP = 0, 1
        level = 0

        def __init__(self, number, mode, pull):
            if number == 99:
                raise ValueError("invalid pin")

        def value(self):
            return self.level

    def reason(self, tmp_path, button):
        from fakes import Bench

        class Machine:
            Pin = self.Pin

        bench = Bench(tmp_path, machine=Machine)
        bench.config.set("boot.button", button)
        return start.escape(bench.board, bench.config)

    def test_a_button_held_down(self, tmp_path):
        assert "pin 5" in self.reason(tmp_path, 5)

    def test_a_button_not_held(self, tmp_path, monkeypatch):
        monkeypatch.setattr(self.Pin, "level", 1)
        assert self.reason(tmp_path, 5) is None

    def test_a_missing_pin_is_ignored(self, tmp_path):
        assert self.reason(tmp_path, 99) is None
