"""Updates over the network: firmware/update/, firmware/staged_files.py, firmware/update/tar.py."""

import base64
import hashlib
import io
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from fakes import Bench
from flash import Flash
from image import IMAGE, PATIENCE_S, QUIET, image_environment, proof

from firmware import staged_files
from firmware.control import Methods
from firmware.control.access import challenge
from firmware.control.jsonrpc import RpcError, _bind
from firmware.control.session import find
from firmware.staged_files import Staging, recover
from firmware.update import service, trial
from firmware.update.tar import TarReader

OLD = {"main.py": "old main", "lib/app.py": "old app " * 200, "config.json": "{}", "kept.txt": "kept"}
NEW = {"main.py": "new main", "lib/app.py": "new app " * 300, "config.json": '{"device": {}}', "services/new.py": "new"}
GONE = "services/gone.py"  # the update in the tests of power cuts deletes it
BEFORE = {**OLD, GONE: "old"}
TOKEN = QUIET["control"]["token"]


def archive(files, delete=(), **options):
    """Return a tar archive like the one that tools/board sends."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in delete:
            entry = tarfile.TarInfo(name)
            entry.type = b"R"
            tar.addfile(entry)
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            for key, value in options.items():
                setattr(entry, key, value)
            tar.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


def write_all(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def read_all(folder):
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


class TestTar:
    def read(self, data, piece):
        files, closed, deleted = {}, [], []

        def create(name):
            files[name] = io.BytesIO()
            files[name].close = lambda: closed.append(name)
            return files[name]

        reader = TarReader(create, deleted.append)
        for start in range(0, len(data), piece):
            reader.write(data[start : start + piece])
        assert closed == list(files)[: len(closed)] and len(closed) >= len(files) - (not reader.complete)
        return {name: file.getvalue().decode() for name, file in files.items()}, reader.complete

    @pytest.mark.parametrize("piece", [1, 511, 512, 513, 100000])
    def test_pieces_of_any_length(self, piece):
        files = {**NEW, "empty": "", "exact": "x" * 512, "a/" * 60 + "long": "a name of two fields"}
        assert self.read(archive(files), piece) == (files, True)

    def test_a_truncated_archive(self):
        assert self.read(archive(NEW)[:2048], 512)[1] is False

    def test_data_after_the_end_is_ignored(self):
        assert self.read(archive(NEW) + b"x" * 700, 512) == (NEW, True)

    def test_folders_are_ignored(self):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            entry = tarfile.TarInfo("folder")
            entry.type = tarfile.DIRTYPE
            tar.addfile(entry)
        assert self.read(buffer.getvalue(), 512) == ({}, True)

    @pytest.mark.parametrize(
        "data", [b"x" * 512, b"0" * 512, archive(NEW).replace(b"main.py", b"mail.py")], ids=["text", "zeros", "damaged"]
    )
    def test_data_that_is_not_an_archive(self, data):
        with pytest.raises(ValueError, match="not a tar archive"):
            self.read(data, 512)

    def test_a_link_is_refused(self):
        with pytest.raises(ValueError, match="x is not a plain file"):
            self.read(archive({"x": ""}, type=tarfile.SYMTYPE), 512)


class TestStagedFiles:
    @pytest.mark.parametrize(
        "name", ["/etc/passwd", "../x", "a/../../x", "a//b", "", ".", "update/files", "a\nb", "repl", "repl/x"]
    )
    def test_names_outside_of_the_folder(self, tmp_path, name):
        with pytest.raises(ValueError):
            Staging(str(tmp_path)).create(name)

    def test_nothing_changes_before_the_next_boot(self, tmp_path):
        write_all(tmp_path, OLD)
        stage(tmp_path)
        assert OLD.items() <= read_all(tmp_path).items()
        assert recover(str(tmp_path)) == "in place: " + ", ".join(NEW)
        assert read_all(tmp_path) == {**OLD, **NEW}
        assert recover(str(tmp_path)) is None

    def test_an_unfinished_update_is_gone_after_the_next_boot(self, tmp_path):
        write_all(tmp_path, OLD)
        with Staging(str(tmp_path)).create("main.py") as file:
            file.write(b"half")
        assert recover(str(tmp_path)) == "not completed: nothing is changed"
        assert read_all(tmp_path) == OLD
        assert recover(str(tmp_path)) is None

    @pytest.mark.parametrize(
        "names, words",
        [
            (["services"], "services is a folder on the board"),
            (["kept.txt/a/b.py"], "kept.txt is a file on the board"),
            (["a", "a/b"], "a/b and a take the same place"),
            (["a/b/c", "a"], "a and a/b/c take the same place"),
            (["a", "a"], "a and a take the same place"),
        ],
    )
    def test_a_name_that_is_taken_is_refused(self, tmp_path, names, words):
        write_all(tmp_path, {**OLD, "services/old.py": ""})
        staging = Staging(str(tmp_path))
        with pytest.raises(ValueError, match=words):
            for name in names:
                staging.create(name).close()

    @pytest.mark.parametrize(
        "names, words",
        [
            (["no.py"], "no.py: there is no such file"),
            (["lib"], "lib is a folder"),
            (["../x"], "not a valid name"),
            (["kept.txt"] * 2, "kept.txt and kept.txt take"),
        ],
    )
    def test_a_wrong_name_cannot_be_deleted(self, tmp_path, names, words):
        write_all(tmp_path, OLD)
        staging = Staging(str(tmp_path))
        with pytest.raises(ValueError, match=words):
            for name in names:
                staging.delete(name)

    def test_names_with_a_common_beginning_are_different(self, tmp_path):
        stage(tmp_path, {"a": "1", "a.b": "2", "ab/a": "3", "a-/a": "4"})
        recover(str(tmp_path))
        assert len(read_all(tmp_path)) == 4

    def test_a_file_that_cannot_be_placed_does_not_block_the_others(self, tmp_path):
        """A folder with its name was made between the commit and the boot."""
        write_all(tmp_path, OLD)
        stage(tmp_path)
        (tmp_path / "services" / "new.py" / "x").mkdir(parents=True)
        for _ in range(2):
            recover(str(tmp_path))
            assert staged_files.left(str(tmp_path)) == ["services/new.py is a folder on the board"]
            for name in ("main.py", "lib/app.py", "config.json"):
                assert (tmp_path / name).read_text() == NEW[name]
        (tmp_path / "services" / "new.py" / "x").rmdir()
        (tmp_path / "services" / "new.py").rmdir()
        recover(str(tmp_path))
        assert read_all(tmp_path) == {**OLD, **NEW} and not staged_files.left(str(tmp_path))

    def test_a_file_that_cannot_be_replaced_stays(self, tmp_path, monkeypatch):
        """Until a boot can replace it, and for good if no boot can."""
        write_all(tmp_path, OLD)
        stage(tmp_path)
        rename = staged_files.os.rename

        def failing(old, new):
            if new.endswith("app.py"):
                raise OSError(5)
            rename(old, new)

        with monkeypatch.context() as patch:
            patch.setattr(staged_files.os, "rename", failing)
            assert recover(str(tmp_path)) is None
        assert staged_files.left(str(tmp_path)) == ["lib/app.py cannot be changed"]
        assert (tmp_path / "lib" / "app.py").read_text() == OLD["lib/app.py"]
        recover(str(tmp_path))
        assert read_all(tmp_path) == {**OLD, **NEW}

    def test_a_file_that_cannot_be_deleted_is_reported_and_tried_again(self, tmp_path, monkeypatch):
        write_all(tmp_path, OLD)
        staging = Staging(str(tmp_path))
        staging.delete("kept.txt")
        staging.commit()

        def failing(path):
            raise OSError(5)

        with monkeypatch.context() as patch:
            patch.setattr(staged_files.os, "remove", failing)
            assert recover(str(tmp_path)) is None
            assert staged_files.left(str(tmp_path)) == ["/kept.txt cannot be changed"]
        assert recover(str(tmp_path)) == "in place: /kept.txt"
        assert not (tmp_path / "kept.txt").exists()


def stage(folder, files=NEW):
    staging = Staging(str(folder))
    for name, text in files.items():
        with staging.create(name) as file:
            file.write(text.encode())
    staging.commit()


class TestPowerCuts:
    """If an update is interrupted anywhere, the next boot finds the old files or the new ones, never a mixture."""

    def test_at_every_file_operation_of_the_image(self, tmp_path):
        """The process is killed, before the operation or after it."""
        (tmp_path / "new.tar").write_bytes(archive(NEW, [GONE]))
        count = self.run(tmp_path, 0, "before")
        assert count > 20
        found = [self.run(tmp_path, number, where) for where in ("before", "after") for number in range(1, count + 1)]
        assert found.count("old") > 10 and found.count("new") > 10, found

    def run(self, tmp_path, number, where):
        folder = tmp_path / f"{number}{where}"
        write_all(folder, BEFORE)
        script = Path(__file__).with_name("kill_at.py")
        command = [IMAGE, script, folder, tmp_path / "new.tar", str(number), where]
        done = subprocess.run(command, env=image_environment(), capture_output=True, text=True, timeout=PATIENCE_S)
        if number == 0:
            assert done.returncode == 0, done.stderr
            return int(done.stdout)
        assert done.returncode == -9
        recover(str(folder))
        return old_or_new(read_all(folder), (number, where))

    def test_at_every_operation_of_the_flash(self):
        """On littlefs, which boards use, the power fails in the middle of each operation, and again during the next
        boot.
        """
        first = Flash()
        for name, text in BEFORE.items():
            if "/" in name:
                first.mkdir(name.split("/")[0])
            with first.open(name, "wb") as file:
                file.write(text.encode())
        found = []
        cuts_in_a_boot = 0
        for number in range(1000):
            flash = first.copy(cut_at=number)
            if flash.run(self.update):
                break
            boot = flash.copy()
            assert boot.run(lambda: recover("/"))
            found.append(old_or_new(boot.files(), number))
            for again in range(boot.operations):
                interrupted = flash.copy(cut_at=again)
                assert not interrupted.run(lambda: recover("/"))
                second = interrupted.copy()
                assert second.run(lambda: recover("/"))
                assert old_or_new(second.files(), (number, again)) == found[-1]
                cuts_in_a_boot += 1
        assert flash.files() == {**OLD, **NEW}
        print(found, cuts_in_a_boot)
        assert found.count("old") > 20 and found.count("new") > 5 and cuts_in_a_boot > 50

    def update(self):
        target = service.FilesTarget("/")
        data = archive(NEW, [GONE])
        for start in range(0, len(data), 700):
            target.write(data[start : start + 700])
        target.commit()
        recover("/")


def old_or_new(state, where):
    assert state in (BEFORE, {**OLD, **NEW}), f"a mixture of old and new files after a cut at {where}"
    return "old" if state == BEFORE else "new"


class Partition:
    """esp32.Partition of a chip with two partitions for the image, with the behaviour that ESP-IDF promises."""

    RUNNING = 1

    def __init__(self, chip, label="ota_0"):
        self.chip = chip
        self.label = label

    def __call__(self, what):
        assert what == self.RUNNING
        return self

    def info(self):
        return (0, 16, 0x10000, Chip.SIZE, self.label, False)

    def get_next_update(self):
        if not self.chip.other:
            raise OSError(2)
        return Partition(self.chip, "ota_1")

    def writeblocks(self, number, data):
        assert len(data) == 4096
        self.chip.flash[number * 4096 : number * 4096 + 4096] = data

    def set_boot(self):
        if self.chip.refuses:
            raise OSError(-5379)  # ESP_ERR_OTA_VALIDATE_FAILED
        self.chip.boots = self.label

    def mark_app_valid_cancel_rollback(self):
        self.chip.kept = True


class Chip:
    SIZE = 16 * 4096

    def __init__(self):
        self.flash = bytearray(self.SIZE)
        self.other = True
        self.refuses = False
        self.boots = "ota_0"
        self.kept = False
        self.resets = []

    def WDT(self, timeout):
        self.resets.append(timeout)
        return self


class Session:
    """A logged-in client. It has the members that an update uses."""

    address = "192.0.2.7"
    unlimited = False
    authenticated = True
    nonce = None
    nonce_at = wait_s = 0

    def __init__(self, caller):
        self.server = self
        self.app = caller
        self.token = TOKEN
        self.visitors = {}
        self.visitor = find(self.visitors, self.address, (), 4, self.now())

    def now(self):
        return self.app.clock.uptime_ms()


class Caller(Bench):
    """The service and its methods in this process. `chip` is the chip that the module esp32 uses."""

    def __init__(self, folder, chip):
        super().__init__(folder, machine=chip)
        self.config.set("control.token", TOKEN)
        self.methods = Methods(self.log)
        self.session = Session(self)
        self.restarts = []
        self.service = service.Update()
        self.service.start(self)

    def restart_later(self):
        self.restarts.append("reboot")

    def call(self, name, session=None, **params):
        """Call a method; returns its result or raises its error."""
        function, usage = self.methods.known["update." + name][:2]
        values, named = _bind(usage.split(), params)
        return function(session or self.session, *values, **named)

    def begin(self, kind, content, **other):
        sha256 = hashlib.sha256(content).hexdigest()
        params = {"kind": kind, "size": len(content), "sha256": sha256, **other}
        if "signature" not in params:
            params["signature"] = self.sign("{kind} {size} {sha256}".format(**params))
        return self.call("begin", **params)

    def sign(self, asked, token=TOKEN, purpose="update"):
        return proof(token, purpose, challenge(self.session), asked)

    def send(self, content, piece=1000):
        for start in range(0, len(content), piece):
            self.call("write", offset=start, data=base64.b64encode(content[start : start + piece]).decode())


@pytest.fixture
def chip(monkeypatch):
    chip = Chip()
    monkeypatch.setitem(sys.modules, "esp32", type("esp32", (), {"Partition": Partition(chip)}))
    return chip


@pytest.fixture
def caller(tmp_path, chip):
    return Caller(tmp_path, chip)


def app_image(size=10000):
    """Return an application image, which has only the magic number that the firmware checks."""
    return bytes([0xE9]) + bytes(31) + b"\x32\x54\xcd\xab" + bytes(range(256)) * (size // 256)


class TestImage:
    def test_it_is_written_to_the_other_partition_and_boots_next(self, caller, chip):
        image = app_image()
        assert caller.call("status")["kinds"] == ["image", "files"]
        assert caller.begin("image", image) == {"into": "ota_1", "chunk": 672}
        assert caller.session.unlimited
        caller.send(image)
        assert chip.boots == "ota_0" and not caller.restarts
        assert "goes back if that fails within 30 s" in caller.call("end")
        padding = -len(image) % 4096
        assert chip.flash[: len(image) + padding] == image + b"\xff" * padding
        assert chip.boots == "ota_1" and caller.restarts == ["reboot"]

    def test_it_stays_once_its_boot_has_lasted(self, caller, chip):
        image = app_image()
        caller.begin("image", image)
        caller.send(image)
        caller.call("end")
        board = caller.board
        sys.modules["esp32"].Partition.label = "ota_1"
        trial.begin(board, caller.log, False)
        assert (board.last_update, chip.resets, chip.kept) == ("on trial", [trial.WATCHDOG_S * 1000], False)
        board.keep_image()
        trial.end(board, caller.log)
        assert board.last_update == "kept" and chip.kept
        assert not board.has_file(trial.FILE)

    def test_the_bootloader_has_rolled_back(self, caller, chip):
        image = app_image()
        caller.begin("image", image)
        caller.send(image)
        caller.call("end")
        trial.begin(caller.board, caller.log, False)
        assert caller.board.last_update == "went back" and not chip.resets
        assert "did not start or last: back to ota_0" in caller.texts()[-1]
        caller.board.last_update = None
        trial.begin(caller.board, caller.log, False)
        assert caller.board.last_update is None

    def test_the_image_to_go_back_to_is_not_replaced_during_a_trial(self, caller, chip):
        trial.announce(caller.board, "partition", "ota_0")
        trial.begin(caller.board, caller.log, False)
        flash = bytes(chip.flash)
        for kind in ("image", "files"):
            with pytest.raises(ValueError, match="the last update is on trial: try again later"):
                caller.begin(kind, app_image())
        assert bytes(chip.flash) == flash
        caller.board.keep_image()
        trial.end(caller.board, caller.log)
        caller.begin("image", app_image())

    def test_an_image_whose_trial_cannot_be_recorded_is_refused(self, caller, chip, tmp_path):
        (tmp_path / "trial.json.new").mkdir()
        image = app_image()
        caller.begin("image", image)
        caller.send(image)
        with pytest.raises(OSError):
            caller.call("end")
        assert chip.boots == "ota_0" and not caller.restarts

    def test_an_image_that_esp_idf_refuses_changes_nothing(self, caller, chip):
        chip.refuses = True
        image = app_image()
        caller.begin("image", image)
        caller.send(image)
        with pytest.raises(OSError):
            caller.call("end")
        assert chip.boots == "ota_0" and not caller.restarts and not caller.board.has_file(trial.FILE)
        assert caller.call("status")["receiving"] is None and not caller.session.unlimited

    @pytest.mark.parametrize("number", range(3))
    def test_a_block_that_cannot_be_written_ends_the_update(self, caller, chip, monkeypatch, number):
        image = app_image()
        caller.begin("image", image)
        write = Partition.writeblocks

        def failing(partition, block, data):
            if block == number:
                raise OSError(5)
            write(partition, block, data)

        monkeypatch.setattr(Partition, "writeblocks", failing)
        with pytest.raises(OSError):
            caller.send(image)
            caller.call("end")
        assert chip.boots == "ota_0" and not caller.restarts and not caller.board.has_file(trial.FILE)
        assert caller.call("status")["receiving"] is None and "given up: OSError: 5" in caller.texts()[-1]

    def test_data_that_is_not_an_application(self, caller):
        content = bytes(8192)
        caller.begin("image", content)
        with pytest.raises(ValueError, match="not an application image .*update.bin"):
            caller.send(content)

    def test_too_large(self, caller):
        with pytest.raises(ValueError, match="the partition has 65536 bytes"):
            caller.begin("image", bytes(Chip.SIZE + 1))
        assert caller.begin("image", bytes(Chip.SIZE))["into"] == "ota_1"

    def test_one_partition_only(self, caller, chip):
        chip.other = False
        assert caller.call("status")["kinds"] == ["files"]
        with pytest.raises(ValueError, match="this board takes files"):
            caller.begin("image", app_image())


class TestService:
    def test_files_are_staged_and_committed(self, caller, tmp_path):
        write_all(tmp_path, OLD)
        content = archive(NEW)
        caller.begin("files", content)
        caller.send(content)
        assert "restarts with the new files" in caller.call("end")
        assert caller.restarts == ["reboot"]
        recover(str(tmp_path))
        assert read_all(tmp_path) == {**OLD, **NEW}

    def test_files_are_deleted_with_the_others(self, caller, tmp_path):
        write_all(tmp_path, {**OLD, GONE: "old"})
        content = archive(NEW, [GONE])
        caller.begin("files", content)
        caller.send(content)
        caller.call("end")
        assert (tmp_path / GONE).exists()
        recover(str(tmp_path))
        assert read_all(tmp_path) == {**OLD, **NEW}

    def test_deletions_are_signed(self, caller, tmp_path):
        """The list of deleted files is part of the bytes whose SHA-256 is signed."""
        write_all(tmp_path, {**OLD, GONE: "old"})
        content = archive({}, [GONE])
        caller.begin("files", content)
        caller.send(archive({}, ["main.py"]))
        with pytest.raises(ValueError, match="sha256"):
            caller.call("end")
        recover(str(tmp_path))
        assert read_all(tmp_path) == {**OLD, GONE: "old"}

    @pytest.mark.parametrize(
        "content, error",
        [
            (archive(NEW)[:3000], "the archive is cut off"),
            (archive({}), "the archive is empty"),
            (archive({"../x": "x"}), "not a valid name"),
            (archive({"lib": "x"}), "lib is a folder"),
            (archive({"kept.txt/x": "x"}), "kept.txt is a file"),
            (archive({}, ["no.py"]), "there is no such file"),
            (b"x" * 1000, "not a tar archive"),
        ],
        ids=["cut off", "empty", "elsewhere", "folder", "below a file", "not there", "no archive"],
    )
    def test_wrong_requests_change_nothing(self, caller, tmp_path, content, error):
        write_all(tmp_path, OLD)
        caller.begin("files", content)
        with pytest.raises(ValueError, match=error):
            caller.send(content)
            caller.call("end")
        recover(str(tmp_path))
        assert read_all(tmp_path) == OLD and not caller.restarts

    def test_other_bytes_than_announced(self, caller, tmp_path):
        content = archive(NEW)
        caller.begin("files", content)
        caller.send(content.replace(b"new main", b"bad main"))
        with pytest.raises(ValueError, match="sha256"):
            caller.call("end")
        recover(str(tmp_path))
        assert read_all(tmp_path) == {}

    @pytest.mark.parametrize(
        "signature",
        [
            lambda caller, asked: challenge(caller.session) and "0" * 64,
            lambda caller, asked: caller.sign(asked, token="another token"),
            lambda caller, asked: caller.sign(asked, purpose="login"),
            lambda caller, asked: caller.sign(asked + " "),
            lambda caller, asked: proof(TOKEN, "update", {**challenge(caller.session), "board": "00aa11"}, asked),
            lambda caller, asked: proof(TOKEN, "update", {**challenge(caller.session), "nonce": "0" * 32}, asked),
        ],
        ids=["none", "another token", "a login", "something else", "another board", "another nonce"],
    )
    def test_a_signature_of_something_else_is_refused(self, caller, signature):
        content = archive(NEW)
        asked = f"files {len(content)} {hashlib.sha256(content).hexdigest()}"
        with pytest.raises(RpcError, match="wrong token or signature"):
            caller.begin("files", content, signature=signature(caller, asked))
        assert caller.call("status")["receiving"] is None

    def test_a_replayed_signature_is_refused(self, caller):
        content = archive(NEW)
        recorded = caller.sign(f"files {len(content)} {hashlib.sha256(content).hexdigest()}")
        caller.begin("files", content, signature=recorded)
        with pytest.raises(RpcError, match="no challenge is open"):
            caller.begin("files", content, signature=recorded)
        challenge(caller.session)
        with pytest.raises(RpcError, match="wrong token or signature"):
            caller.begin("files", content, signature=recorded)

    @pytest.mark.parametrize("size", [0, -1, True, "9", 1.5])
    def test_no_size(self, caller, size):
        with pytest.raises(ValueError, match="size"):
            caller.begin("files", b"x", size=size)

    def test_pieces_that_do_not_fit(self, caller):
        content = archive(NEW)
        with pytest.raises(ValueError, match="no update was begun"):
            caller.call("write", offset=0, data="")
        caller.begin("files", content)
        with pytest.raises(ValueError, match="offset: 0 bytes have arrived"):
            caller.call("write", offset=512, data="AAAA")
        with pytest.raises(ValueError, match="base64"):
            caller.call("write", offset=0, data=5)
        with pytest.raises(ValueError, match="still to come"):
            caller.call("end")
        caller.send(content)
        with pytest.raises(ValueError, match="more than announced"):
            caller.call("write", offset=len(content), data="AAAA")

    def test_another_client(self, caller):
        other = Session(caller)
        caller.begin("files", archive(NEW))
        with pytest.raises(ValueError, match="another client's"):
            caller.call("write", other, offset=0, data="AAAA")

    def test_it_can_be_aborted(self, caller, tmp_path):
        content = archive(NEW)
        caller.begin("files", content)
        caller.send(content[:2000])
        assert caller.call("abort") is True
        assert read_all(tmp_path) == {} and not caller.session.unlimited

    def test_a_complete_update_is_not_replaced_before_the_restart(self, caller, tmp_path):
        content = archive(NEW)
        caller.begin("files", content)
        caller.send(content)
        caller.call("end")
        with pytest.raises(ValueError, match="the last update is complete: try again later"):
            caller.begin("files", archive({"other.py": "other"}))
        caller.service.stop()
        recover(str(tmp_path))
        assert read_all(tmp_path) == NEW

    def test_an_update_ends_even_if_its_files_cannot_be_closed(self, caller, monkeypatch):
        content = archive(NEW)
        caller.begin("files", content)
        caller.send(content[:2000])
        abort = service.FilesTarget.abort

        def failing(target):
            abort(target)
            raise OSError(28)

        with monkeypatch.context() as patch:
            patch.setattr(service.FilesTarget, "abort", failing)
            with pytest.raises(OSError):
                caller.call("abort")
        assert caller.call("status")["receiving"] is None and not caller.session.unlimited
        caller.begin("files", content)

    def test_a_new_update_replaces_an_unfinished_one(self, caller, tmp_path):
        content = archive(NEW)
        caller.begin("files", content)
        caller.send(content[:2000])
        caller.begin("files", content)
        caller.send(content)
        caller.call("end")
        recover(str(tmp_path))
        assert read_all(tmp_path) == NEW
