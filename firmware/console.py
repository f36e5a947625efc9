"""What a person at the console reads when the network is up: where the board can be reached, and what to try."""


class Console:
    """The service that tells."""

    name = "console"

    def __init__(self):
        self._app = None

    def start(self, app):
        """Keep the app."""
        self._app = app

    def network_up(self, connection):
        """Tell it, in the order of the services: the server listens by now."""
        self._tell_telemetry()
        self._tell_control(connection)

    def _tell_telemetry(self):
        telemetry = self._app.services.get("telemetry")
        if not telemetry or not self._app.config["telemetry"]["enabled"]:
            return
        targets = ", ".join(f"{host}:{port}" for host, port in telemetry.targets())
        if not targets:
            return
        print(f"telemetry  UDP to {targets} every {self._app.config['telemetry']['interval_s']} s")
        if self._app.config["telemetry"]["broadcast"]:
            print("  " + _listen_command(self._app.config["telemetry"]["port"]))

    def _tell_control(self, connection):
        control = self._app.services.get("control")
        if not control or not control.port:
            return
        if control.secure:
            address = f"{connection.address}:{control.port}"
            print(f"control    TLS {address}\n  tools/board call {address} info --pin CERTIFICATE")
            return
        print(f"control    TCP {connection.address}:{control.port}")
        print("  " + _call_command(connection.address, control.port, "info"))
        request = '{\\"jsonrpc\\": \\"2.0\\", \\"id\\": 1, \\"method\\": \\"sensor.read\\"}'
        print("  " + _call_command(connection.address, control.port, request))


def _listen_command(port):
    return (
        "python3 -c \"import socket; s = socket.socket(2, 2); s.bind(('', " + str(port) + ")); "
        'print(s.recv(2000).decode())"'
    )


def _call_command(address, port, line):
    # No f-strings: MicroPython 1.23 does not join such that have quotes in them.
    connect = "python3 -c \"import socket; s = socket.create_connection(('" + address + "', " + str(port) + ")); "
    return connect + "s.send(b'" + line + "\\n'); print(s.recv(4000).decode())\""
