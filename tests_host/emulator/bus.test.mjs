// The bus of the Wi-Fi chip, its internals, and packets on it.

import assert from 'node:assert/strict';
import test from 'node:test';

import {
  BACKPLANE, COMMAND, FUNCTION, REGISTER, SDIO, SDPCM, words,
} from '../../tools/emulator/wifi/protocol.mjs';
import { HOME, Host, MAC } from './host.mjs';

const TEST_PATTERN = 'adbeedfe';

test('without power it answers nothing', () => {
  const host = new Host();
  assert.equal(host.read(FUNCTION.BUS, REGISTER.TEST_READ_ONLY, 4).toString('hex'), '00000000');
});

test('after power-up the halves of words are swapped, then the configured order applies', () => {
  const host = new Host();
  host.chip.setPower(true);
  assert.equal(host.read(FUNCTION.BUS, REGISTER.TEST_READ_ONLY, 4).toString('hex'), TEST_PATTERN);
  host.start();
  assert.equal(host.read(FUNCTION.BUS, REGISTER.TEST_READ_ONLY, 4).toString('hex'), TEST_PATTERN);
  host.write(FUNCTION.BUS, REGISTER.TEST_READ_WRITE, words(0x12345678));
  assert.equal(host.read(FUNCTION.BUS, REGISTER.TEST_READ_WRITE, 4).readUInt32LE(0), 0x12345678);
});

test('a status word follows each transaction if the host enables it', () => {
  const host = new Host().start();
  host.write(FUNCTION.BUS, REGISTER.STATUS_ENABLE, Buffer.from([1]));
  const [value, status] = host.transfer([host.command(0, FUNCTION.BUS, REGISTER.TEST_READ_ONLY, 4)], 2);
  assert.equal(value, 0xfeedbead);
  assert.equal(status & 0x20, 0x20, 'ready for packets');
});

test('memory is written and read through a window', () => {
  const host = new Host().start();
  const data = Buffer.from('firmware of the chip');
  host.writeBackplane(0x12340, data);
  assert.deepEqual(host.read(FUNCTION.BACKPLANE, 0x2340, data.length), data);
});

test('clocks and packets are there when the processor runs', () => {
  const host = new Host();
  host.start();
  host.writeBackplane(BACKPLANE.ARM_RESET, Buffer.from([1]));
  assert.equal(host.read(FUNCTION.BACKPLANE, SDIO.CLOCK, 1)[0], 0x40);
  host.writeBackplane(BACKPLANE.ARM_RESET, Buffer.from([0]));
  assert.equal(host.read(FUNCTION.BACKPLANE, SDIO.CLOCK, 1)[0], 0xc0);
});

test('the interrupt line is active while there are packets', () => {
  const host = new Host().start();
  assert.equal(host.wake, false);
  host.sendPacket(SDPCM.CONTROL, Buffer.concat([words(COMMAND.GET_VARIABLE, 8, 1 << 16, 0), Buffer.from('bss\0....')]));
  assert.equal(host.wake, true);
  host.receiveAll();
  assert.equal(host.wake, false);
});

test('a damaged packet is ignored', () => {
  const host = new Host().start();
  host.write(FUNCTION.WLAN, 0, Buffer.alloc(32, 0x55));
  assert.equal(host.receivePacket(), null);
});

test('a packet that the host discards is dropped', () => {
  const host = new Host().start();
  host.sendPacket(SDPCM.CONTROL, Buffer.concat([words(COMMAND.GET_VARIABLE, 8, 1 << 16, 0), Buffer.from('bss\0....')]));
  host.write(FUNCTION.BACKPLANE, SDIO.FRAME_CONTROL, Buffer.from([1]));
  assert.equal(host.receivePacket(), null);
});

test('credit never runs out, with or without answers', () => {
  const host = new Host().start().joined();
  for (let count = 0; count < 600; count++) {
    host.sendFrame(Buffer.alloc(60));
    for (const { credit } of host.receiveAll()) {
      host.credit = credit;
    }
    assert.notEqual(host.credit, host.sequence & 0xff, `after ${count} frames`);
  }
});

test('variables: known ones, settings, unknown ones', () => {
  const host = new Host().start();
  assert.equal(host.getVariable('cur_etheraddr', 6).value.subarray(0, 6).toString('hex'), MAC.replaceAll(':', ''));
  host.setVariable('bcn_li_dtim', words(7));
  assert.equal(host.getVariable('bcn_li_dtim').value.readUInt32LE(0), 7);
  const unknown = host.getVariable('no_such_thing');
  assert.equal(unknown.status, -23);
  assert.equal(unknown.value.toString('latin1', 0, 13), 'no_such_thing', 'the request comes back');
});

test('power off clears the state', () => {
  const host = new Host().start().joined();
  host.chip.setPower(false);
  assert.equal(host.stations.at(-1).link, 'down');
  host.isConfigured = false;
  host.start();
  assert.equal(host.ask(COMMAND.GET_SSID, Buffer.alloc(36), { set: false }).value.readUInt32LE(0), 0);
  host.joined(HOME);
});

test('the pins of the Wi-Fi chip: the LED', () => {
  const host = new Host().start();
  host.setVariable('gpioout', words(1, 1));
  assert.equal(host.gpio, 1);
  host.setVariable('gpioout', words(1, 0));
  assert.equal(host.gpio, 0);
});
