// A host at the wires of the Wi-Fi chip's model, like the driver on a Pico W, and a clock for both.

import { Cyw43439 } from '../../tools/emulator/wifi/cyw43439.mjs';
import {
  BACKPLANE, CONTROL, EVENT, FUNCTION, REGISTER, SDIO, SDPCM, COMMAND, STATUS, swapHalves, words,
} from '../../tools/emulator/wifi/protocol.mjs';

export const MAC = '28:cd:c1:00:00:01';
export const OTHER = Buffer.from('021122334455', 'hex');
export const HOME = { ssid: 'home', bssid: '02:00:00:00:10:01', key: 'correct horse', security: 'wpa2', channel: 6, rssi: -50 };
export const CAFE = { ssid: 'cafe', bssid: '02:00:00:00:10:02', key: '', security: 'open', channel: 11, rssi: -70 };

/** A clock that the test advances. */
class Time {
  constructor() {
    this.milliseconds = 0;
    this.alarms = [];
  }

  now() {
    return this.milliseconds;
  }

  after(milliseconds, action) {
    this.alarms.push({ at: this.milliseconds + milliseconds, action });
  }

  pass(milliseconds) {
    const end = this.milliseconds + milliseconds;
    for (;;) {
      const next = this.alarms.filter(({ at }) => at <= end).sort((one, other) => one.at - other.at)[0];
      if (!next) {
        break;
      }
      this.alarms.splice(this.alarms.indexOf(next), 1);
      this.milliseconds = Math.max(this.milliseconds, next.at);
      next.action();
    }
    this.milliseconds = end;
  }
}

export class Host {
  constructor({ accessPoints = [HOME, CAFE], random = Math.random } = {}) {
    this.time = new Time();
    this.sent = []; // messages to the air
    this.stations = []; // the chip's reports about its link
    this.beacon = null;
    this.wake = false;
    this.gpio = 0;
    this.sequence = 0;
    this.request = 0;
    this.isConfigured = false;
    this.chip = new Cyw43439({
      mac: MAC,
      clock: this.time,
      random,
      hooks: {
        onHostWake: (level) => { this.wake = level; },
        onGpio: (levels) => { this.gpio = levels; },
        onThing: (thing) => this.sent.push(thing),
        onStation: (state) => this.stations.push(state),
        onAccessPoint: (beacon) => { this.beacon = beacon; },
      },
    });
    this.chip.air.change({ accessPoints });
  }

  // --- the bus

  command(write, target, address, length) {
    return ((write << 31) | (1 << 30) | (target << 28) | (address << 11) | length) >>> 0;
  }

  /** Makes a transaction: it sends words, and then receives `count` words. */
  transfer(out, count) {
    const { bus } = this.chip;
    const order = (word) => (this.isConfigured ? word >>> 0 : swapHalves(word));
    bus.select();
    out.forEach((word) => bus.writeWord(order(word)));
    const answer = Array.from({ length: count }, () => order(bus.readWord()));
    bus.deselect();
    return answer;
  }

  read(target, address, length) {
    const delay = target === FUNCTION.BACKPLANE && this.isConfigured ? 4 : target === FUNCTION.BACKPLANE ? 1 : 0;
    const size = (length + 3) >> 2;
    const answer = this.transfer([this.command(0, target, address, length)], delay + size);
    return words(...answer.slice(delay)).subarray(0, length);
  }

  write(target, address, bytes) {
    const padded = Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
    const data = Array.from({ length: padded.length / 4 }, (_, index) => padded.readUInt32LE(4 * index));
    this.transfer([this.command(1, target, address, bytes.length), ...data], 0);
  }

  writeBackplane(address, bytes) {
    const window = [address >>> 8, address >>> 16, address >>> 24].map((part) => part & 0xff);
    this.write(FUNCTION.BACKPLANE, SDIO.WINDOW_LOW, Buffer.from([window[0] & 0x80]));
    this.write(FUNCTION.BACKPLANE, SDIO.WINDOW_MID, Buffer.from([window[1]]));
    this.write(FUNCTION.BACKPLANE, SDIO.WINDOW_HIGH, Buffer.from([window[2]]));
    this.write(FUNCTION.BACKPLANE, address & 0x7fff, bytes);
  }

  /** Switches the power on, configures the bus like the driver, and releases the chip's processor. */
  start() {
    this.chip.setPower(true);
    const control = CONTROL.WORD_32 | CONTROL.INTERRUPT_HIGH | 0x10;
    this.write(FUNCTION.BUS, REGISTER.CONTROL, Buffer.from([control, 4, 0, 0]));
    this.isConfigured = true;
    this.write(FUNCTION.BUS, REGISTER.RESPONSE_DELAY_F1, Buffer.from([16]));
    this.write(FUNCTION.BUS, REGISTER.INTERRUPT_ENABLE, Buffer.from([0x20, 0]));
    this.writeBackplane(BACKPLANE.ARM_RESET, Buffer.from([0]));
    return this;
  }

