"""The text on the console when the network is up: the board's addresses, and commands to try."""


def tell(app, connection):
    """Print it."""
    if app.http and app.http.url:
        print(f"page       {app.http.url}")
    telemetry = app.services.get("telemetry")
    settings = app.config["telemetry"]
    targets = telemetry.targets() if hasattr(telemetry, "targets") else ()
    if targets:
        targets = ", ".join(f"{host}:{port}" for host, port in targets)
        print(f"telemetry  UDP to {targets} every {settings['interval_s']} s")
        if settings["broadcast"]:
            print("  " + _listen_command(settings["port"]))
    control = app.services.get("control")
    if not control or not control.port:
        return
    if control.tls:
        address = f"{connection.address}:{control.port}"
        print(f"control    TLS {address}\n  tools/board call {address} info --pin CERTIFICATE")
        return
    print(f"control    TCP {connection.address}:{control.port}")
    print("  " + _call_command(connection.address, control.port, "info"))
    request = '{\\"jsonrpc\\": \\"2.0\\", \\"id\\": 1, \\"method\\": \\"sensor.read\\"}'
    print("  " + _call_command(connection.address, control.port, request))


def _listen_command(port):
    return (
        "python3 -c \"from socket import *; s = socket(2, 2); s.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1); "
        "s.bind(('', " + str(port) + ')); print(s.recv(2000).decode())"'
    )


def _call_command(address, port, line):
    # No f-strings: MicroPython 1.23 does not join f-strings that contain quotes.
    connect = "python3 -c \"import socket; s = socket.create_connection(('" + address + "', " + str(port) + ")); "
    return connect + "s.send(b'" + line + "\\n'); print(s.recv(4000).decode())\""
