// The ring oscillator with its random bit (RP2040 datasheet, section 2.17). Without it os.urandom(), TCP's first
// sequence numbers and the choice of ports would be the same after every start.

import { BasePeripheral } from 'rp2040js';

const STATUS = 0x18;
const RANDOM_BIT = 0x1c;
const STABLE_AND_ENABLED = 0x80001000;

export class RingOscillator extends BasePeripheral {
  /** @param seed  a number: the same one gives the same bits */
  constructor(mcu, seed) {
    super(mcu, 'ROSC');
    this.state = seed >>> 0 || 1;
  }

  readUint32(offset) {
    switch (offset) {
      case STATUS:
        return STABLE_AND_ENABLED;
      case RANDOM_BIT:
        return this.#nextBit();
      default:
        return 0;
    }
  }

  writeUint32() {}

  #nextBit() { // xorshift32
    this.state ^= this.state << 13;
    this.state ^= this.state >>> 17;
    this.state ^= this.state << 5;
    return (this.state >>> 7) & 1;
  }
}
