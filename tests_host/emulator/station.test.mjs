// The Wi-Fi chip in the networks of others.

import assert from 'node:assert/strict';
import { pbkdf2Sync } from 'node:crypto';
import test from 'node:test';

import { COMMAND, EVENT, words } from '../../tools/emulator/wifi/protocol.mjs';
import { CAFE, HOME, Host, MAC, OTHER, frame } from './host.mjs';

const OWN = Buffer.from(MAC.replaceAll(':', ''), 'hex');
const EVERYBODY = Buffer.alloc(6, 0xff);
const named = (events, type) => events.filter((event) => event.type === type);

function scan(host, ssid = '') {
  const name = Buffer.alloc(32);
  name.write(ssid);
  const request = Buffer.concat([words(1), Buffer.from([1, 0, 0, 0]), words(ssid.length), name, Buffer.alloc(30)]);
  host.setVariable('escan', request);
  host.time.pass(2000);
  return named(host.events(), EVENT.SCAN_RESULT);
}

test('a scan finds all networks, and ends', () => {
  const results = scan(new Host().start());
  assert.deepEqual(results.map(({ status }) => status), [8, 8, 0]);
  const names = results.slice(0, 2).map(({ data }) => data.toString('latin1', 31, 31 + data[30]));
  assert.deepEqual(names, ['home', 'cafe'], 'the strongest first');
});

test('a scan for one name finds only that one', () => {
  assert.deepEqual(scan(new Host().start(), 'cafe').map(({ status }) => status), [8, 0]);
});

test('a hidden network shows its name only on request, and can be joined by name', () => {
  const attic = { ...HOME, ssid: 'attic', bssid: '02:00:00:00:10:03', rssi: -60, hidden: true };
  const host = new Host({ accessPoints: [HOME, attic] }).start();
  const names = (results) => results.slice(0, -1).map(({ data }) => data.toString('latin1', 31, 31 + data[30]));
  assert.deepEqual(names(scan(host)), ['home', '']);
  assert.deepEqual(names(scan(host, 'attic')), ['attic']);
  host.joined(attic);
});

for (const [security, offered] of [['wpa2/wpa3', 0x80], ['wpa2/wpa3', 0x40000], ['wpa3', 0x40000], ['wpa2', 0x40000]]) {
  test(`${security} is joined by a host that offers ${offered.toString(16)}`, () => {
    const host = new Host({ accessPoints: [{ ...HOME, security }] }).start();
    const password = Buffer.alloc(130);
    password.writeUInt16LE(HOME.key.length);
    password.write(HOME.key, 2);
    host.setVariable('sae_password', password);
    host.join('home', HOME.key, offered);
    host.time.pass(1000);
    assert.equal(named(host.events(), EVENT.SET_SSID)[0].status, 0);
  });
}

test('a host that does not offer WPA3 cannot join a WPA3 network', () => {
  const host = new Host({ accessPoints: [{ ...HOME, security: 'wpa3' }] }).start();
  host.join('home', HOME.key);
  host.time.pass(1000);
  const events = host.events();
  assert.equal(named(events, EVENT.PRUNE).length, 1);
  assert.equal(named(events, EVENT.SET_SSID)[0].status, 3);
});

test('an event that the host does not want is not sent', () => {
  const host = new Host().start();
  const mask = Buffer.alloc(4 + 19, 0xff);
  mask[4 + (EVENT.SCAN_RESULT >> 3)] &= ~(1 << (EVENT.SCAN_RESULT & 7));
  host.setVariable('bsscfg:event_msgs', mask);
  assert.deepEqual(scan(host), []);
});

test('it joins with the key, and the host gets its events in the right order', () => {
  const host = new Host().start();
  host.join('home', HOME.key);
  assert.deepEqual(host.events(), [], 'joining takes its time');
  host.time.pass(100);
  const types = host.events().map(({ type }) => type);
  const { AUTHENTICATION, LINK, KEY_EXCHANGE, SET_SSID } = EVENT;
  assert.deepEqual(types.filter((type) => [AUTHENTICATION, LINK, KEY_EXCHANGE, SET_SSID].includes(type)),
    [AUTHENTICATION, LINK, KEY_EXCHANGE, SET_SSID]);
  assert.deepEqual(host.stations, [{ link: 'up', ssid: 'home', bssid: HOME.bssid }]);
});

test('an open network needs no key', () => {
  new Host().start().joined(CAFE);
});

test('the key in hexadecimal digits works like the passphrase', () => {
  const digits = pbkdf2Sync(HOME.key, HOME.ssid, 4096, 32, 'sha1').toString('hex');
  new Host().start().joined({ ssid: 'home', key: digits });
});

test('a wrong key is noticed in the handshake', () => {
  const host = new Host().start();
  host.join('home', 'wrong horse');
  host.time.pass(2000);
  const events = host.events();
  assert.equal(named(events, EVENT.KEY_EXCHANGE).at(-1).status, 8);
  assert.equal(named(events, EVENT.SET_SSID).length, 0);
  assert.equal(host.stations.at(-1).reason, 'wrong key');
});

test('no network of that name', () => {
  const host = new Host().start();
  host.join('nowhere', 'whatever it is');
  host.time.pass(2000);
  assert.deepEqual(named(host.events(), EVENT.SET_SSID).map(({ status }) => status), [3]);
});

test('the station is refused if only one side has a key', () => {
  const host = new Host().start();
  host.join('cafe', 'a key for an open network');
  host.time.pass(2000);
  const events = host.events();
  assert.equal(named(events, EVENT.PRUNE).length, 1);
  assert.equal(named(events, EVENT.SET_SSID)[0].status, 3);
});

