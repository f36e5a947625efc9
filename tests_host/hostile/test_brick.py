"""Wrong updates from somebody with the token, in any order and shape, do not keep a board from starting.

After the next boot, committed files are in their places, the settings can be read, and the token is unchanged. If the
settings have a password in a wrong place, no fault shows it. `pytest -s` shows what was tried.
"""

import json
import random
from collections import Counter

import pytest
from fakes import Bench
from image import QUIET
from test_update import Caller, Chip, archive

from firmware import staged_files
from firmware.config import Config
from firmware.update import trial
from tools.board.certificate import make

pytestmark = pytest.mark.usefixtures("own_time")

TRIES = 300
DEPTHS = [1, 1, 1, 1, 2, 3]
NAMES = "services lib main.py repl update certificate.pem key.pem door.py a ..".split() + ["config.json"] * 3
WRONG = [
    ("boot", {"repl": True}),
    ("network", {"order": []}),
    ("network", {"order": ["ppp"]}),
    ("network", {"order": ["wifi"]}),
    ("ap", {"enabled": False}),
    ("control", {"token": ""}),
    ("control", {"certificate": "a"}),
    ("control", {"key": "a"}),
    ("control", {"port": "x"}),
]
SETTINGS = ["{}", "{", "[]", '"x"', "\ufeff{}", "\x00"]


def settings(chance):
    sections = json.loads(json.dumps(QUIET))
    section, values = chance.choice(WRONG)
    sections.setdefault(section, {}).update(values)
    return json.dumps(chance.choice([sections, sections, QUIET]))


def content(chance, name, pairs):
    if name == "config.json":
        return chance.choice([chance.choice(SETTINGS), *(settings(chance) for _ in range(3))])
    if name in ("certificate.pem", "key.pem"):
        return chance.choice([pair[name == "key.pem"] for pair in pairs] + ["", "none"])
    return chance.choice(["", "x" * 600])


def send(caller, files, delete):
    data = archive(files, delete)
    caller.begin("files", data)
    caller.send(data)
    caller.call("end")


def test_no_update_keeps_the_board_from_starting(tmp_path, capsys):
    chance = random.Random(15)
    pairs = [tuple(one.decode() for one in make(["kitchen"], 10)) for _ in range(2)]
    (tmp_path / "config.json").write_text(json.dumps(QUIET))
    (tmp_path / "services").mkdir()
    outcomes = Counter()
    for _ in range(TRIES):
        bench = Bench(tmp_path)
        fault = trial.begin(bench.board, bench.log, False)
        bench.config.load()
        assert not bench.config.faults and bench.config["control"]["token"] == QUIET["control"]["token"]
        assert not bench.config["boot"]["repl"] and not (tmp_path / "repl").exists()
        outcomes["taken back"] += bool(fault)
        if chance.random() < 0.3:  # the owner logs in
            bench.app = bench
            trial.keep_settings(bench)
        caller = Caller(tmp_path, Chip())
        caller.config.load()
        count = chance.choice([1, 1, 1, 2, 4])
        names = ["/".join(chance.choices(NAMES, k=chance.choice(DEPTHS))) for _ in range(count)]
        delete = [name for name in names if chance.random() < 0.2]
        files = {name: content(chance, name, pairs) for name in names if name not in delete}
        try:
            send(caller, files, delete)
            outcomes["taken"] += 1
        except Exception as error:  # any kind of error; the client gets its text
            caller.service.stop()
            outcomes["refused"] += 1
            assert str(error)
        decided = (tmp_path / "update" / "files").exists()
        staged_files.recover(str(tmp_path))
        assert not (tmp_path / "update").exists()
        if decided:
            assert all((tmp_path / name).read_text() == text for name, text in files.items() if name != "config.json")
    with capsys.disabled():
        print(f"\n{TRIES} updates: {dict(outcomes)}; the board starts with each of them")
    assert outcomes["taken"] > 20 and outcomes["refused"] > 100 and outcomes["taken back"] > 0


def test_a_configuration_of_any_shape_reveals_no_secret(tmp_path, capsys):
    """A password is put in every place that can have a value."""
    secret = "correct horse battery"
    places = 0

    def shapes(value):
        yield secret
        yield [secret]
        yield {secret: 1}
        yield {"password": secret}
        yield [{"password": secret}]
        if isinstance(value, dict):
            for key, inner in value.items():
                for shape in shapes(inner):
                    yield {key: shape}

    bench = Bench(tmp_path)
    for shape in shapes(bench.config.get()):
        (tmp_path / "config.json").write_text(json.dumps(shape))
        config = Config(bench.board, bench.log)
        config.load()
        places += 1
        for fault in config.faults:
            section, key = (fault.split(": ")[1] + ".").split(".")[:2]
            given = shape.get(section) if isinstance(shape, dict) else None
            told = isinstance(given, dict) and given.get(key) in (secret, [secret])
            assert told or secret not in fault or f"{secret}: there is no such key" in fault, (shape, fault)
    assert places > 200
    with capsys.disabled():
        print(f"\na password in {places} wrong places: shown only as the single value of a key that is not a secret")
