// The RP2040's UART, an ARM PL011 (RP2040 datasheet, section 4.2), with both FIFOs, their trigger levels and the
// receive timeout. rp2040js' own model has none of the three. MicroPython's PPP needs the receive timeout: UART.IRQ_RXIDLE
// signals that a frame has arrived (extmod/network_ppp_lwip.c).
//
// DMA, break, parity and framing errors are left out. The host's bytes wait for room in the receive FIFO, as if RTS and CTS
// were wired, so a slow emulator loses nothing that a chip would have received.

import { BasePeripheral, FIFO } from 'rp2040js';

const DR = 0x00;
const RSR = 0x04;
const FR = 0x18;
const IBRD = 0x24;
const FBRD = 0x28;
const LCR_H = 0x2c;
const CR = 0x30;
const IFLS = 0x34;
const IMSC = 0x38;
const RIS = 0x3c;
const MIS = 0x40;
const ICR = 0x44;
const DMACR = 0x48;

const FR_BUSY = 1 << 3;
const FR_RXFE = 1 << 4;
const FR_TXFF = 1 << 5;
const FR_RXFF = 1 << 6;
const FR_TXFE = 1 << 7;
const LCR_FEN = 1 << 4;
const CR_UARTEN = 1 << 0;
const CR_TXE = 1 << 8;
const CR_RXE = 1 << 9;
const RX = 1 << 4;
const TX = 1 << 5;
const RX_TIMEOUT = 1 << 6;

const FIFO_DEPTH = 32;
const LEVELS = [4, 8, 16, 24, 28]; // trigger levels of 32 bytes, by the values of IFLS
const BITS_PER_BYTE = 10; // start, 8 data, stop
const TIMEOUT_BITS = 32;
const IDLE_BYTE_NANOS = 10_000; // while the program has not set a baud rate

export class Uart extends BasePeripheral {
  /** @param onData  called with a Buffer of the data that the chip has sent */
  constructor(mcu, name, irq, onData) {
    super(mcu, name);
    this.irq = irq;
    this.onData = onData;
    this.received = new FIFO(FIFO_DEPTH);
    this.sending = new FIFO(FIFO_DEPTH);
    this.sent = [];
    this.line = []; // Buffers from the host that have not reached the FIFO
    this.lineOffset = 0;
    this.lineLength = 0;
    this.registers = { [CR]: CR_RXE | CR_TXE, [IFLS]: 0x12 };
    this.raw = 0;
    this.receiveAlarm = alarm(mcu.clock, () => this.#receiveByte());
    this.timeoutAlarm = alarm(mcu.clock, () => this.#raise(RX_TIMEOUT));
    this.sendAlarm = alarm(mcu.clock, () => this.#sendByte());
  }

  /** Takes bytes from the host. */
  write(bytes) {
    if (bytes.length) {
      this.line.push(bytes);
      this.lineLength += bytes.length;
      this.#continueReceiving();
    }
  }

  /** Whether bytes are on their way out. */
  get isSending() {
    return !this.sending.empty;
  }

  /** Passes the data that the chip has sent to `onData`, once per turn and not per byte. */
  flush() {
    if (this.sent.length) {
      this.onData(Buffer.from(this.sent));
      this.sent = [];
    }
  }

  /** Called by rp2040js when the chip's clocks change; the bit time is computed when it is needed. */
  clkPeriChanged() {}

  #register(offset) {
    return this.registers[offset] ?? 0;
  }

  get #bitNanos() {
    const divisor = this.#register(IBRD) + this.#register(FBRD) / 64;
    return divisor ? (divisor * 16 * 1e9) / this.rp2040.clkPeri : IDLE_BYTE_NANOS / BITS_PER_BYTE;
  }

  get #byteNanos() {
    return BITS_PER_BYTE * this.#bitNanos;
  }

  get #fifosEnabled() {
    return !!(this.#register(LCR_H) & LCR_FEN);
  }

