// The Wi-Fi chip with its own network.

import assert from 'node:assert/strict';
import test from 'node:test';

import { COMMAND, EVENT, SDPCM, words } from '../../tools/emulator/wifi/protocol.mjs';
import { Host, MAC, OTHER, frame } from './host.mjs';

const OWN = Buffer.from(MAC.replaceAll(':', ''), 'hex');

function open(host, ssid, key) {
  const name = Buffer.alloc(32);
  name.write(ssid);
  host.setVariable('bsscfg:ssid', Buffer.concat([words(1, ssid.length), name]));
  host.ask(COMMAND.SET_CHANNEL, words(9));
  host.setVariable('bsscfg:wsec', words(1, key ? 4 : 0));
  if (key) {
    host.setKey(key, { access_point: true });
  }
  host.setVariable('bss', words(1, 1));
  return host;
}

test('it is visible with its name, key and channel, until it closes', () => {
  const host = open(new Host().start(), 'board', 'secret of mine');
  assert.deepEqual(host.beacon, { ssid: 'board', bssid: MAC, key: 'secret of mine', security: 'wpa2', channel: 9 });
  assert.deepEqual(host.events().map(({ type, flags }) => [type, flags]), [[EVENT.LINK, 1]]);
  host.setVariable('bss', words(1, 0));
  assert.equal(host.beacon, null);
});

test('without a key it is open', () => {
  assert.equal(open(new Host().start(), 'board', '').beacon.security, 'open');
});

test('stations join and leave', () => {
  const host = open(new Host().start(), 'board', '');
  const count = () => host.ask(COMMAND.GET_ASSOCIATIONS, Buffer.alloc(64), { set: false, access_point: true })
    .value.readUInt32LE(0);
  host.events();
  assert.equal(count(), 0);
  host.chip.receive({ kind: 1, bssid: MAC, payload: OTHER });
  host.time.pass(10);
  host.events();
  assert.equal(count(), 1);
  host.chip.receive({ kind: 2, bssid: MAC, payload: OTHER });
  host.time.pass(10);
  host.events();
  assert.equal(count(), 0);
});

test('its frames and those of the station differ by their interface', () => {
  const host = open(new Host().start(), 'board', '');
  host.receiveAll();
  const out = frame(OTHER, OWN, 'out');
  host.sendFrame(out, 1);
  host.sendFrame(out, 0); // the station is in no network
  host.time.pass(10);
  assert.deepEqual(host.sent.filter(({ kind }) => kind === 0), [{ kind: 0, bssid: MAC, payload: out }]);
  host.receiveAll();
  host.chip.receive({ kind: 0, bssid: MAC, payload: frame(OWN, OTHER, 'in') });
  host.time.pass(10);
  const [packet] = host.receiveAll();
  assert.equal(packet.channel, SDPCM.DATA);
  assert.equal(packet.body[2], 1);
});
