"""A chip runs this after reset, because it is frozen as the top-level module `main`. It never raises."""

from firmware.boot import main

main()
