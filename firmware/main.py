"""What a chip runs after reset: frozen as the top-level module `main`. It never raises."""

from firmware.boot import main

main()
