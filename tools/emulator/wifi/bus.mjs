// The gSPI: how a host reads and writes the chip, word by word, while it holds chip select.
//
// A transaction begins with a command word: write (bit 31), function (29:28), address (27:11), length (10:0). Then the host
// sends the words to write, or the chip sends the words read; if the host wants it, a status word follows.

import {
  CONTROL, FUNCTION, FUNCTION_ENABLED_AND_READY, INTERRUPT_F2_PACKET, REGISTER, STATUS, STATUS_AFTER_EACH,
  TEST_PATTERN, swapBytes, swapHalves,
} from './protocol.mjs';

const LONGEST = 2048; // a length of 0 means this
const DELAY_AT_START = 4;

export class Bus {
  /**
   * @param backplane   function 1
   * @param packets     function 2
   * @param onHostWake  the level of the interrupt line has changed
   */
  constructor(backplane, packets, onHostWake) {
    this.backplane = backplane;
    this.packets = packets;
    this.onHostWake = onHostWake;
    this.level = false;
    this.isOn = false;
    this.reset();
  }

  reset() {
    this.registers = Buffer.alloc(REGISTER.END);
    this.registers[REGISTER.RESPONSE_DELAY] = DELAY_AT_START;
    this.delayF1 = DELAY_AT_START;
    this.mode = 0;
    this.interruptEnable = 0;
    this.deselect();
    this.updateHostWake();
  }

  /** Chip select goes low. */
  select() {
    this.isSelected = true;
    this.writing = null; // the write that is under way
    this.answer = null; // words for the host
    this.position = 0;
  }

  /** Chip select goes high. */
  deselect() {
    this.select();
    this.isSelected = false;
  }

  /** True while there is data to read, which the host's clock would shift out. */
  get isReadable() {
    return this.answer !== null;
  }

  /** Takes a word from the host. Its first bit on the wire is bit 31. */
  writeWord(raw) {
    if (!this.isOn) {
      return;
    }
    const word = this.#reorder(raw);
    if (this.writing) {
      this.#takeData(word);
    } else if (!this.answer) {
      this.#begin(word);
    }
  }

  /** The next word for the host, or zeros if there is none. */
  readWord() {
    const more = this.answer && this.position < this.answer.length;
    return more ? this.#reorder(this.answer[this.position++]) : 0;
  }

  /** The interrupt line is level-triggered: it is active while there are packets and the interrupt is enabled. */
  updateHostWake() {
    const active = this.isOn && (this.#interrupt() & this.interruptEnable) !== 0;
    const isConfigured = this.isOn && this.mode !== 0;
    const level = this.mode & CONTROL.INTERRUPT_HIGH ? active : isConfigured && !active;
    if (level !== this.level) {
      this.level = level;
      this.onHostWake(level);
    }
  }

  /** After power-up, the halves of each word are swapped until the host chooses an order. The same function undoes it. */
  #reorder(word) {
    if (!(this.mode & CONTROL.WORD_32)) {
      return swapHalves(word);
    }
    return this.mode & CONTROL.BIG_ENDIAN ? swapBytes(word) : word >>> 0;
  }

  #begin(word) {
    const [target, address, length] = [(word >>> 28) & 3, (word >>> 11) & 0x1ffff, (word & 0x7ff) || LONGEST];
    const size = (length + 3) >> 2;
    if (word >>> 31) {
      this.writing = { target, address, length, data: Buffer.alloc(4 * size), filled: 0 };
    } else {
      const data = Buffer.alloc(4 * size);
      this.#read(target, address, length).copy(data, 0, 0, length);
      const delay = target === FUNCTION.BACKPLANE ? this.delayF1 >> 2 : 0;
      this.answer = [...new Array(delay).fill(0), ...new Uint32Array(data.buffer, data.byteOffset, size)];
      this.#appendStatus();
    }
  }

  #takeData(word) {
    const { target, address, length, data } = this.writing;
    this.writing.filled = data.writeUInt32LE(word, this.writing.filled);
    if (this.writing.filled === data.length) {
      this.writing = null;
      this.answer = [];
      this.#write(target, address, data.subarray(0, length));
      this.#appendStatus();
    }
  }

  #appendStatus() {
    if (this.registers[REGISTER.STATUS_ENABLE] & STATUS_AFTER_EACH) {
      this.answer.push(this.#status());
    }
  }

  #read(target, address, length) {
    switch (target) {
      case FUNCTION.BUS:
        return this.#readRegisters().subarray(address, address + length);
      case FUNCTION.BACKPLANE:
        return this.backplane.read(address, length);
      default:
        return this.packets.read();
    }
  }

  #write(target, address, bytes) {
    switch (target) {
      case FUNCTION.BUS:
        this.#writeRegisters(address, bytes);
        break;
      case FUNCTION.BACKPLANE:
        this.backplane.write(address, bytes);
        break;
      default:
        this.packets.write(bytes);
    }
  }

  #interrupt() {
    return this.packets.nextLength ? INTERRUPT_F2_PACKET : 0;
  }

  #status() {
    const { nextLength } = this.packets;
    return (this.backplane.isRunning ? STATUS.F2_RX_READY : 0)
      | (nextLength ? STATUS.F2_PACKET | (nextLength << STATUS.F2_LENGTH_SHIFT) : 0);
  }

  #readRegisters() {
    const values = Buffer.concat([this.registers, Buffer.alloc(4)]);
    values.writeUInt16LE(this.#interrupt(), REGISTER.INTERRUPT);
    values.writeUInt16LE(this.interruptEnable, REGISTER.INTERRUPT_ENABLE);
    values.writeUInt32LE(this.#status(), REGISTER.STATUS);
    values.writeUInt16LE(FUNCTION_ENABLED_AND_READY, REGISTER.F1_INFO);
    values.writeUInt16LE(this.backplane.isRunning ? FUNCTION_ENABLED_AND_READY : 1, REGISTER.F2_INFO);
    values.writeUInt32LE(TEST_PATTERN, REGISTER.TEST_READ_ONLY);
    return values;
  }

  #writeRegisters(address, bytes) {
    if (address === REGISTER.INTERRUPT_ENABLE) {
      this.interruptEnable = bytes.length > 1 ? bytes.readUInt16LE() : bytes[0];
    } else if (address !== REGISTER.INTERRUPT) { // what is pending follows the queue: nothing to acknowledge
      bytes.copy(this.registers, address);
      this.#configure(address, bytes.length);
    }
    this.updateHostWake();
  }

  /** Applies the written registers. */
  #configure(address, length) {
    if (address === REGISTER.CONTROL) {
      this.mode = this.registers[REGISTER.CONTROL];
      this.delayF1 = this.registers[REGISTER.RESPONSE_DELAY];
    }
    if (address <= REGISTER.RESPONSE_DELAY_F1 && address + length > REGISTER.RESPONSE_DELAY_F1) {
      this.delayF1 = this.registers[REGISTER.RESPONSE_DELAY_F1];
    }
  }
}
