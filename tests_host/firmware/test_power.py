"""Whatever ends a change of a board, and at whichever operation, the next boots find the old state or the new one.

The changes: an update of files, saved settings, a trial of settings, a login that confirms them, the button that
unclaims. Each is ended at every operation of the flash (the power fails), and at every call that changes the filesystem
(it raises ENOSPC, or Ctrl-C ends the firmware there), and each is tried on flashes that are full.
"""

import json
from collections import Counter
from types import SimpleNamespace

import pytest
from fakes import FakeClock
from flash import Flash
from image import QUIET, merge
from test_update import archive

from firmware import hardware
from firmware.board import Board
from firmware.boot import start
from firmware.boot.unclaim import UnclaimButton
from firmware.config import lockout
from firmware.update import service, trial

TOKEN = QUIET["control"]["token"]
TAGS = {"tags": ["room=" + "x" * 50] * 4}  # the settings take a block of the flash


def settings(name, **sections):
    return merge({"control": {"token": TOKEN}, "device": {"name": name, **TAGS}}, sections)


OLD = settings("old")
NEW = settings("new")
RISKY = settings("new", network={"order": ["ppp"]})  # these cut the board off
OLD_FILES = {"lib/a.py": "old", "b.py": "old b" * 50, "gone.py": "old"}
NEW_FILES = {"lib/a.py": "new", "b.py": "new b" * 90, "made/d.py": "new"}
FREE = range(9)  # blocks of a flash that is almost full
LIVES = 3  # boots after a change
LEFT_BEHIND = {"boots.json", "boots.log", "filler", "config.json.new", "config.last.json.new", "trial.json.new"}


class Machine:
    class Pin:
        IN = PULL_UP = 0

    def WDT(self, timeout):
        return SimpleNamespace(feed=int)


class Life:
    """One boot that lasts. The flash has to be running."""

    def __init__(self):
        self.board = Board(object(), Machine(), object(), "/")
        self.restarts = 0
        assert start.reason_for_repl(self.board) is None
        self.this = start.begin(self.board, FakeClock(), None)
        self.config, self.log, self.safe_reason = self.this.config, self.this.log, self.this.safe_reason
        start.is_steady(self, self.this)

    def restart_later(self):
        self.restarts += 1

    def end(self):
        start.ended(self.this, "reboot")

    @property
    def texts(self):
        return [entry["text"] for entry in self.log.tail(50)]


def update(given=None):
    """Return the change: an update of files, with new settings among them."""

    def change(life):
        target = service.FilesTarget("/")
        data = archive({**NEW_FILES, **({"config.json": json.dumps(given)} if given else {})}, ["gone.py"])
        try:
            for at in range(0, len(data), 700):
                target.write(data[at : at + 700])
            target.check()
            lockout.check_files(life, target.staging)
            target.commit()
        except Exception:
            target.abort()
            raise

    return change


def save(given):
    return lambda life: lockout.save(life.config, given, life.board, life.log)


def log_in(life):
    if life.board.settings_on_trial:
        trial.keep_settings(life)


def unclaim(life):
    button = UnclaimButton()
    button._app = life
    button._unclaim()
    if not life.restarts:
        raise OSError(life.texts[-1])


def new_board(*steps):
    """Return the flash of a board on which these changes were made, each in a boot of its own."""
    flash = Flash()

    def begin():
        flash.mkdir("lib")
        for name, text in {"config.json": json.dumps(OLD), **OLD_FILES}.items():
            with flash.open(name, "w") as file:
                file.write(text)

    assert flash.run(begin)
    for step in (lambda life: None, *steps):
        flash = flash.copy()
        assert flash.run(lambda: lived(flash, step))
    return flash.copy()


def lived(flash, change, **fault):
    """Boot, change something, end. The fault is in the change."""
    life = Life()
    flash.arm(**fault)
    try:
        change(life)
    finally:
        flash.arm()
    life.end()


def booted(flash, change, **fault):
    """The same; the fault is in the boot or in what follows."""
    flash.arm(**fault)
    life = Life()
    change(life)
    life.end()


def raised(flash, live, change, **fault):
    """Run it, and return what it raised, or None. A power cut is nothing that the program sees."""
    found = []

    def run():
        try:
            live(flash, change, **fault)
        except (OSError, KeyboardInterrupt) as error:
            found.append(error)

    flash.run(run)
    return found[0] if found else None


class After:
    """What the next boots find: the settings, the files, and what the log says."""

    def __init__(self, flash):
        self.settings, self.texts, self.tokens = [], [], []
        for _ in range(LIVES):
            flash = flash.copy()
            assert flash.run(self.live)
        found = flash.files()
        self.secrets = [name for name, text in found.items() if TOKEN in text]
        self.files = self.kind({name: found.pop(name) for name in {**OLD_FILES, **NEW_FILES} if name in found})
        assert found.keys() - LEFT_BEHIND <= {"config.json", "config.last.json"}

    @staticmethod
    def kind(found):
        new = {**OLD_FILES, **NEW_FILES}
        del new["gone.py"]
        assert found in (OLD_FILES, new), f"a mixture: {found.keys()}"
        return "old" if found == OLD_FILES else "new"

    def live(self):
        life = Life()
        on_trial = life.board.settings_on_trial
        self.settings.append(life.config["device"]["name"] + (" on trial" if on_trial else ""))
        self.tokens.append(life.config["control"]["token"])
        self.texts += life.texts
        assert not life.safe_reason
        life.end()

    @property
    def state(self):
        return self.files, *self.settings


