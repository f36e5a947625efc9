// A CYW43439 on an RP2040, as on the Pico W (its datasheet, "Wireless interface"): GPIO23 power, GPIO24 data and
// interrupt, GPIO25 chip select, GPIO29 clock.
//
// A PIO state machine drives clock and data. It is recognised by its pins and not executed: while chip select is low, the
// words in its transmit FIFO go to the chip, and the chip's answers go into its receive FIFO. DMA, its requests and the
// stall flag work as usual, so the PIO program does not matter.

import { GPIOPinState } from 'rp2040js';

export const PIN = { POWER: 23, DATA: 24, SELECT: 25, CLOCK: 29 };
const CTRL = 0x000; // of a PIO block: bits 3:0 enable its state machines
const STALL = 1 << 24; // in FDEBUG, of state machine 0: its transmit FIFO was empty when it wanted a word

/** Connects the chip. This is needed once for every RP2040, also after a reset. */
export function connect(mcu, chip) {
  const machines = mcu.pio.flatMap((pio) => pio.machines);
  const taken = new Set();
  mcu.pio.forEach((pio) => watchControl(pio, chip, taken));
  mcu.gpio[PIN.POWER].addListener((state) => chip.setPower(state === GPIOPinState.High));
  mcu.gpio[PIN.SELECT].addListener((state) => {
    const isLow = state === GPIOPinState.Low;
    if (isLow === chip.bus.isSelected) {
      return;
    }
    isLow ? chip.bus.select() : chip.bus.deselect();
    machines.filter((machine) => taken.has(machine)).forEach((machine) => {
      if (isLow) {
        machine.txFIFO.reset();
      }
      machine.updateDMATx();
      machine.updateDMARx();
    });
  });
}

/** Notices which state machines are enabled. */
function watchControl(pio, chip, taken) {
  const { writeUint32 } = Object.getPrototypeOf(pio);
  pio.writeUint32 = (offset, value) => {
    if (offset !== CTRL) {
      writeUint32.call(pio, offset, value);
      return;
    }
    const ours = pio.machines.filter(isBus);
    ours.filter((machine) => !taken.has(machine)).forEach((machine) => takeOver(pio, machine, chip));
    pio.machines.filter((machine) => taken.has(machine) && !ours.includes(machine)).forEach((machine) => {
      giveBack(machine);
      taken.delete(machine);
    });
    ours.forEach((machine) => taken.add(machine));
    const bits = ours.reduce((mask, machine) => mask | (1 << machine.index), 0);
    writeUint32.call(pio, offset, value & ~bits); // the package runs the others
    ours.forEach((machine) => {
      machine.enabled = ((value >> machine.index) & 1) === 1;
      if (machine.enabled) {
        machine.drain();
      }
    });
  };
}

/** PINCTRL (RP2040 datasheet, section 3.7): one side-set bit on the clock, data in and out on the same pin. */
function isBus({ pinCtrl }) {
  const sideSet = { count: pinCtrl >>> 29, base: (pinCtrl >> 10) & 31 };
  const [input, output] = [(pinCtrl >> 15) & 31, pinCtrl & 31];
  return sideSet.count === 1 && sideSet.base === PIN.CLOCK && input === PIN.DATA && output === PIN.DATA;
}

function takeOver(pio, machine, chip) {
  const stall = STALL << machine.index;
  const { dma } = machine.rp2040;
  const { writeFIFO } = Object.getPrototypeOf(machine);
  Object.assign(machine, {
    step() {},
    drain() {
      while (!machine.txFIFO.empty) {
        chip.bus.writeWord(machine.txFIFO.pull());
      }
      pio.txStall |= stall;
      pio.fdebug |= stall;
      machine.updateDMATx();
      machine.updateDMARx();
    },
    writeFIFO(value) {
      if (machine.enabled && chip.bus.isSelected) {
        chip.bus.writeWord(value);
        machine.updateDMARx();
      } else {
        writeFIFO.call(machine, value);
      }
    },
    readFIFO() {
      const value = chip.bus.readWord();
      machine.updateDMARx();
      return value;
    },
    updateDMARx() {
      machine.enabled && chip.bus.isReadable ? dma.setDREQ(machine.dreqRx) : dma.clearDREQ(machine.dreqRx);
    },
  });
}

function giveBack(machine) {
  ['step', 'drain', 'writeFIFO', 'readFIFO', 'updateDMARx'].forEach((name) => delete machine[name]);
}
