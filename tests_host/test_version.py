"""The version is the same everywhere."""
import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def assigned(path, name):
    """Return the string that a module assigns to `name`."""
    return re.search('^%s = ["\'](.*)["\']$' % name, (ROOT / path).read_text(), re.MULTILINE).group(1)


def test_firmware_library_and_packages_have_the_same_version():
    version = assigned('firmware/__init__.py', 'VERSION')
    assert assigned('lib/XAsyncSockets.py', '__version__') == version
    for package in [ROOT / 'package.json', *(ROOT / 'firmware').glob('*.json')]:
        assert json.loads(package.read_text())['version'] == version, package
