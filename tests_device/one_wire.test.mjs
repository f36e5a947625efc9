// A 1-Wire bus with several thermometers on one pin. The test is the master.

import assert from 'node:assert/strict';
import test from 'node:test';

import { Pins } from '../tools/emulator/pins.mjs';
import { Ds18b20 } from '../tools/emulator/sensors/ds18b20.mjs';

const LOW = 0; // rp2040js' numbers for the states of a pin
const INPUT = 3; // input with pull-up
const SEARCH_ROM = 0xf0;
const MATCH_ROM = 0x55;
const SKIP_ROM = 0xcc;
const CONVERT = 0x44;
const READ_SCRATCHPAD = 0xbe;

/** The chip's side of the wire, with a clock of the test. */
class Master {
  constructor() {
    this.nanos = 0;
    this.alarms = [];
    this.gpio = [{
      value: INPUT,
      addListener: (listener) => { this.changed = listener; },
      setInputValue: () => {},
    }];
    this.pins = new Pins(() => {});
    this.pins.connect({ gpio: this.gpio });
  }

  createAlarm(callback) {
    const alarm = { at: Infinity, callback, schedule: (delay) => { alarm.at = this.nanos + delay; } };
    this.alarms.push(alarm);
    return alarm;
  }

  attach(serial, temperature) {
    const part = new Ds18b20(this.pins, 0, serial);
    part.reset(this);
    part.set({ temperature });
    return part;
  }

  wait(micros) {
    const end = this.nanos + micros * 1e3;
    for (;;) {
      const [next] = this.alarms.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
      if (!next) {
        break;
      }
      this.nanos = next.at;
      next.at = Infinity;
      next.callback();
    }
    this.nanos = end;
  }

  pulse(micros) {
    this.#set(LOW);
    this.wait(micros);
    this.#set(INPUT);
  }

  #set(value) {
    this.gpio[0].value = value;
    this.changed();
  }

  /** True if any part answers. */
  reset() {
    this.pulse(480);
    this.wait(70);
    const present = this.pins.level(0) === 0;
    this.wait(410);
    return present;
  }

  readBit() {
    this.pulse(5);
    this.wait(8);
    const bit = this.pins.level(0);
    this.wait(50);
    return bit;
  }

  writeBit(bit) {
    this.pulse(bit ? 6 : 60);
    this.wait(bit ? 60 : 6);
  }

  write(...bytes) {
    bytes.forEach((byte) => bitsOf(byte).forEach((bit) => this.writeBit(bit)));
  }

  read(count) {
    const byte = () => Array.from({ length: 8 }, () => this.readBit()).reduceRight((value, bit) => value * 2 + bit, 0);
    return Array.from({ length: count }, byte);
  }

  /** The serial numbers of all parts, as lists of bits. */
  search(start = []) {
    this.reset();
    this.write(SEARCH_ROM);
    const found = [];
    while (found.length < 64) {
      const [one, zero] = [this.readBit(), this.readBit()];
      assert.ok(!(one && zero), 'no part answers');
      const wanted = start[found.length] ?? one;
      if (!one && !zero && found.length >= start.length) {
        return [...this.search([...found, 0]), ...this.search([...found, 1])];
      }
      found.push(wanted);
      this.writeBit(wanted);
    }
    return [found];
  }

  temperature(rom) {
    this.reset();
    this.write(MATCH_ROM);
    rom.forEach((bit) => this.writeBit(bit));
    this.write(READ_SCRATCHPAD);
    const [low, high] = this.read(9);
    return Buffer.from([low, high]).readInt16LE() / 16;
  }
}

function bitsOf(byte) {
  return Array.from({ length: 8 }, (_, bit) => (byte >> bit) & 1);
}

const PARTS = { 0x0000a1b2c3: 21.5, 0x0000a1b2c4: -10.0625, 0x7fffffffffff: 125, 1: 0.5 };

test('each of several thermometers on a pin is found and read by its own serial number', () => {
  const master = new Master();
  const parts = Object.entries(PARTS).map(([serial, degrees]) => master.attach(Number(serial), degrees));
  assert.ok(master.reset());
  master.write(SKIP_ROM, CONVERT);
  const found = Object.fromEntries(master.search().map((rom) => [rom.join(''), master.temperature(rom)]));
  const expected = parts.map((part, index) => [part.rom.flatMap(bitsOf).join(''), Object.values(PARTS)[index]]);
  assert.deepEqual(found, Object.fromEntries(expected));
});

test('removing one from the wire does not affect the others', () => {
  const master = new Master();
  const [first, second] = [master.attach(1, 1), master.attach(2, 2)];
  master.pins.leave(0, first);
  assert.deepEqual(master.search(), [second.rom.flatMap(bitsOf)]);
  master.pins.leave(0, second);
  assert.ok(!master.reset());
  master.attach(3, 3);
  assert.ok(master.reset());
});