  // --- packets

  sendPacket(channel, body, padding = 0) {
    const size = SDPCM.HEADER + padding + body.length;
    const header = Buffer.alloc(SDPCM.HEADER + padding);
    header.writeUInt16LE(size, 0);
    header.writeUInt16LE(~size & 0xffff, 2);
    header[4] = this.sequence++ & 0xff;
    header[5] = channel;
    header[7] = header.length;
    this.write(FUNCTION.WLAN, 0, Buffer.concat([header, body]));
  }

  /** Returns the next packet of the chip, {channel, credit, body}, or null. */
  receivePacket() {
    const status = this.read(FUNCTION.BUS, REGISTER.STATUS, 4).readUInt32LE(0);
    if (!(status & STATUS.F2_PACKET)) {
      return null;
    }
    const packet = this.read(FUNCTION.WLAN, 0, (status >>> STATUS.F2_LENGTH_SHIFT) & 0x7ff);
    return { channel: packet[5], credit: packet[9], body: packet.subarray(packet[7]) };
  }

  receiveAll() {
    const packets = [];
    for (let packet = this.receivePacket(); packet; packet = this.receivePacket()) {
      packets.push(packet);
    }
    return packets;
  }

  /** Returns the events that have arrived: [{type, status, reason, flags, data}]. */
  events() {
    return this.receiveAll().filter(({ channel }) => channel === SDPCM.EVENT).map(({ body }) => {
      const message = body.subarray(4 + 4 * body[3] + 24);
      return {
        flags: message.readUInt16BE(2),
        type: message.readUInt32BE(4),
        status: message.readUInt32BE(8),
        reason: message.readUInt32BE(12),
        data: message.subarray(48),
      };
    });
  }

  /** Returns the Ethernet frames that have arrived. */
  frames() {
    return this.receiveAll().filter(({ channel }) => channel === SDPCM.DATA)
      .map(({ body }) => body.subarray(4 + 4 * body[3]));
  }

  /** Sends a command, and returns its answer: {status, value}. */
  ask(command, argument, { set = true, access_point: accessPoint = false } = {}) {
    const flags = (++this.request << 16) | (accessPoint ? 1 << 12 : 0) | (set ? COMMAND.FLAG_SET : 0);
    this.sendPacket(SDPCM.CONTROL, Buffer.concat([words(command, argument.length, flags, 0), argument]));
    const { channel, body } = this.receivePacket();
    if (channel !== SDPCM.CONTROL || body.readUInt32LE(8) >>> 16 !== this.request) {
      throw new Error('the first packet after a command is not its answer');
    }
    return { status: body.readInt32LE(12), value: body.subarray(COMMAND.HEADER) };
  }

  setVariable(name, value, options) {
    return this.ask(COMMAND.SET_VARIABLE, Buffer.concat([Buffer.from(`${name}\0`), value]), options);
  }

  getVariable(name, size = 4) {
    const argument = Buffer.concat([Buffer.from(`${name}\0`), Buffer.alloc(size)]);
    return this.ask(COMMAND.GET_VARIABLE, argument, { set: false });
  }

  setKey(key, options) {
    const argument = Buffer.alloc(68);
    argument.writeUInt16LE(key.length, 0);
    argument.writeUInt16LE(1, 2);
    argument.write(key, 4);
    this.ask(COMMAND.SET_KEY, argument, options);
  }

  /** Requests to join a network, like the driver. */
  join(ssid, key, authentication = 0x80) {
    this.ask(COMMAND.SET_SECURITY, words(key ? 4 : 0));
    this.ask(COMMAND.SET_AUTHENTICATION, words(key ? authentication : 0));
    if (key) {
      this.setKey(key);
    }
    const name = Buffer.alloc(32);
    name.write(ssid);
    this.ask(COMMAND.SET_SSID, Buffer.concat([words(ssid.length), name]));
  }

  /** Returns a host that is in a network. */
  joined({ ssid, key } = HOME) {
    this.join(ssid, key);
    this.time.pass(1000);
    if (!this.events().some(({ type, status }) => type === EVENT.SET_SSID && status === 0)) {
      throw new Error('not joined');
    }
    return this;
  }

  sendFrame(frame, interfaceNumber = 0) {
    const header = Buffer.from([0x20, 0, interfaceNumber, 0]);
    this.sendPacket(SDPCM.DATA, Buffer.concat([header, frame]), SDPCM.PADDING);
  }
}

/** Returns an Ethernet frame. */
export function frame(to, from, text) {
  return Buffer.concat([to, from, Buffer.from([0x08, 0x00]), Buffer.from(text)]);
}
