// The time of an emulated board, compared with that of the computer.

import assert from 'node:assert/strict';
import test from 'node:test';

import { Board } from '../tools/emulator/board.mjs';
import { Flash } from '../tools/emulator/flash.mjs';

const TIMER = 0x40054; // the numbers of rp2040js' peripherals
const ALARM_NANOS = 100e6;
const SPEED = 1000; // times real time, so it is seconds behind when the loop is done

// Counts down from 350,000, sets an alarm of 100 ms, says "?" over the UART, and waits.
const PROGRAM = Uint16Array.from([
  0x4807, // ldr  r0, =UART0
  0x4908, // ldr  r1, =0x301
  0x6301, // str  r1, [r0, #UARTCR]
  0x4a08, // ldr  r2, =350000
  0x3a01, // loop: subs r2, #1
  0xd1fd, // bne  loop
  0x4b07, // ldr  r3, =TIMER
  0x6a9c, // ldr  r4, [r3, #TIMERAWL]
  0x4d07, // ldr  r5, =100000
  0x1964, // adds r4, r4, r5
  0x611c, // str  r4, [r3, #ALARM0]
  0x213f, // movs r1, #'?'
  0x6001, // str  r1, [r0, #UARTDR]
  0xbf20, // wait: wfe
  0xe7fd, // b    wait
  0x0000,
  0x4000, 0x4003, // UART0
  0x0301, 0x0000,
  0x5730, 0x0005, // 350000
  0x4000, 0x4005, // TIMER
  0x86a0, 0x0001, // 100000
]);

test('a board that lags behind does not skip the time in which an answer may arrive', async () => {
  const flash = new Flash();
  flash.writeImage(new Uint8Array(PROGRAM.buffer));
  const ignore = () => {};
  let board;
  const nanos = await new Promise((resolve) => {
    board = new Board({ flash, id: 1, seed: 1, speed: SPEED }, {
      onConsole: ignore, onPin: ignore, onState: ignore, onUart: () => resolve(board.nanos),
    });
    board.powerOn();
  });
  board.timer.cancel(board.timer.handle);
  const alarm = board.chip.mcu.peripherals[TIMER].alarms[0].targetMicros * 1000;
  const passed = nanos - (alarm - ALARM_NANOS);
  assert.ok(passed < ALARM_NANOS / 2, `${passed / 1e6} ms had passed for it when what it said went out`);
});
