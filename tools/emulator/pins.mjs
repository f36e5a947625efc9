// The wires at the GPIO pins: their level results from the chip's output and from the devices outside.
//
// rp2040js keeps output and input apart. On the chip, a program that reads a pin reads the wire, even if it drives the pin
// itself. A wire has the level that the chip drives, or else the one given from outside, or else that of the pull. If several
// devices are connected to a wire, it is low while any of them pulls it low.

import { GPIOPinState } from 'rp2040js';

const { High, Low, InputPullUp } = GPIOPinState;

export class Pins {
  /** @param onChange  called with (pin, level) when a wire's level changes */
  constructor(onChange) {
    this.onChange = onChange;
    this.outside = new Map(); // pin: Map of device: level
    this.levels = [];
    this.busPins = new Set();
    this.listeners = new Map(); // pin: Map of device: function of the level the chip drives (1, 0, or null)
  }

  /** Connects the wires to a chip. Their devices stay. */
  connect(mcu) {
    this.gpio = mcu.gpio;
    this.gpio.forEach((pin, number) => {
      pin.addListener(() => this.#chipChanged(number));
      this.#update(number);
    });
  }

  /** Sets the level with which `device` drives a wire from outside; null stops driving it. */
  drive(number, level, device = null) {
    if (!(number in this.gpio)) {
      throw new Error(`There is no pin ${number}.`);
    }
    set(this.outside, number, device, level === null ? null : Number(Boolean(level)));
    this.#update(number);
  }

  /** Calls `listener` of `device` with the level that the chip drives on a pin: 1, 0, or null if it does not drive it. */
  watch(number, device, listener) {
    set(this.listeners, number, device, listener);
  }

  /** Takes a device off the wire. */
  leave(number, device) {
    this.watch(number, device, null);
    this.drive(number, null, device);
  }

  /**
   * Leaves a pin to a bus, of which only the level from outside is known, not who drives it.
   * @returns a function that sets that level
   */
  leaveToBus(number) {
    this.busPins.add(number);
    return (level) => this.gpio[number].setInputValue(level);
  }

  level(number) {
    return this.levels[number];
  }

  #driven(number) {
    const { value } = this.gpio[number];
    return value === High ? 1 : value === Low ? 0 : null;
  }

  #chipChanged(number) {
    const driven = this.#driven(number);
    this.listeners.get(number)?.forEach((listener) => listener(driven));
    this.#update(number);
  }

  #update(number) {
    if (this.busPins.has(number)) {
      return;
    }
    const pulled = this.gpio[number].value === InputPullUp ? 1 : 0;
    const outside = this.outside.get(number);
    const level = this.#driven(number) ?? (outside?.size ? Math.min(...outside.values()) : pulled);
    if (this.gpio[number].rawInputValue !== !!level) {
      this.gpio[number].setInputValue(!!level);
    }
    if (this.levels[number] !== level) {
      this.levels[number] = level;
      this.onChange(number, level);
    }
  }
}

/** Notes `value` of a device at a pin; null removes it. */
function set(map, number, device, value) {
  const devices = map.get(number) ?? new Map();
  map.set(number, devices);
  if (value === null) {
    devices.delete(device);
  } else {
    devices.set(device, value);
  }
}