test('a new attempt ends the old one', () => {
  const host = new Host().start();
  host.join('nowhere', 'whatever it is');
  host.time.pass(100);
  host.join('home', HOME.key);
  host.time.pass(2000);
  assert.deepEqual(named(host.events(), EVENT.SET_SSID).map(({ status }) => status), [0]);
});

test('a vanished network is noticed, and joined again when it is back', () => {
  const host = new Host().start().joined();
  host.chip.air.change({ accessPoints: [CAFE] });
  host.time.pass(500);
  assert.deepEqual(host.events(), [], 'some beacons may be missed');
  host.time.pass(1000);
  assert.deepEqual(named(host.events(), EVENT.LINK).map(({ flags, reason }) => [flags, reason]), [[0, 1]]);
  host.chip.air.change({ accessPoints: [HOME, CAFE] });
  host.time.pass(1000);
  assert.deepEqual(named(host.events(), EVENT.LINK).map(({ flags }) => flags), [1]);
  assert.equal(host.stations.at(-1).link, 'up');
});

test('a network that returns in time does not count as lost', () => {
  const host = new Host().start().joined();
  host.chip.air.change({ accessPoints: [] });
  host.time.pass(500);
  host.chip.air.change({ accessPoints: [HOME] });
  host.time.pass(3000);
  assert.deepEqual(host.events(), []);
});

test('another access point with the same name takes over', () => {
  const upstairs = { ...HOME, bssid: '02:00:00:00:10:03', rssi: -60 };
  const host = new Host({ accessPoints: [HOME, upstairs] }).start().joined();
  host.chip.air.change({ accessPoints: [upstairs] });
  host.time.pass(3000);
  assert.equal(host.stations.at(-1).bssid, upstairs.bssid);
  host.events();
  assert.equal(host.ask(COMMAND.GET_BSSID, Buffer.alloc(6), { set: false }).value.toString('hex'), '020000001003');
});

test('it roams to a much stronger one without losing the link', () => {
  const far = { ...HOME, rssi: -80 };
  const upstairs = { ...HOME, bssid: '02:00:00:00:10:03', rssi: -85 };
  const host = new Host({ accessPoints: [far, upstairs] }).start().joined();
  host.chip.air.change({ accessPoints: [far, { ...upstairs, rssi: -50 }] });
  host.time.pass(1000);
  assert.equal(host.stations.at(-1).bssid, upstairs.bssid);
  assert.deepEqual(named(host.events(), EVENT.LINK), []);
});

test('a disconnected station comes back by itself, if the key is still right', () => {
  const host = new Host().start().joined();
  host.chip.station.deauthenticate(3);
  host.time.pass(1000);
  assert.deepEqual(named(host.events(), EVENT.LINK).map(({ flags }) => flags), [0, 1]);
  host.chip.air.change({ accessPoints: [{ ...HOME, key: 'changed horse' }] });
  host.chip.station.deauthenticate(3);
  host.time.pass(3000);
  assert.equal(host.stations.at(-1).link, 'down');
});

test('leaving is confirmed, and announced on the air', () => {
  const host = new Host().start().joined();
  host.ask(COMMAND.DISASSOCIATE, Buffer.alloc(0));
  assert.equal(named(host.events(), EVENT.DISASSOCIATED).length, 1);
  host.time.pass(10);
  assert.equal(host.sent.at(-1).kind, 2);
});

test('frames go both ways, in the network that it is in', () => {
  const host = new Host().start().joined();
  const out = frame(OTHER, OWN, 'out');
  host.sendFrame(out);
  host.time.pass(10);
  assert.deepEqual(host.sent.at(-1), { kind: 0, bssid: HOME.bssid, payload: out });
  const into = frame(OWN, OTHER, 'in');
  host.chip.receive({ kind: 0, bssid: HOME.bssid, payload: into });
  host.chip.receive({ kind: 0, bssid: CAFE.bssid, payload: into });
  host.time.pass(10);
  assert.deepEqual(host.frames(), [into]);
});

test('frames for others are filtered out, except for groups that it has joined', () => {
  const host = new Host().start().joined();
  const group = Buffer.from('01005e0000fb', 'hex');
  const hear = () => {
    [OTHER, EVERYBODY, group].forEach((to) => {
      host.chip.receive({ kind: 0, bssid: HOME.bssid, payload: frame(to, OTHER, 'x') });
    });
    host.time.pass(10);
    return host.frames().map((one) => one.toString('hex', 0, 6));
  };
  assert.deepEqual(hear(), ['ffffffffffff']);
  host.setVariable('mcast_list', Buffer.concat([words(1), group, Buffer.alloc(54)]));
  assert.deepEqual(hear(), ['ffffffffffff', '01005e0000fb']);
});

test('loss and delay', () => {
  let number = 0;
  const host = new Host({ random: () => (number++ % 4) / 4 }).start().joined();
  host.chip.air.change({ loss: 0.5, delay: 100 });
  for (let count = 0; count < 8; count++) {
    host.chip.receive({ kind: 0, bssid: HOME.bssid, payload: frame(OWN, OTHER, `number ${count}`) });
  }
  host.time.pass(99);
  assert.deepEqual(host.frames(), []);
  host.time.pass(10);
  assert.deepEqual(host.frames().map((one) => one.toString('latin1', 14)), ['number 2', 'number 3', 'number 6', 'number 7']);
  assert.equal(host.chip.air.lost, 4);
});
