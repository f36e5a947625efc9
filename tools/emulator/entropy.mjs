// The ring oscillator with its random bit (RP2040 datasheet, section 2.17). Without it os.urandom(), TCP's first
// sequence numbers and the choice of ports would be the same after every start.

import { BasePeripheral } from 'rp2040js';

/** Numbers from 0 to 1; the same seed gives the same ones (xorshift32). */
export class RandomNumbers {
  constructor(seed) {
    this.state = seed >>> 0 || 1;
  }

  next() {
    this.state ^= this.state << 13;
    this.state ^= this.state >>> 17;
    this.state ^= this.state << 5;
    return (this.state >>> 0) / 2 ** 32;
  }
}

const STATUS = 0x18;
const RANDOM_BIT = 0x1c;
const STABLE_AND_ENABLED = 0x80001000;

export class RingOscillator extends BasePeripheral {
  /** @param seed  a number: the same one gives the same bits */
  constructor(mcu, seed) {
    super(mcu, 'ROSC');
    this.numbers = new RandomNumbers(seed);
  }

  readUint32(offset) {
    switch (offset) {
      case STATUS:
        return STABLE_AND_ENABLED;
      case RANDOM_BIT:
        return this.numbers.next() < 0.5 ? 0 : 1;
      default:
        return 0;
    }
  }

  writeUint32() {}
}
