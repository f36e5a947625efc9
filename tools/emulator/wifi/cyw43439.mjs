// The CYW43439 of a Pico W, as a host sees it; it does not depend on the RP2040.
//
//   bus.mjs           words over the gSPI, registers, the interrupt line
//   backplane.mjs     the chip's internals: memory, clocks, reset
//   packets.mjs       SDPCM: commands, events and frames on one wire
//   commands.mjs      commands and variables
//   events.mjs        the format of events and scan results
//   station.mjs       scanning, joining, losing and finding a network
//   access_point.mjs  a network of the chip's own
//   air.mjs           the surroundings: access points, loss, delay
//   wiring.mjs        the wires to an RP2040
//
// A host loads the chip's own program, but it never runs: these modules do its work. There is no Bluetooth.

import { AccessPoint } from './access_point.mjs';
import { Air, KIND } from './air.mjs';
import { Backplane } from './backplane.mjs';
import { Bus } from './bus.mjs';
import { Commands } from './commands.mjs';
import { encodeEvent } from './events.mjs';
import { Packets } from './packets.mjs';
import { INTERFACE, SDPCM, macBytes, macText } from './protocol.mjs';
import { Station } from './station.mjs';

export class Cyw43439 {
  /**
   * @param mac     the address that the maker has given it, as text
   * @param clock   now() in milliseconds, after(ms, function)
   * @param random  a function: a number from 0 to 1
   * @param hooks   onHostWake(level), onGpio(levels) a bit each, onThing({kind, bssid, payload}) onto the air,
   *                onStation({link, ...}), onAccessPoint({ssid, bssid, key, security, channel} or null)
   */
  constructor({ mac, clock, random, hooks }) {
    this.madeMac = macBytes(mac);
    this.clock = clock;
    this.hooks = hooks;
    this.life = 0; // a new number makes older timers do nothing
    this.air = new Air(clock, random, (thing) => hooks.onThing(thing));
    this.air.onReceive = (thing) => this.#receive(thing);
    this.air.onChange = () => this.station.airChanged();
    this.backplane = new Backplane(() => this.packets.drop());
    this.packets = new Packets({
      onControl: (body) => this.commands.handle(body),
      onData: (interfaceNumber, frame) => this.#send(interfaceNumber, frame),
      onChange: () => this.bus.updateHostWake(),
    });
    this.bus = new Bus(this.backplane, this.packets, (level) => hooks.onHostWake(level));
    this.commands = new Commands(this, (body) => this.packets.sendControl(body));
    this.station = new Station(this);
    this.accessPoint = new AccessPoint(this);
    this.mac = this.madeMac;
    this.gpio = 0;
  }

  /** Sets the level at the chip's REG_ON pin. If it is low, the chip loses its state. */
  setPower(isOn) {
    if (isOn === this.bus.isOn) {
      return;
    }
    this.#leaveAir();
    this.life++;
    this.mac = this.madeMac;
    this.gpio = 0;
    this.bus.isOn = isOn;
    [this.air, this.backplane, this.packets, this.commands, this.station, this.accessPoint, this.bus].forEach((part) => {
      part.reset();
    });
    this.hooks.onGpio(this.gpio);
  }

  setGpio(mask, values) {
    this.gpio = (this.gpio & ~mask) | (values & mask);
    this.hooks.onGpio(this.gpio);
  }

  /** Sends an event to the host, if the host wants it. */
  tell(type, details) {
    if (this.commands.wantsEvent(type)) {
      const frame = encodeEvent(this.mac, type, details);
      this.packets.sendFrame(SDPCM.EVENT, details.interfaceNumber ?? INTERFACE.STATION, frame);
    }
  }

  /** Calls a function later, unless the power is off by then. */
  timer(milliseconds, action) {
    const { life } = this;
    this.clock.after(milliseconds, () => {
      if (life === this.life) {
        action();
      }
    });
  }

  #leaveAir() {
    if (this.station.isUp) {
      this.hooks.onStation({ link: 'down', reason: 'power off' });
    }
    if (this.accessPoint.isUp) {
      this.hooks.onAccessPoint(null);
    }
  }

  /** Takes a frame from the host. */
  #send(interfaceNumber, frame) {
    if (interfaceNumber === INTERFACE.ACCESS_POINT && this.accessPoint.isUp) {
      this.air.send(KIND.FRAME, this.mac, frame);
    } else if (interfaceNumber === INTERFACE.STATION && this.station.isUp) {
      this.air.send(KIND.FRAME, this.station.network.mac, frame);
    }
  }

  /** Takes a message from the air. */
  receive(thing) {
    if (this.bus.isOn) {
      this.air.receive(thing);
    }
  }

  /** Passes on a frame from the air, if it is for this chip. */
  #receive({ kind, bssid, payload }) {
    const isOwn = this.accessPoint.isUp && bssid === macText(this.mac);
    if (kind !== KIND.FRAME) {
      if (isOwn) {
        kind === KIND.ASSOCIATED ? this.accessPoint.associated(payload) : this.accessPoint.left(payload);
      }
    } else if (isOwn) {
      this.#deliver(INTERFACE.ACCESS_POINT, this.accessPoint, payload);
    } else if (this.station.isUp && this.station.network.bssid === bssid) {
      this.#deliver(INTERFACE.STATION, this.station, payload);
    }
  }

  #deliver(interfaceNumber, receiver, frame) {
    if (receiver.accepts(frame)) {
      this.packets.sendFrame(SDPCM.DATA, interfaceNumber, frame);
    }
  }
}
