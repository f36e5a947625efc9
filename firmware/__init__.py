"""The firmware: boot, network bring-up, configuration, sensors, telemetry, control, and services of your own.

Everything runs in one thread on one `XAsyncSocketsPool`. `firmware.app.App` puts the parts together,
`firmware.boot.main()` is what a board runs after reset, `python -m firmware` what a computer runs.
"""

NAME = "XAsyncSockets firmware"
VERSION = "0.1.0"
