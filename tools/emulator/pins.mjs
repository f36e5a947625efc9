// The wires at the GPIO pins: what the chip drives, what hangs on them outside, and the level that results.
//
// rp2040js keeps output and input apart; on the chip a program that reads a pin reads the wire, also one that it
// drives itself. A pin has the level that the chip drives, else the one given from outside, else that of its pull.

import { GPIOPinState } from 'rp2040js';

const { High, Low, InputPullUp } = GPIOPinState;

export class Pins {
  /** @param onChange  called with (pin, level) when a wire's level changes */
  constructor(onChange) {
    this.onChange = onChange;
    this.outside = new Map(); // pin: level
    this.levels = [];
    this.busPins = new Set();
    this.listeners = new Map(); // pin: function of the level the chip drives (1, 0, or null)
  }

  /** Connects the wires to a chip; what hangs on them stays. */
  connect(mcu) {
    this.gpio = mcu.gpio;
    this.gpio.forEach((pin, number) => {
      pin.addListener(() => this.#chipChanged(number));
      this.#update(number);
    });
  }

  /** A level from outside; null lets go of the wire. */
  drive(number, level) {
    if (!(number in this.gpio)) {
      throw new Error(`There is no pin ${number}.`);
    }
    if (level === null) {
      this.outside.delete(number);
    } else {
      this.outside.set(number, level ? 1 : 0);
    }
    this.#update(number);
  }

  /** Calls `listener` with the level that the chip drives on a pin: 1, 0, or null where it does not. */
  watch(number, listener) {
    this.listeners.set(number, listener);
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
    this.listeners.get(number)?.(this.#driven(number));
    this.#update(number);
  }

  #update(number) {
    if (this.busPins.has(number)) {
      return;
    }
    const pulled = this.gpio[number].value === InputPullUp ? 1 : 0;
    const level = this.#driven(number) ?? this.outside.get(number) ?? pulled;
    if (this.gpio[number].rawInputValue !== !!level) {
      this.gpio[number].setInputValue(!!level);
    }
    if (this.levels[number] !== level) {
      this.levels[number] = level;
      this.onChange(number, level);
    }
  }
}
