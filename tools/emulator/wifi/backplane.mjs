// Function 1 of the bus: the chip's internals. The host holds its two processor cores in reset, loads their program and
// releases them. The program is stored but never runs; the other modules do its work.

import {
  ABORT_READ, BACKPLANE, CHIP_ID_43439, CLOCK, IN_RESET, SDIO, SLEEP, WINDOW_MASK, words,
} from './protocol.mjs';

export class Backplane {
  /** @param onAbort  the host does not want the packet that it was reading */
  constructor(onAbort) {
    this.onAbort = onAbort;
    this.reset();
  }

  reset() {
    this.window = 0;
    this.sdio = new Map();
    this.registers = new Map([
      [BACKPLANE.CHIP_ID, CHIP_ID_43439],
      [BACKPLANE.ARM_RESET, IN_RESET],
      [BACKPLANE.RAM_RESET, IN_RESET],
    ]);
    this.ram = null;
  }

  /** True when the host has released the processor from reset. */
  get isRunning() {
    return !(this.registers.get(BACKPLANE.ARM_RESET) & IN_RESET);
  }

  read(address, length) {
    if (address >= SDIO.START) {
      return words(this.#readSdio(address)).subarray(0, length);
    }
    const at = this.#windowed(address);
    return at < BACKPLANE.RAM_SIZE
      ? this.#ram().subarray(at, at + length)
      : words(this.registers.get(at) ?? 0, 0).subarray(0, length);
  }

  write(address, bytes) {
    if (address >= SDIO.START) {
      this.#writeSdio(address, bytes[0]);
      return;
    }
    const at = this.#windowed(address);
    if (at < BACKPLANE.RAM_SIZE) {
      bytes.copy(this.#ram(), at);
    } else {
      this.#writeRegister(at, bytes.readUIntLE(0, Math.min(4, bytes.length)));
    }
  }

  #windowed(address) {
    return (this.window + (address & WINDOW_MASK)) >>> 0;
  }

  #ram() {
    this.ram ??= Buffer.alloc(BACKPLANE.RAM_SIZE);
    return this.ram;
  }

  #writeRegister(address, value) {
    const old = this.registers.get(address) ?? 0;
    const acknowledges = address === BACKPLANE.SDIO_INTERRUPT; // a one clears the bit
    this.registers.set(address, acknowledges ? old & ~value : value);
  }

  #readSdio(address) {
    const value = this.sdio.get(address) ?? 0;
    switch (address) {
      case SDIO.CLOCK: // both clocks are there at once
        return value | CLOCK.ALP_AVAILABLE | (this.isRunning ? CLOCK.HT_AVAILABLE : 0);
      case SDIO.SLEEP:
        return value & SLEEP.KEEP_ON ? SLEEP.KEEP_ON | SLEEP.DEVICE_ON : 0;
      default:
        return value;
    }
  }

  #writeSdio(address, value) {
    this.sdio.set(address, value);
    if (address >= SDIO.WINDOW_LOW && address <= SDIO.WINDOW_HIGH) {
      const [low, middle, high] = [SDIO.WINDOW_LOW, SDIO.WINDOW_MID, SDIO.WINDOW_HIGH]
        .map((part) => this.sdio.get(part) ?? 0);
      this.window = (((high << 24) | (middle << 16) | (low << 8)) & ~WINDOW_MASK) >>> 0;
    } else if (address === SDIO.FRAME_CONTROL && value & ABORT_READ) {
      this.onAbort();
    }
  }
}
