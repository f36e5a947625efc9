// Replaces the RP2040's boot ROM. Its tables are where the SDK looks for them (RP2040 datasheet, section 2.8.3), and each
// function in them is a breakpoint that calls JavaScript.
//
// So the real ROM's binary is not needed, and a memcpy or a float division costs one instruction.

import { doubleFunctions, floatFunctions } from './bootrom_float.mjs';

const ROM_SIZE = 16 * 1024;
const VERSION = 3; // RP2040 B2
const FIRST_FUNCTION = 0x100;
const STACK_TOP = 0x20042000;
const BKPT = 0xbe00;
const BX_LR = 0x4770;

export class BootRom {
  /**
   * @param mcu      the chip
   * @param flash    erase(offset, size) and program(offset, bytes)
   * @param onUsbBoot  called when the program asks for the bootloader
   */
  constructor(mcu, flash, onUsbBoot) {
    this.mcu = mcu;
    this.registers = mcu.core.registers;
    this.functions = [];
    this.bytes = new Uint8Array(ROM_SIZE);
    this.view = new DataView(this.bytes.buffer);
    this.end = FIRST_FUNCTION;
    this.#writeTables(this.#romFunctions(flash, onUsbBoot));
    mcu.loadBootrom(new Uint32Array(this.bytes.buffer));
  }

  /** Runs the function behind a breakpoint. False if the breakpoint is not one of the ROM's. */
  call(id) {
    if (this.mcu.core.PC >= ROM_SIZE || !this.functions[id]) {
      return false;
    }
    this.functions[id]();
    return true;
  }

  #writeTables(romFunctions) {
    const { view } = this;
    const functions = Object.entries(romFunctions).map(([code, body]) => [code, this.#stub(body)]);
    const lookup = this.#stub(() => this.#tableLookup());
    const data = [
      ['SF', this.#floatTable(floatFunctions(this.registers))],
      ['SD', this.#floatTable(doubleFunctions(this.registers))],
      ['CR', this.#text('Boot ROM of the emulated board')],
      ['GR', this.#text('')],
    ];
    view.setUint32(0, STACK_TOP, true);
    for (const exception of [1, 2, 3]) {
      view.setUint32(4 * exception, FIRST_FUNCTION | 1, true);
    }
    this.bytes.set([0x4d, 0x75, 0x01, VERSION], 0x10); // "Mu", 1
    view.setUint16(0x14, this.#codeTable(functions), true);
    view.setUint16(0x16, this.#codeTable(data), true);
    view.setUint16(0x18, lookup, true);
  }

  /** Makes code that calls `body`, and returns its address as a Thumb function pointer. */
  #stub(body) {
    const address = this.end;
    this.view.setUint16(address, BKPT | this.functions.length, true);
    this.view.setUint16(address + 2, BX_LR, true);
    this.functions.push(body);
    this.end += 4;
    return address | 1;
  }

  /** Pointers to float functions; the SDK reads their number from the 16 bits before the table. */
  #floatTable(functions) {
    const entries = [];
    for (let offset = 0; offset < 0x80; offset += 4) {
      entries.push(this.#stub(functions[offset] ?? (() => {
        throw new Error(`The ROM has no float function at offset 0x${offset.toString(16)}.`);
      })));
    }
    const table = (this.end + 4) & ~3;
    this.view.setUint16(table - 2, entries.length, true);
    entries.forEach((entry, index) => this.view.setUint32(table + 4 * index, entry, true));
    this.end = table + 4 * entries.length;
    return table;
  }

  #text(text) {
    const address = this.end;
    this.bytes.set(Buffer.from(`${text}\0`), address);
    this.end = (address + text.length + 4) & ~3;
    return address;
  }

  /** Pairs of a two-letter code and a pointer, ended by zero. */
  #codeTable(entries) {
    const table = this.end;
    for (const [code, pointer] of entries) {
      this.bytes.set(Buffer.from(code), this.end);
      this.view.setUint16(this.end + 2, pointer, true);
      this.end += 4;
    }
    this.end += 4;
    return table;
  }

  #tableLookup() {
    const [table, code] = this.registers;
    for (let entry = table; this.mcu.readUint16(entry); entry += 4) {
      if (this.mcu.readUint16(entry) === (code & 0xffff)) {
        this.registers[0] = this.mcu.readUint16(entry + 2);
        return;
      }
    }
    this.registers[0] = 0;
  }

  #romFunctions(flash, onUsbBoot) {
    const R = this.registers;
    const copy = () => this.#copy(R[0], R[1], R[2]);
    const set = () => this.#fill(R[0], R[1] & 0xff, R[2]);
    const nothing = () => {};
    return {
      P3: () => { R[0] = popCount(R[0]); },
      R3: () => { R[0] = reverseBits(R[0]); },
      L3: () => { R[0] = Math.clz32(R[0]); },
      T3: () => { R[0] = R[0] ? 31 - Math.clz32(R[0] & -R[0]) : 32; },
      MS: set,
      S4: set,
      MC: copy,
      C4: copy,
      IF: nothing, // connect_internal_flash
      EX: nothing, // flash_exit_xip
      FC: nothing, // flash_flush_cache
      CX: nothing, // flash_enter_cmd_xip
      RE: () => flash.erase(R[0], R[1]),
      RP: () => flash.program(R[0], this.#memory(R[1], R[2])),
      UB: onUsbBoot,
    };
  }

  /** Returns `size` bytes of RAM or flash without a copy, or null for other addresses. */
  #memory(address, size) {
    const { sram, flash } = this.mcu;
    const ram = address - 0x20000000;
    if (ram >= 0 && ram + size <= sram.length) {
      return sram.subarray(ram, ram + size);
    }
    if (address >>> 24 >= 0x10 && address >>> 24 <= 0x13) {
      const offset = address & 0xffffff;
      return flash.subarray(offset, offset + size);
    }
    return null;
  }

  #copy(to, from, size) {
    const target = this.#memory(to, size);
    const source = this.#memory(from, size);
    if (target && source) {
      target.set(source);
      return;
    }
    for (let i = 0; i < size; i++) {
      this.mcu.writeUint8(to + i, this.mcu.readUint8(from + i));
    }
  }

  #fill(address, value, size) {
    const target = this.#memory(address, size);
    if (target) {
      target.fill(value);
      return;
    }
    for (let i = 0; i < size; i++) {
      this.mcu.writeUint8(address + i, value);
    }
  }
}

function popCount(value) {
  let count = 0;
  for (; value; value &= value - 1) {
    count++;
  }
  return count;
}

function reverseBits(value) {
  let result = 0;
  for (let bit = 0; bit < 32; bit++) {
    result = (result << 1) | ((value >>> bit) & 1);
  }
  return result;
}
