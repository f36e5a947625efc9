"""`certificate`: a key and a self-signed certificate for a board's control server.

The certificate is its own authority: a client that has it recognizes this one board, and no other authority is needed.
"""

import datetime
import ipaddress
import os
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from firmware.config.defaults import SCHEMA
from tools.board.errors import ToolError, UsageError

_ON_BOARD = SCHEMA.fill({})["control"]


def _subject(text):
    """Return a name or an address for the certificate."""
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        pass
    try:
        return x509.DNSName(text)
    except ValueError:
        raise UsageError(f"{text}: not a host name: use ASCII letters, digits, hyphens and dots") from None


def make(names, days):
    """Return (certificate, key) in PEM. The curve P-256 is small enough for a chip."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))  # the board's clock may be slow
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([_subject(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM), key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _create(path, content, mode):
    """Write a new file that has its final permissions from the beginning."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)


def certify(name, addresses, days, folder, port, say=print):
    """Make both files, or use existing ones, and write them to the board at `port` if a port is given."""
    files = key_file, certificate_file = Path(folder, name + ".key"), Path(folder, name + ".crt")
    there = [str(file) for file in files if file.exists()]
    if there and not (port and len(there) == len(files)):
        raise ToolError(f"{' and '.join(there)}: already exists; nothing was written")
    if not Path(folder).is_dir():
        raise UsageError(f"{folder}: there is no such folder")
    try:
        if not there:
            certificate, key = make([name, *addresses], days)
            _create(key_file, key, 0o600)
            _create(certificate_file, certificate, 0o644)
            say(f"{key_file}: the key; keep it secret")
            say(f"{certificate_file}: the certificate; use it with --cert")
        content = {
            _ON_BOARD["certificate"]: certificate_file.read_bytes(),
            _ON_BOARD["key"]: key_file.read_bytes(),
        }
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(f"{name}: {error}") from None
    if port:
        from tools.board.provision import write

        write(content, port, say)
    else:
        names = " and ".join(content)
        say(f"On the board their names are {names}, beside config.json. --serial writes them there.")
