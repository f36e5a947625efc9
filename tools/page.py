"""Packs the board's page: firmware/web/page.html is minified and compressed into the module web_page.py.

python3 tools/page.py build/page/web_page.py
"""

import base64
import hashlib
import re
import sys
import zlib
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "firmware" / "web" / "page.html"
MOST_BYTES = 12 * 1024

# The browser loads nothing from elsewhere, and accepts only the script and the styles that are in the page.
POLICY = (
    "default-src 'none'; connect-src 'self'; img-src 'self' data:; style-src {styles}; script-src {scripts}; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


# The spaces that a browser does not need. Texts and regular expressions keep theirs. The page ends every statement with
# a semicolon.
_STYLE_SPACES = re.compile(r"\s*([{};,>])\s*|(:) +")
_SCRIPT_SPACES = re.compile(
    r"""("(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`|(?<=[(=,!])/(?:[^/\\\n]|\\.)+/|(?<=[=,:&|?] )/(?:[^/\\\n]|\\.)+/)"""
    r"""|\s*([=,;:{}()<>?&|*])\s*"""
)


def _without(spaces, text):
    return spaces.sub(lambda found: found.group(1) or found.group(2), text).replace(";}", "}")


def minified(text):
    """Return the page without HTML comments, comments on lines of their own, indents, empty lines, and most spaces in
    its styles and scripts."""
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"^\s*/\*.*?\*/\s*$", "", text, flags=re.DOTALL | re.MULTILINE)
    lines = (line.strip() for line in text.splitlines())
    text = "\n".join(line for line in lines if line and not line.startswith("//")) + "\n"
    text = re.sub(r"<style>.*?</style>", lambda found: _without(_STYLE_SPACES, found.group()), text, flags=re.DOTALL)
    return re.sub(r"<script>.*?</script>", lambda found: _without(_SCRIPT_SPACES, found.group()), text, flags=re.DOTALL)


def smallest(data):
    """Return the data in gzip, with the memory level that makes it smallest."""
    packed = []
    for level in range(1, 10):
        packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS, level)
        packed.append(packer.compress(data) + packer.flush())
    return min(packed, key=len)


def policy(text):
    """Return the Content-Security-Policy, with the hashes of the scripts and styles."""
    return POLICY.format(scripts=_hashes("script", text), styles=_hashes("style", text))


def _hashes(tag, text):
    contents = re.findall(f"<{tag}>(.*?)</{tag}>", text, flags=re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(content.encode()).digest()).decode() for content in contents]
    return " ".join(f"'sha256-{one}'" for one in hashes) or "'none'"


def module(text):
    """Return the source of web_page.py."""
    page = minified(text)
    packed = smallest(page.encode())
    if len(packed) > MOST_BYTES:
        raise SystemExit(f"{SOURCE.name} has {len(packed)} bytes in gzip; it may have {MOST_BYTES}.")
    etag = f'"{hashlib.sha256(packed).hexdigest()[:16]}"'
    headers = (
        "ETag: " + etag,
        "Cache-Control: no-cache",
        "Content-Encoding: gzip",
        "Content-Security-Policy: " + policy(page),
        "X-Content-Type-Options: nosniff",
        "Referrer-Policy: no-referrer",
    )
    return f"# Made by tools/page.py.\nETAG = {etag!r}\nHEADERS = {headers!r}\nPAGE = {packed!r}\n"


def write(path):
    """Write the module if it has changed."""
    made = module(SOURCE.read_text())
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text() != made:
        path.write_text(made)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
