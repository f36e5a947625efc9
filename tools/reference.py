"""`make reference`: makes docs/reference.md from the docstrings of lib/XAsyncSockets.py and the types of its .pyi."""

import ast
import re
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = ROOT / "lib" / "XAsyncSockets.py"
PAGE = ROOT / "docs" / "reference.md"

HEAD = """\
# Reference of the library

`make reference` makes this page from the docstrings of [`lib/XAsyncSockets.py`](../lib/XAsyncSockets.py) and the types
of [`lib/XAsyncSockets.pyi`](../lib/XAsyncSockets.pyi). [library.md](library.md) explains the library with programs.

`f(A, B)` is a function that is called with an A and a B. `any` is a value of your own, which the library passes on.
`bytes-like` is any object with the buffer protocol. An event that is None is not set.

These arguments mean the same everywhere:

{}
"""
COMMON = {
    "asyncSocketsPool": "the pool that manages the socket",
    "asyncSocket": "the socket",
    "onDataRecv": "the handler, called once for this receive, with the data",
    "onDataSent": "the handler, called once for this send, when the system has taken all the data",
    "onDataRecvArg, onDataSentArg": "the last argument of the handler",
    "timeoutSec": "the time in seconds that the receive may take; None means no limit",
    "keyfile, certfile, ca_certs": "paths of PEM files: your key, its certificate, and the certificates to trust",
    "server_side, serverSide": "True for the side that accepted the connection",
}
FIRST = ["XAsyncSocketsPool", "XTimer", "XAsyncTCPServer", "XAsyncTCPClient", "XAsyncUDPDatagram", "XClosedReason"]
WITHOUT_TEXT = ["XClosedReason"]  # the names are self-explanatory
NOT_SHOWN = ["self"]
WORDS = {"_Address": "(ip, port)", "_Pool": "XAsyncSocketsPool", "_Socket": "socket.socket", "_T": "any",
         "Any": "any", "Buffer": "bytes-like", "Self": "XAsyncSocket"}  # fmt: skip


class Undocumented(Exception):
    """A public name has no docstring or no type."""


def read_classes(path):
    """Return {name: node} of a module's public classes."""
    found = [node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.ClassDef)]
    return {node.name: node for node in found if not node.name.startswith("_")}


def functions(node):
    """Return {name: node} of a class's functions, including the getters of properties."""
    found = {}
    for part in node.body:
        if isinstance(part, ast.FunctionDef):
            found.setdefault(part.name, part)
    return found


def kind_of(function):
    return next((word.id for word in function.decorator_list if isinstance(word, ast.Name)), "method")


def paragraphs(text):
    """Return the paragraphs, each as one line. Those about private names are left out."""
    found = [" ".join(part.split()) for part in text.split("\n\n")]
    return [part for part in found if "`_" not in part]


def type_words(annotation):
    """Return a type in readable form."""
    if annotation is None:
        return "any"
    text = re.sub(r"_Event\[(\w+)\]", r"Callable[[\1], object] | None", ast.unparse(annotation))
    text = re.sub(r"Callable\[\[(.*?)\], object\]", r"f(\1)", text)
    return re.sub(r"\b[A-Z_]\w*", lambda match: WORDS.get(match.group(), match.group()), text)


def arguments(function, typed):
    """Return [(name, type, default or "")] for the arguments of a function."""
    names = [argument for argument in function.args.args if argument.arg not in NOT_SHOWN]
    types = {argument.arg: argument.annotation for argument in typed.args.args}
    defaults = [ast.unparse(each) for each in function.args.defaults]
    defaults = [""] * (len(names) - len(defaults)) + defaults
    return [(name.arg, type_words(types.get(name.arg)), default) for name, default in zip(names, defaults)]


def wrap(text, indent=""):
    return textwrap.fill(text, 120, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows] if rows else []
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def describe_function(title, function, typed, text):
    found = arguments(function, typed)
    call = ", ".join(name + (default and "=" + default) for name, _, default in found)
    rows = [[f"`{name}`", f"`{words}`", default and f"`{default}`"] for name, words, default in found]
    returns = type_words(typed.returns)
    end = "" if returns == "None" else f"Returns: `{returns}`"
    return [f"### `{title}({call})`", *map(wrap, paragraphs(text)), table(["argument", "type", "default"], rows), end]


