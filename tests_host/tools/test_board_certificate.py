"""`certificate` and `--pin` make a board secure. This also tests everything that can go wrong."""

import json
import os
import re
import socket
import ssl
import subprocess
import sys

import pytest
from image import PATIENCE_S, QUIET, ROOT, Client

from tools.board.certificate import make as make_pair

TOKEN = QUIET["control"]["token"]


def make(tool, folder, name="kitchen"):
    """Return (certificate, key), made by the tool."""
    code, output, errors = tool("certificate", name, "127.0.0.1", "--folder", folder).wait()
    assert (code, errors) == (0, ""), errors
    assert "certificate.pem and key.pem" in output
    return folder / (name + ".crt"), folder / (name + ".key")


def secure_port(board):
    board.start()
    return int(board.wait_for(r"^control +TLS [\d.]+:(\d+)").group(1))


@pytest.fixture
def certificate(tool, board, tmp_path):
    """The certificate of `board`. The board has it and its key before it starts."""
    certificate, key = make(tool, tmp_path)
    board.write("certificate.pem", certificate.read_text())
    board.write("key.pem", key.read_text())
    return certificate


@pytest.fixture
def host(board, certificate):
    return f"127.0.0.1:{secure_port(board)}"


def test_calls_and_a_login(tool, host, certificate):
    assert tool("call", host, "ping", "--pin", certificate).wait() == (0, '"pong"\n', "")
    assert tool("call", host, "gpio.write", "7", "1", "--token", TOKEN, BOARD_PIN=str(certificate)).wait()[0] == 0
    code, output, _ = tool("call", host, "help", "--pin", certificate).wait()
    assert code == 0 and "gpio.write" in json.dumps(json.loads(output))


def test_the_prompt(tool, host, certificate):
    shell = tool("shell", host, "--pin", certificate, stdin="ping\ngpio.read pin=2\n")
    assert shell.wait() == (0, "pong\n0\n", "")


def test_the_program_of_docs_control(board, certificate):
    plain, over_tls = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "control.md").read_text(), re.DOTALL)
    source, count = re.subn(r"^board = .*\n", lambda _: over_tls, plain, flags=re.MULTILINE)
    assert count == 1
    for old, new in (("8095", secure_port(board)), ("a long secret of your own", TOKEN), ("kitchen.crt", certificate)):
        assert old in source
        source = source.replace(old, str(new))
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.stdout == "1\n", done.stderr


def test_another_board_of_the_same_name_is_refused(tool, host, tmp_path):
    (tmp_path / "other").mkdir()
    other, _ = make(tool, tmp_path / "other")
    code, output, errors = tool("call", host, "ping", "--pin", other).wait()
    assert (code, output) == (3, "")
    assert "its certificate is not the one in " + str(other) in errors and errors.count("\n") == 1


def test_plain_connections_are_not_answered(tool, board, host):
    code, output, errors = tool("call", host, "ping").wait()
    assert (code, output) == (3, "") and "--cert" in errors
    assert "control    TCP" not in board.text


def test_a_pin_for_a_board_without_a_certificate(tool, board, tmp_path):
    certificate, _ = make(tool, tmp_path)
    board.start()
    code, output, errors = tool("call", f"127.0.0.1:{board.port}", "ping", "--pin", certificate).wait()
    assert (code, output) == (3, "") and "--cert" in errors


def test_one_client_too_many_is_reported_so(board, certificate):
    board.configure(control={"clients": 1})
    port = secure_port(board)
    context = ssl.create_default_context(cafile=str(certificate))
    with Client(port, context) as one:
        assert one.result("ping") == "pong"
        with Client(port, context) as two:
            assert two.answer()["error"]["code"] == -32003
            assert two.line() == ""
        assert one.result("ping") == "pong"


def test_a_slow_handshake_delays_nobody(board, host, certificate):
    address = host.split(":")
    with socket.create_connection(address) as slow:
        slow.sendall(b"\x16\x03\x01\x02")
        with Client(int(address[1]), ssl.create_default_context(cafile=str(certificate))) as client:
            assert client.result("ping") == "pong"


