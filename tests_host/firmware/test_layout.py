"""The firmware's modules among each other: what can be off is a folder of its own, and no imports go in a circle."""

import ast

from image import ROOT

SOURCES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).replace(".__init__", ""): path
    for path in (ROOT / "firmware").rglob("*.py")
}


def imports(name):
    """The modules of the firmware that `name` imports anywhere, also inside its functions."""
    found = set()
    for node in ast.walk(ast.parse(SOURCES[name].read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            below = {f"{node.module}.{alias.name}" for alias in node.names} & set(SOURCES)
            found.update(below or {node.module})
    return found & set(SOURCES)


def test_no_imports_go_in_a_circle():
    left = {name: imports(name) for name in SOURCES}
    while left:
        leaves = {name for name, imported in left.items() if not imported & set(left)}
        assert leaves, f"a circle among {sorted(left)}"
        left = {name: imported for name, imported in left.items() if name not in leaves}