class Page:
    """Return the page, generated from the two files, class by class."""

    def __init__(self):
        self.classes = read_classes(LIBRARY)
        self.typed = read_classes(LIBRARY.with_suffix(".pyi"))
        self.constants = assigned(ast.parse(LIBRARY.read_text(encoding="utf-8")))

    def text(self):
        order = FIRST + [name for name in self.classes if name not in FIRST]
        errors = [name for name in order if name.endswith("Exception")]
        common = [f"- `{names.replace(', ', '`, `')}`: {words}" for names, words in COMMON.items()]
        parts = [HEAD.format("\n".join(common))]
        for name in order:
            if name not in errors:
                parts += self.describe(name)
        rows = [[f"`{each}`", docstring(self.classes[each], "the module")] for each in errors]
        parts += ["## Exceptions", table(["exception", "meaning"], rows)]
        text = "\n\n".join(part.strip("\n") for part in parts if part) + "\n"
        return re.sub(r"^((?:- |  ).*\n)\n(?=- )", r"\1", text, flags=re.MULTILINE)

    def describe(self, name):
        """Yield the parts of a class's section."""
        node, own, types = self.classes[name], functions(self.classes[name]), functions(self.typed[name])
        bases = [base.id for base in node.bases if base.id in self.classes]
        inherited = {member for base in bases for member in functions(self.classes[base])}
        text = docstring(node, "the module")
        yield f"## {name}"
        attributes = self.attributes(name, own, text)
        for paragraph in paragraphs(text):
            yield from items(paragraph, attributes)
        if undescribed(attributes, text):
            yield table(["attribute", "type, value"], [[f"`{each}`", attributes[each]] for each in attributes])
        properties = [member for member in own if member in types and kind_of(own[member]) == "property"]
        for member in properties:
            words = " ".join(docstring(own[member], name).split())
            yield item(member, f"`{type_words(types[member].returns)}`", words)
        if bases:
            yield f"It also has the members of [{bases[0]}](#{bases[0].lower()})."
        if "Create" not in own and "__init__" in own:
            yield from describe_function(name, own["__init__"], types["__init__"], "")
        for member, function in own.items():
            if not member.startswith("_") and member not in inherited and member not in properties:
                owner = name + "." if kind_of(function) == "staticmethod" else ""
                if member not in types:
                    raise Undocumented(f"{member} of {name} is missing in the .pyi")
                yield from describe_function(owner + member, function, types[member], docstring(function, name))

    def unexplained(self):
        """Yield the arguments that no text explains, as "class.member(argument)"."""
        common = ", ".join(COMMON).split(", ")
        for name, node in self.classes.items():
            own, types = functions(node), functions(self.typed[name])
            for member in own:
                text = f"{ast.get_docstring(node)} {ast.get_docstring(own[member])}"
                shown = member in types and (member != "__init__" or "Create" not in own)
                for argument, _, _ in arguments(own[member], types[member]) if shown else ():
                    if argument not in common and not re.search(rf"\b{argument}\b", text):
                        yield f"{name}.{member}({argument})"

    def attributes(self, name, own, text):
        """Return {name: type and default} of the attributes, including properties that only CPython has."""
        found, values = {}, assigned(self.classes[name])
        for part in self.typed[name].body:
            if isinstance(part, ast.AnnAssign):
                found[part.target.id] = self.kind(part.annotation, values.get(part.target.id))
            elif kind_of(part) == "property" and part.name not in own:
                found[part.name] = self.kind(part.returns, None)
        if undescribed(found, text) and name not in WITHOUT_TEXT:
            raise Undocumented(f"the docstring of {name} says nothing of {', '.join(undescribed(found, text))}")
        return found if name not in WITHOUT_TEXT else {each: found[each].replace("default ", "") for each in found}

    def kind(self, annotation, value):
        value = self.constants.get(getattr(value, "id", None), value)
        try:
            default = "" if value is None else f", default {ast.literal_eval(value)!r}"
        except ValueError:
            default = ", the default depends on the port"
        return f"`{type_words(annotation)}`" + default.replace(", default None", "")


def assigned(node):
    """Return {name: assigned value} from the body of a class or a module."""
    found = [part for part in node.body if isinstance(part, ast.Assign)]
    return {target.id: part.value for part in found for target in part.targets if isinstance(target, ast.Name)}


def undescribed(names, text):
    return [name for name in names if not re.search(rf"\b{name}\b", text)]


def docstring(node, owner):
    text = ast.get_docstring(node)
    if not text:
        raise Undocumented(f"{node.name} of {owner} has no docstring")
    return text


def item(names, kind, words):
    return wrap(f"- `{names}` ({kind}): {words}", "  ")


def items(paragraph, kinds):
    """Yield the paragraph; each sentence that begins with the name of an attribute becomes a list item."""
    name = "(?:" + "|".join(kinds or ["(?!)"]) + ")"
    names = rf"{name}(?:(?:, | or | and ){name})*"
    for piece in re.split(rf"(?:^|(?<=[.:] ))(?={names}(?: \(alias \w+\))?[:,])", paragraph):
        match = re.match(rf"({names})(?: \(alias \w+\))?[:,] (.*)", piece)
        if match:
            found = re.findall(rf"\b{name}\b", match[1])
            yield item("`, `".join(found), kinds[found[0]], match[2].strip())
        else:
            yield wrap(piece.strip())


def main():
    try:
        PAGE.write_text(Page().text(), encoding="utf-8")
    except Undocumented as error:
        sys.exit(f"{LIBRARY.relative_to(ROOT)}: {error}")


if __name__ == "__main__":
    main()