def at_every_operation(board, change, live=lived):
    """Yield (how it ended, what it raised, what follows) for a fault at each operation of the change, and for none."""
    for how, fault in (("cut_at", {}), ("fail_at", {}), ("fail_at", {"raises": KeyboardInterrupt()})):
        for number in range(1000):
            flash = board.copy()
            error = raised(flash, live, change, **{how: number}, **fault)
            yield how if flash.struck else "no fault", error, After(flash)
            if not flash.struck:
                break


def on_full_flashes(board, change):
    """Yield (what it raised, what follows) for flashes with few free blocks."""
    for free in FREE:
        flash = board.copy()
        flash.fill(free)
        error = raised(flash, lived, change)
        yield error, After(flash)


UNCHANGED = ("old", "old", "old", "old")
REVERTED = ("new on trial", "old", "old")


@pytest.mark.parametrize(
    "change, done",
    [
        (update(), ("new", "old", "old", "old")),
        (update(NEW), ("new", "new", "new", "new")),
        (update(RISKY), ("new", *REVERTED)),
        (save(NEW), ("old", "new", "new", "new")),
        (save(RISKY), ("old", *REVERTED)),
    ],
    ids=["files", "files and settings", "files and risky settings", "settings", "risky settings"],
)
class TestChange:
    def test_it_is_done_or_not(self, change, done):
        board = new_board()
        found = Counter()
        for how, error, after in at_every_operation(board, change):
            assert after.state in (UNCHANGED, done)
            if how != "cut_at" and not isinstance(error, KeyboardInterrupt):
                assert after.state == (UNCHANGED if error else done)
            self.check_texts(after, done)
            found[how] += 1
        assert found["cut_at"] > 3 and found["fail_at"] > 3

    def test_on_a_full_flash(self, change, done):
        found = Counter()
        for error, after in on_full_flashes(new_board(), change):
            assert after.state == (UNCHANGED if error else done)
            self.check_texts(after, done)
            found[after.state] += 1
        assert len(found) == 2, found

    @staticmethod
    def check_texts(after, done):
        """The log says what happened, once."""
        said = [text.split(":")[0].split(";")[0] for text in after.texts]
        expected = []
        if after.files == "new":
            expected.append("in place")
        elif "not completed" in said:
            assert done[0] == "new"
            expected.append("not completed")
        if after.settings == list(REVERTED):
            expected.append("config.json")  # nobody logged in
        assert said == expected


def test_a_boot_that_places_files():
    """A call that fails there is repeated by the next boot."""
    board = new_board(update(RISKY))
    for _, _, after in at_every_operation(board, has_a_way_in, booted):
        assert after.files == "new" and after.settings in (list(REVERTED), ["old", "old", "old"])


def has_a_way_in(life):
    assert life.board.settings_on_trial or life.config["network"]["order"] != ["ppp"]


def test_a_boot_that_begins_a_trial():
    board = new_board(save(RISKY))
    for _, _, after in at_every_operation(board, has_a_way_in, booted):
        assert after.settings in (list(REVERTED), ["old", "old", "old"])


def save_and_announce_an_image(life):
    save(RISKY)(life)
    trial.announce(life.board, "partition", "ota_1")


@pytest.mark.parametrize("running", ["ota_0", "ota_1"])
def test_a_boot_with_an_image_and_settings_on_trial(running, monkeypatch):
    """One ends without the other, whether the new image runs or the bootloader went back."""
    monkeypatch.setattr(hardware, "running_partition", lambda board: running)
    for _, _, after in at_every_operation(new_board(save_and_announce_an_image), has_a_way_in, booted):
        assert after.settings in (list(REVERTED), ["old", "old", "old"])


def test_settings_saved_during_an_update_are_kept_without_it():
    def change(life):
        service.FilesTarget("/").write(archive(NEW_FILES)[:1500])
        save(NEW)(life)

    for how, error, after in at_every_operation(new_board(), change):
        assert after.state in (UNCHANGED, ("old", "new", "new", "new"))
        if how != "cut_at" and not error:
            assert after.settings == ["new", "new", "new"]


@pytest.mark.parametrize("free", FREE)
def test_a_trial_on_a_full_flash(free):
    board = new_board(save(RISKY))
    board.fill(free)
    after = After(board)
    assert after.settings == list(REVERTED)


def test_a_boot_that_ends_a_trial():
    board = new_board(save(RISKY), has_a_way_in)
    for _, _, after in at_every_operation(board, has_a_way_in, booted):
        assert after.settings == ["old", "old", "old"]


@pytest.mark.parametrize("free", FREE)
def test_the_end_of_a_trial_on_a_full_flash(free):
    board = new_board(save(RISKY), has_a_way_in)
    board.fill(free)
    assert After(board).settings == ["old", "old", "old"]


def test_a_login_confirms_settings_or_not():
    board = new_board(save(RISKY))
    for how, error, after in at_every_operation(board, log_in):
        assert after.settings in (["new", "new", "new"], ["old", "old", "old"])
        if how != "cut_at" and not error:
            assert after.settings == ["new", "new", "new"]


@pytest.mark.parametrize("before", [[], [save(RISKY)]], ids=["", "during a trial"])
class TestUnclaim:
    def test_it_is_done_or_not(self, before):
        found = Counter()
        for how, error, after in at_every_operation(new_board(*before), unclaim):
            self.check(after)
            if how != "cut_at" and not error:
                assert not any(after.tokens)
            found[bool(after.secrets)] += 1
        assert len(found) == 2

    def test_on_a_full_flash(self, before):
        for error, after in on_full_flashes(new_board(*before), unclaim):
            assert not error and not any(after.tokens)
            self.check(after)

    @staticmethod
    def check(after):
        assert after.tokens in ([TOKEN] * LIVES, [""] * LIVES)
        assert bool(after.secrets) == bool(after.tokens[0])
