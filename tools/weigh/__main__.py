"""`make weigh`: measures how much of a stock board's heap the firmware takes, and writes it into the documentation."""

from tools.emulator.network import enter_private_namespace

from . import boards
from .scales import Scales, image, modem_buffer
from .table import HEAP, PAGE, SHOWN, Table, write


def main():
    """Measure, and write the tables."""
    enter_private_namespace()
    with Scales() as scales:
        running = {**scales.running(), "modem": modem_buffer(), "serving": scales.serving()["serving"]}
        running["first"] = scales.first_datagram()
        weights = scales.modules(set(running["modules"]) | {"XAsyncSockets"})
    running.update(image())
    table = Table({key: running[key] for key in (*HEAP, *SHOWN)}, {one.name: one for one in weights})
    write(table, PAGE)
    boards.write(table, PAGE.parent)
    print(f"{PAGE.name} and the tables of boards in {', '.join(boards.PAGES)} are written: git diff shows what changed")
    for key, name in {**HEAP, **SHOWN}.items():
        print(f"{table.heap[key]:9,}  {name}")


if __name__ == "__main__":
    main()