  get #depth() {
    return this.#fifosEnabled ? FIFO_DEPTH : 1;
  }

  get #receiveLevel() {
    return this.#fifosEnabled ? LEVELS[(this.#register(IFLS) >> 3) & 7] ?? FIFO_DEPTH : 1;
  }

  get #sendLevel() {
    return this.#fifosEnabled ? LEVELS[this.#register(IFLS) & 7] ?? FIFO_DEPTH : 0;
  }

  #isEnabled(direction) {
    return (this.#register(CR) & (CR_UARTEN | direction)) === (CR_UARTEN | direction);
  }

  #continueReceiving() {
    if (this.lineLength && !this.receiveAlarm.scheduled && this.received.itemCount < this.#depth) {
      this.receiveAlarm.schedule(this.#byteNanos);
    }
  }

  #receiveByte() {
    if (!this.#isEnabled(CR_RXE)) { // no listener: the byte is lost
      this.line = [];
      this.lineLength = this.lineOffset = 0;
      return;
    }
    this.received.push(this.#nextFromLine());
    if (this.received.itemCount >= this.#receiveLevel) {
      this.#raise(RX);
    }
    this.#startTimeout();
    this.#continueReceiving();
  }

  #startTimeout() {
    this.timeoutAlarm.schedule(TIMEOUT_BITS * this.#bitNanos);
  }

  #nextFromLine() {
    const [first] = this.line;
    const byte = first[this.lineOffset++];
    this.lineLength--;
    if (this.lineOffset === first.length) {
      this.line.shift();
      this.lineOffset = 0;
    }
    return byte;
  }

  #readData() {
    const byte = this.received.pull();
    if (this.received.itemCount < this.#receiveLevel) {
      this.#clear(RX);
    }
    if (this.received.empty) {
      this.timeoutAlarm.cancel();
      this.#clear(RX_TIMEOUT);
    } else {
      this.#startTimeout(); // MicroPython's handler leaves bytes in the FIFO, and relies on being called again
    }
    this.#continueReceiving();
    return byte;
  }

  #writeData(byte) {
    if (!this.#isEnabled(CR_TXE) || this.sending.itemCount >= this.#depth) {
      return; // as on the chip: nothing waits for the program
    }
    this.sending.push(byte);
    if (this.sending.itemCount > this.#sendLevel) {
      this.#clear(TX);
    }
    if (!this.sendAlarm.scheduled) {
      this.sendAlarm.schedule(this.#byteNanos);
    }
  }

  #sendByte() {
    this.sent.push(this.sending.pull());
    if (this.sending.itemCount <= this.#sendLevel) {
      this.#raise(TX);
    }
    if (!this.sending.empty) {
      this.sendAlarm.schedule(this.#byteNanos);
    }
  }

  #raise(bits) {
    this.raw |= bits;
    this.#updateInterrupt();
  }

  #clear(bits) {
    this.raw &= ~bits;
    this.#updateInterrupt();
  }

  #updateInterrupt() {
    this.rp2040.setInterrupt(this.irq, !!(this.raw & this.#register(IMSC)));
  }

  get #flags() {
    const { received, sending } = this;
    return (received.empty ? FR_RXFE : 0) | (received.itemCount >= this.#depth ? FR_RXFF : 0)
      | (sending.empty ? FR_TXFE : FR_BUSY) | (sending.itemCount >= this.#depth ? FR_TXFF : 0);
  }

  readUint32(offset) {
    switch (offset) {
      case DR:
        return this.#readData();
      case RSR:
        return 0;
      case FR:
        return this.#flags;
      case RIS:
        return this.raw;
      case MIS:
        return this.raw & this.#register(IMSC);
      default:
        return this.#register(offset);
    }
  }

  writeUint32(offset, value) {
    switch (offset) {
      case DR:
        this.#writeData(value & 0xff);
        break;
      case RSR:
      case DMACR:
        break;
      case ICR:
        this.#clear(this.rawWriteValue);
        break;
      default:
        this.registers[offset] = value;
        this.#updateInterrupt();
    }
  }
}

/** rp2040js leaves an expired alarm marked as scheduled. */
function alarm(clock, callback) {
  const result = clock.createAlarm(() => {
    result.scheduled = false;
    callback();
  });
  return result;
}
