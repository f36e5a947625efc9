"""The texts of `help` for the firmware's own methods, one line each. They are loaded only to be shown."""

_OWN = """\
adc.read pin: 0 to 1 of full scale; gpio.mode makes it analog
auth.challenge: a nonce to answer
auth.login response: the answer to it, see docs/control.md
config.get key?: a key, a section or all
config.reset key? proof? (token): back to the default, in memory; the token needs a proof
config.save (token): write config.json
config.set key value proof? (token): change a key in memory; the token needs a proof
gc: collect garbage; the heap in bytes
gpio.mode pin mode pull? (token): in, out, open_drain or analog; pull up or down
gpio.pins: list the pins
gpio.read pin: 0 or 1
gpio.write pin value (token): 0 or 1; makes the pin an output
help: list the methods
info: the board and its state
log.tail count?: the last lines of the log
net.status: state and history of the network
ping: pong
pwm.set pin duty? freq? (token): duty 0 to 1, freq in Hz; no duty: off
reboot (token): restart
safe_mode (token): restart with network and control only
sensor.list: all sensors with their last reading
sensor.read name?: one reading, or all that are ready
setup.save ssid password? name? token?: set the board up, see docs/setup.md
setup.status scan?: networks in reach, state of the set-up
telemetry.get: settings and counters of the telemetry
telemetry.set key value (token): change a setting until the next boot
telemetry.subscribe: get every measurement as a notification
telemetry.unsubscribe: stop these notifications
update.abort (token): cancel the update
update.begin kind size sha256 signature (token): begin to send an image or files
update.end (token): check the update, restart with it
update.status: what the board accepts, progress
update.write offset data (token): the next piece, in base64
uptime: seconds since the boot"""


def lines(methods):
    """Return a line for each available method: its name, its parameters, whether it needs the token, and what it
    does."""
    own = {line.split(":", 1)[0].split(" ", 1)[0]: line for line in _OWN.split("\n")}
    found = []
    for name in methods.names():
        usage, text, writes = methods.described(name) or ("", "", False)
        if text or name not in own:
            found.append(f"{name} {usage}".rstrip() + (" (token)" if writes else "") + f": {text}")
        else:
            found.append(own[name])
    return found
