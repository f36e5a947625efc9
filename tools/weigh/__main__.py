"""`make weigh`: prints the memory that each module takes on a board with stock MicroPython (docs/weight.md)."""

from tools.emulator.network import enter_private_namespace
from tools.weigh import Scales


def main():
    """Measure, and print a table."""
    enter_private_namespace()
    with Scales() as scales:
        running = scales.running()
        weights = scales.modules(set(running["modules"]) | {"XAsyncSockets"})
    print("| module | file | heap | loaded by default |\n|---|---|---|---|")
    for one in sorted(weights, key=lambda one: (not one.by_default, -one.file)):
        print(f"| `{one.name}` | {one.file} | {one.heap} | {'yes' if one.by_default else ''} |")
    own = [one for one in weights if one.name != "XAsyncSockets"]
    loaded = [one for one in own if one.by_default]
    print(f"| all of the firmware | {sum(one.file for one in own)} | | |")
    print(f"| of it loaded by default | {sum(one.file for one in loaded)} | {sum(one.heap for one in loaded)} | yes |")
    print("\n| heap | bytes |\n|---|---|")
    for key, text in (
        ("empty", "before anything of ours is loaded"),
        ("peak", "the most while loading"),
        ("used", "in use once the firmware runs"),
        ("free", "free then"),
        ("asked", "in use after `help`, `info`, `sensor.read` and `net.status`"),
    ):
        print(f"| {text} | {running[key]} |")


if __name__ == "__main__":
    main()