def test_openssl_talks_to_the_board(host, certificate):
    words = ["-connect", host, "-CAfile", certificate, "-verify_return_error", "-verify_ip", "127.0.0.1", "-quiet"]
    openssl = subprocess.Popen(["openssl", "s_client", *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        openssl.stdin.write(b"ping\n")
        openssl.stdin.flush()
        assert openssl.stdout.readline() == b"pong\n"
    finally:
        openssl.kill()
        openssl.communicate(timeout=PATIENCE_S)


@pytest.mark.parametrize("damage", ["certificate.pem", "key.pem"])
def test_a_damaged_file_starts_no_plain_server(board, certificate, damage):
    board.write(damage, "-----BEGIN NONSENSE-----\n")
    board.start()
    board.wait_for(r"control: error: .*the key or a certificate cannot be used")
    board.interrupt()
    board.wait()
    assert "control    T" not in board.text


def pem(kind):
    """Return (certificate, key) of a kind that a board may have, as text."""
    if kind == "P-256":
        return tuple(one.decode() for one in make_pair(["kitchen"], 10))
    words = {"RSA": ["rsa:2048"], "P-384": ["ec", "-pkeyopt", "ec_paramgen_curve:secp384r1"]}[kind]
    made = ["openssl", "req", "-x509", "-nodes", "-subj", "/CN=kitchen", "-newkey", *words, "-keyout", "-", "-out", "-"]
    text = subprocess.run(made, capture_output=True, text=True, check=True).stdout
    blocks = re.findall("-----BEGIN .*?-----END [^-]*-----\n", text, re.DOTALL)
    return next(one for one in blocks if "CERTIFICATE" in one), next(one for one in blocks if "KEY" in one)


def written_by_openssl(key):
    """Return the same key in the older form, EC PRIVATE KEY."""
    return subprocess.run(["openssl", "ec"], input=key, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("kind", ["P-256", "P-384", "RSA"])
def test_a_key_of_another_certificate_is_reported_at_the_start(board, kind):
    (certificate, key), (_, other) = pem(kind), pem(kind)
    board.write("certificate.pem", certificate)
    board.write("key.pem", other)
    board.start()
    board.wait_for(r"control: error: .*key.pem is not the key of certificate.pem")
    board.interrupt()
    board.wait()
    assert "control    T" not in board.text
    for form in [key] + ([written_by_openssl(key)] if kind != "RSA" else []):
        start = len(board.output)
        board.write("key.pem", form)
        board.start()
        board.wait_for("control    TLS", start)
        board.interrupt()
        board.wait()


@pytest.mark.parametrize(
    "missing, control",
    [("certificate.pem", {}), ("key.pem", {}), (None, {"certificate": "none.pem"}), (None, {"key": "none.pem"})],
)
def test_if_tls_is_configured_a_missing_file_starts_no_plain_server(board, certificate, missing, control):
    if missing:
        (board.folder / missing).unlink()
    board.configure(control=control)
    board.start()
    board.wait_for(r"control: error: .*there is no file " + (missing or "none.pem"))
    board.interrupt()
    board.wait()
    assert "control    T" not in board.text


def test_existing_files_are_kept(tool, tmp_path):
    certificate, key = make(tool, tmp_path)
    assert os.stat(key).st_mode & 0o77 == 0
    before = certificate.read_bytes(), key.read_bytes()
    code, _, errors = tool("certificate", "kitchen", "--folder", tmp_path).wait()
    assert code == 1 and "nothing was written" in errors
    certificate.unlink()
    assert tool("certificate", "kitchen", "--folder", tmp_path).wait()[0] == 1
    assert not certificate.exists() and key.read_bytes() == before[1]


def test_wrong_words(tool, tmp_path):
    code, _, errors = tool("certificate", "kitchen", "--folder", tmp_path / "nowhere").wait()
    assert code == 2 and "nowhere" in errors
    for words, said in ((["--days", "4000000"], "1 to 36500"), (["küche"], "küche: not a host name")):
        code, _, errors = tool("certificate", "kitchen", *words, "--folder", tmp_path).wait()
        assert code == 2 and said in errors and errors.count("\n") == 1
        assert not any(tmp_path.iterdir())
    for pin, said in ((tmp_path / "nothing", "No such file"), (tmp_path, "")):
        code, _, errors = tool("call", "127.0.0.1:1", "ping", "--pin", pin).wait()
        assert code == 2 and f"{pin}: {said}" in errors
    (tmp_path / "empty").write_text("no certificate\n")
    code, _, errors = tool("call", "127.0.0.1:1", "ping", "--pin", tmp_path / "empty").wait()
    assert code == 2 and "contains no certificate" in errors


def test_both_files_go_to_a_board_over_its_serial_port(tool, serial_board, tmp_path):
    for said in ("was written and read back", "already has this"):
        code, output, _ = tool("certificate", "kitchen", "--folder", tmp_path, "--serial", serial_board.port).wait()
        assert code == 0 and output.count(said) == 2, output
    assert serial_board.files() == {
        "certificate.pem": (tmp_path / "kitchen.crt").read_text(),
        "key.pem": (tmp_path / "kitchen.key").read_text(),
    }
