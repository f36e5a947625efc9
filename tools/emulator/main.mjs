// Runs one board. tools/emulator/board.py starts this program and has the other ends of the file descriptors.
//
//   node main.mjs --image FILE [--flash FILE] [--drive FOLDER] [--id N] [--seed N]
//                 [--console FD] [--uart0 FD] [--uart1 FD] [--radio FD] [--control FD] [--speed N] [--plain] [--verbose]
//
// Without --console, this terminal is the board's serial port. With --radio the board is a Pico W, and FD leads to the air.

import fs from 'node:fs';
import net from 'node:net';
import tty from 'node:tty';
import { parseArgs } from 'node:util';

import { Board } from './board.mjs';
import { Bootloader } from './bootloader.mjs';
import { Control } from './control.mjs';
import { Flash } from './flash.mjs';
import { Decoder, encode } from './wifi/stream.mjs';

const LARGEST_BACKLOG = 64 * 1024; // bytes buffered for a UART; more wait in the socket
const LARGEST_OUTPUT = 64 * 1024; // unread bytes from the serial port; more are lost, as on the chip
const RETRY_MS = 2;

const { values: options } = parseArgs({
  options: {
    image: { type: 'string' },
    flash: { type: 'string' },
    drive: { type: 'string' },
    id: { type: 'string', default: '1' },
    seed: { type: 'string', default: String(Date.now()) },
    console: { type: 'string' },
    uart0: { type: 'string' },
    uart1: { type: 'string' },
    radio: { type: 'string' },
    control: { type: 'string' },
    speed: { type: 'string', default: '1' },
    plain: { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
  },
});

/** The other end of the serial port: a pseudo-terminal, whose reader may be absent for any time. */
class Terminal {
  constructor(fd) {
    this.output = fd ?? 1;
    this.input = fd === undefined ? process.stdin : new tty.ReadStream(fd);
    this.waiting = [];
    this.size = 0;
    this.input.on('error', () => {}); // the other end is closed
    if (fd === undefined && process.stdin.isTTY) {
      process.stdin.setRawMode(true);
    }
  }

  write(bytes) {
    if (this.size + bytes.length <= LARGEST_OUTPUT) {
      this.waiting.push(bytes);
      this.size += bytes.length;
    }
    this.#drain();
  }

  #drain() {
    while (this.waiting.length) {
      const written = this.#writeNow(this.waiting[0]);
      if (!written) {
        this.timer ??= setTimeout(() => {
          this.timer = null;
          this.#drain();
        }, RETRY_MS);
        return;
      }
      this.size -= written;
      this.waiting[0] = this.waiting[0].subarray(written);
      if (!this.waiting[0].length) {
        this.waiting.shift();
      }
    }
  }

  #writeNow(bytes) {
    try {
      return fs.writeSync(this.output, bytes);
    } catch (error) {
      if (error.code === 'EAGAIN') {
        return 0;
      }
      throw error;
    }
  }
}

/** A UART's other end. */
function connectUart(board, number, fd) {
  const cable = new net.Socket({ fd });
  cable.on('data', (bytes) => {
    board.writeUart(number, bytes);
    if (board.uartBacklog(number) > LARGEST_BACKLOG) {
      cable.pause();
      setTimeout(() => cable.resume(), RETRY_MS);
    }
  });
  cable.on('error', () => {});
  return cable;
}

/** The frames that the antenna receives and sends. */
function connectRadio(board, fd) {
  const stream = new net.Socket({ fd });
  const decoder = new Decoder();
  stream.on('data', (bytes) => decoder.feed(bytes).forEach((thing) => board.receiveRadio(thing)));
  stream.on('error', () => {});
  return stream;
}

function powerOff() {
  process.exit(0);
}

function openControl() {
  if (options.control === undefined) {
    return null;
  }
  const stream = new net.Socket({ fd: Number(options.control) });
  stream.on('close', powerOff); // the program that started the board has ended
  return new Control(stream, powerOff);
}

const flash = new Flash(options.flash);
if (options.image) {
  flash.writeFile(fs.readFileSync(options.image));
}
const control = openControl();
const terminal = new Terminal(options.console === undefined ? undefined : Number(options.console));
const cables = [];
let radio = null;
const bootloader = options.drive ? new Bootloader(options.drive, flash, () => board.powerOn()) : null;

const board = new Board({
  flash,
  id: Number(options.id),
  seed: Number(options.seed),
  hasWifi: options.radio !== undefined,
  speed: Number(options.speed),
  plain: options.plain,
  verbose: options.verbose,
}, {
  onConsole: (bytes) => terminal.write(bytes),
  onUart: (number, bytes) => cables[number]?.write(bytes),
  onPin: (pin, level) => control?.pinChanged(pin, level),
  onRadio: (thing) => radio?.write(encode(thing)),
  onWifi: (state) => control?.tell({ event: 'wifi', ...state }),
  onState: (state) => {
    control?.tell({ event: 'state', state });
    if (state === 'bootloader') {
      bootloader?.start();
    } else {
      bootloader?.stop();
    }
  },
});

control?.connect(board);
terminal.input.on('data', (bytes) => board.writeConsole(bytes));
for (const number of [0, 1]) {
  const fd = options[`uart${number}`];
  if (fd !== undefined) {
    cables[number] = connectUart(board, number, Number(fd));
  }
}
if (options.radio !== undefined) {
  radio = connectRadio(board, Number(options.radio));
}
process.on('SIGTERM', powerOff);
process.on('SIGINT', powerOff);
board.powerOn();
