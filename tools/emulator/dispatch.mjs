// A faster interpreter, made from rp2040js' own.
//
// The package's executeInstruction() is a chain of 83 `if (opcode matches) ... else if ...`. This takes its source
// apart and puts the same bodies behind one table of 65,536 entries and a `switch`, with the registers and the memory
// in local variables. It is twice as fast, and every instruction does the same as in the package. The package's version is
// fixed; another version that looks different is refused.
//
// One body is ours: the package's SEV does nothing, but MicroPython's scheduler needs it to end a WFE.

const CASE = /^ {8}(?:else )?if \((.*)\) \{$/;
const LAST_CASE = /^ {8}else \{$/;
const END = /^ {8}\}$/;
const SEV = 'opcode === 0b1011111101000000';
const CASES = 84;
const WIDE = 255; // there are few 32-bit instructions, so they stay a chain of ifs

/** Takes executeInstruction() apart: [{condition, body}], the last one (an unknown instruction) without condition. */
function parseCases(source) {
  const cases = [];
  let body = null;
  for (const line of source.split('\n')) {
    const match = line.match(CASE);
    if ((match && match[1].includes('opcode')) || LAST_CASE.test(line)) {
      body = [];
      cases.push({ condition: match?.[1], body });
    } else if (END.test(line)) {
      body = null;
    } else {
      body?.push(line);
    }
  }
  if (cases.length !== CASES) {
    throw new Error(`This is not the rp2040js that dispatch.mjs was made for: ${cases.length} instructions.`);
  }
  cases.find(({ condition }) => condition === SEV).body = ['core.eventRegistered = true;'];
  return cases;
}

/** The body of a method as code for a function that has the registers in R and the object in `core`. */
function asLocalCode(lines) {
  return lines.join('\n')
    .replace(/this\.registers/g, 'R')
    .replace(/this\.PC\b/g, 'R[15]')
    .replace(/this\.SP = (.*);/g, 'R[13] = ($1) & ~3;')
    .replace(/this\.SP ([+-])= (.*);/g, 'R[13] = (R[13] $1 ($2)) & ~3;')
    .replace(/this\.SP\b/g, 'R[13]')
    .replace(/this\.cyclesIO/g, 'cyclesIO')
    .replace(/this\./g, 'core.');
}

function chain(cases) {
  return cases.map(({ condition, body }) => (
    `${condition ? `if (${condition})` : ''} {\n${asLocalCode(body)}\n}`
  )).join(' else ');
}

/** For each first halfword the number of its case. */
function buildTable(cases) {
  const choose = new Function('opcode', 'opcode2',
    cases.map(({ condition }, index) => `${condition ? `if (${condition}) ` : ''}return ${index};`).join('\n'));
  const isWide = (opcode) => opcode >> 12 === 0b1111 || opcode >> 11 === 0b11101;
  return Uint8Array.from({ length: 65536 }, (_, opcode) => (isWide(opcode) ? WIDE : choose(opcode, 0)));
}

function buildRunner(cases) {
  const unknown = cases.at(-1);
  const wide = [...cases.filter(({ condition }) => condition?.includes('opcode2')), unknown];
  const branches = cases.slice(0, -1).map(({ body }, index) => (
    `case ${index}: {\n${asLocalCode(body)}\nbreak; }`
  )).join('\n');
  return new Function('core', 'mcu', 'clock', 'table', `
    const R = core.registers, flash16 = mcu.flash16, sram16 = new Uint16Array(mcu.sram.buffer);
    const pcRegister = 15, spRegister = 13, LOG_NAME = 'core';
    const signExtend8 = (value) => (value << 24) >> 24, signExtend16 = (value) => (value << 16) >> 16;

    function cyclesIO(address, write) {
      address >>>= 0;
      if (address >= 0xd0000000 && address < 0xe0000000) return 0;
      if (address >= 0x40000000 && address < 0x50000000) return write ? 4 : 3;
      return 1;
    }

    function executeWide(opcode, opcode2, opcodePC) {
      let deltaCycles = 1;
      ${chain(wide)}
      return deltaCycles;
    }

    return function run(limit, cycleNanos, stop) {
      let count = 0;
      while (count < limit && !core.waiting && !stop.requested) {
        if (core.interruptsUpdated && core.checkForInterrupts()) core.waiting = false;
        count++;
        const opcodePC = R[15] & ~1, page = opcodePC >>> 24, opcode2 = 0;
        const opcode = page === 0x10 ? flash16[(opcodePC & 0xffffff) >>> 1]
          : page === 0x20 ? sram16[(opcodePC & 0xffffff) >>> 1] : core.readUint16(opcodePC);
        R[15] += 2;
        let deltaCycles = 1;
        switch (table[opcode]) {
          ${branches}
          case ${WIDE}:
            deltaCycles = executeWide(opcode, core.readUint16(opcodePC + 2), opcodePC);
            break;
          default: {\n${asLocalCode(unknown.body)}\n}
        }
        core.cycles += deltaCycles;
        const now = clock.nanosCounter + deltaCycles * cycleNanos, alarm = clock.nextAlarm;
        if (alarm !== null && alarm.nanos <= now) clock.tick(deltaCycles * cycleNanos);
        else clock.nanosCounter = now;
      }
      return count;
    };`);
}

/** Lets the core reach RAM and flash without a chain of range checks. Words lie as on the chip: little endian. */
function shortenMemoryPaths(core, mcu) {
  const words = new Uint32Array(mcu.sram.buffer);
  const halves = new Uint16Array(mcu.sram.buffer);
  const bytes = mcu.sram;
  const flashWords = new Uint32Array(mcu.flash.buffer);
  const flashHalves = mcu.flash16;
  const flashBytes = mcu.flash;
  const size = bytes.length;
  const inRam = (offset) => offset >= 0 && offset < size;
  const inFlash = (address) => address >>> 24 === 0x10;
  const { readUint32, readUint16, readUint8, writeUint32, writeUint16, writeUint8 } = Object.getPrototypeOf(mcu);
  core.readUint32 = (address) => {
    const offset = (address >>> 0) - 0x20000000;
    if (inRam(offset) && !(address & 3)) return words[offset >> 2];
    if (inFlash(address) && !(address & 3)) return flashWords[(address & 0xffffff) >> 2];
    return readUint32.call(mcu, address >>> 0);
  };
  core.readUint16 = (address) => {
    const offset = (address >>> 0) - 0x20000000;
    if (inRam(offset) && !(address & 1)) return halves[offset >> 1];
    if (inFlash(address) && !(address & 1)) return flashHalves[(address & 0xffffff) >> 1];
    return readUint16.call(mcu, address >>> 0);
  };
  core.readUint8 = (address) => {
    const offset = (address >>> 0) - 0x20000000;
    if (inRam(offset)) return bytes[offset];
    if (inFlash(address)) return flashBytes[address & 0xffffff];
    return readUint8.call(mcu, address >>> 0);
  };
  core.writeUint32 = (address, value) => {
    const offset = (address >>> 0) - 0x20000000;
    if (inRam(offset) && !(address & 3)) words[offset >> 2] = value;
    else writeUint32.call(mcu, address >>> 0, value);
  };
  core.writeUint16 = (address, value) => {
    const offset = (address >>> 0) - 0x20000000;
    if (inRam(offset) && !(address & 1)) halves[offset >> 1] = value;
    else writeUint16.call(mcu, address >>> 0, value);
  };
  core.writeUint8 = (address, value) => {
    const offset = (address >>> 0) - 0x20000000;
    if (inRam(offset)) bytes[offset] = value;
    else writeUint8.call(mcu, address >>> 0, value);
  };
}

let shared = null;

/**
 * Returns run(limit, cycleNanos, stop): executes up to `limit` instructions, each cycle of `cycleNanos`, until the core
 * waits for an event or `stop.requested` is set; returns how many it executed.
 */
export function fastRunner(mcu) {
  const { core, clock } = mcu;
  if (!shared) {
    const cases = parseCases(core.constructor.prototype.executeInstruction.toString());
    shared = { table: buildTable(cases), build: buildRunner(cases) };
  }
  shortenMemoryPaths(core, mcu);
  return shared.build(core, mcu, clock, shared.table);
}

/** Does the same with the package's own interpreter, which is half as fast, for comparison. */
export function plainRunner(mcu) {
  const { core, clock } = mcu;
  return (limit, cycleNanos, stop) => {
    let count = 0;
    for (; count < limit && !core.waiting && !stop.requested; count++) {
      clock.tick(core.executeInstruction() * cycleNanos);
    }
    return count;
  };
}
