"""The user's own files on the board: programs, and classes that are picked up from a folder."""


def run_file(path, name):
    """Run a Python file as module `name`; returns what it defined. Raises what it raises."""
    with open(path) as file:
        source = file.read()
    names = {"__name__": name, "__file__": path}
    exec(compile(source, path, "exec"), names)
    return names


def load_classes(board, folder, class_name, log):
    """[(file's name without .py, class)] of the files in `folder`; one that fails is reported and left out."""
    classes = []
    for file_name in board.folder(folder):
        if not file_name.endswith(".py"):
            continue
        stem = file_name[:-3]
        try:
            names = run_file(board.path(f"{folder}/{file_name}"), f"{folder}.{stem}")
            classes.append((stem, names[class_name]))
        except KeyError:
            log.error(folder, f"{file_name} defines no class {class_name}")
        except Exception as error:
            log.error(folder, file_name, error)
    return classes
