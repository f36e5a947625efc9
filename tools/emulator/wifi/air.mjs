// The surroundings of the antenna: the access points in reach, the loss and the delay of frames.
//
// A message between the chip and the air is {kind, bssid, payload}: an Ethernet frame in the network of that access point,
// or the news that a station has associated with it or left it (the payload is the station's address).

import { macBytes, macText } from './protocol.mjs';

export const KIND = { FRAME: 0, ASSOCIATED: 1, LEFT: 2 };

const MOST_WAITING = 64; // frames; more are lost, as when the chip's buffers are full
const FRAME_MS = 0.1; // the fixed part of a frame's time on the air
const BITS_PER_MS = 20_000;

/**
 * Durations in milliseconds. They are shorter than on a real chip, which needs some 2000 for a scan, 2500 to find
 * that there is no such network, 4000 for a wrong key and 5000 for a vanished access point.
 */
export const TIMING = { scan: 300, join: 60, noNetwork: 300, wrongKey: 600, beaconLoss: 1000, rejoin: 300 };

export class Air {
  /**
   * @param clock    now() in milliseconds, after(ms, function)
   * @param random   a number from 0 to 1
   * @param onThing  called with what the chip sends
   */
  constructor(clock, random, onThing) {
    this.clock = clock;
    this.random = random;
    this.onThing = onThing;
    this.accessPoints = [];
    this.loss = 0; // the share of the frames that are lost, 0 to 1
    this.delay = 0; // milliseconds, each way
    this.timing = { ...TIMING };
    this.lost = 0;
    this.onChange = () => {};
    this.onReceive = () => {};
    this.inbound = new Lane(clock, (thing) => this.onReceive(thing));
    this.outbound = new Lane(clock, (thing) => this.onThing(thing));
  }

  /**
   * Changes the surroundings.
   * @param changes  accessPoints: [{ssid, bssid, key, security, channel, rssi, hidden}], only those that are on; loss;
   *                 delay; timing
   */
  change({ accessPoints, loss, delay, timing }) {
    if (accessPoints) {
      this.accessPoints = accessPoints.map((one) => ({ ...one, mac: macBytes(one.bssid) }));
    }
    this.loss = loss ?? this.loss;
    this.delay = delay ?? this.delay;
    Object.assign(this.timing, timing);
    this.onChange();
  }

  /** Drops all frames that are under way. */
  reset() {
    this.inbound.reset();
    this.outbound.reset();
  }

  /** The access point with this address, or undefined if it is out of range. */
  find(bssid) {
    return this.accessPoints.find((one) => one.bssid === bssid);
  }

  /** Access points of that name, or all, the strongest first; `mac`: only this one. */
  search(ssid, mac = null) {
    return this.accessPoints
      .filter((one) => (!ssid || one.ssid === ssid) && (!mac || mac.equals(one.mac)))
      .sort((one, other) => other.rssi - one.rssi);
  }

  /** Takes a message from the chip. */
  send(kind, mac, payload) {
    this.#pass(this.outbound, { kind, bssid: macText(mac), payload: Buffer.from(payload) });
  }

  /** Takes a message for the chip. */
  receive(thing) {
    this.#pass(this.inbound, thing);
  }

  #pass(lane, thing) {
    const isLost = thing.kind === KIND.FRAME && this.loss > 0 && this.random() < this.loss;
    if (isLost || !lane.push(thing, this.delay)) {
      this.lost++;
    }
  }
}

/**
 * One direction. Frames keep their order, are delayed, and are not sent faster than by a radio, because bursts would
 * overrun the host.
 */
class Lane {
  constructor(clock, onThing) {
    this.clock = clock;
    this.onThing = onThing;
    this.reset();
  }

  reset() {
    this.waiting = [];
    this.freeAt = 0;
    this.life = Symbol('life'); // a timer of an earlier one does nothing
  }

  /** Returns false if too many are waiting. */
  push(thing, delay) {
    if (this.waiting.length >= MOST_WAITING) {
      return false;
    }
    const at = Math.max(this.clock.now() + delay, this.freeAt);
    this.freeAt = at + FRAME_MS + (thing.payload.length * 8) / BITS_PER_MS;
    this.waiting.push({ thing, at });
    if (this.waiting.length === 1) {
      this.#next();
    }
    return true;
  }

  #next() {
    while (this.waiting.length) {
      const pause = this.waiting[0].at - this.clock.now();
      if (pause > 0) {
        const { life } = this;
        this.clock.after(pause, () => {
          if (life === this.life) {
            this.#next();
          }
        });
        return;
      }
      this.onThing(this.waiting.shift().thing);
    }
  }
}
