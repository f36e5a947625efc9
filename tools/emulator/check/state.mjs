// Prints the state of a chip after a number of instructions: node state.mjs IMAGE fast|plain COUNT

import { createHash } from 'node:crypto';
import fs from 'node:fs';

import { Chip } from '../chip.mjs';
import { Flash } from '../flash.mjs';

const [image, interpreter, count] = process.argv.slice(2);
const nothing = () => {};
const flash = new Flash();
flash.writeFile(fs.readFileSync(image));
const chip = new Chip({ flash, id: 1, seed: 1, plain: interpreter === 'plain' }, {
  onConsole: nothing, onUart: nothing, onReset: nothing, onBootloader: nothing,
});
const { core, clock, sram } = chip.mcu;
for (let left = Number(count); left > 0;) {
  if (core.waiting) {
    clock.tick(clock.nextAlarm.nanos - clock.nanos);
  } else {
    left -= chip.run(left);
  }
}
const memory = createHash('sha256').update(sram).digest('hex');
console.log(JSON.stringify({ registers: [...core.registers], cycles: core.cycles, nanos: clock.nanos, memory }));
