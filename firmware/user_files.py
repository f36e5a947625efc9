"""The user's files on the board: programs, and classes that are loaded from a folder."""

import sys


def run_file(path, name):
    """Run a Python file as module `name`. Return its global variables; raise what it raises."""
    with open(path) as file:
        source = file.read()
    if source[:1] == "\ufeff":  # some editors put this at the beginning of a file
        source = source[1:]
    names = {"__name__": name, "__file__": path}
    exec(compile(source, path, "exec"), names)
    return names


def load_classes(board, folder, class_name, log):
    """Return [(file name without extension, class)] of the .py and .mpy files in `folder`.

    A file that fails is reported and left out. If two files have the same name, the .py file is used.
    """
    classes = []
    files = board.folder(folder)
    for file_name in files:
        stem, _, kind = file_name.rpartition(".")
        if kind != "py" and (kind != "mpy" or stem + ".py" in files):
            continue
        log.mark(folder, file_name)
        try:
            if kind == "py":
                found = run_file(board.path(f"{folder}/{file_name}"), f"{folder}.{stem}").get(class_name)
            else:
                found = getattr(_import_compiled(board, folder, stem), class_name, None)
            if found:
                classes.append((stem, found))
            else:
                log.error(folder, f"{file_name} defines no class {class_name}")
        except Exception as error:
            log.error(folder, file_name, error)
    return classes


def _import_compiled(board, folder, stem):
    """Return the module of a .mpy file. Only an import can load it: as part of a package, to avoid name clashes."""
    sys.path.insert(0, board.files)
    try:
        return __import__(f"{folder}.{stem}", None, None, (stem,))
    finally:
        sys.path.remove(board.files)
