// The chip as a station: it scans, joins a network, and stays in it as long as it can.
//
// If it loses its network, it looks for it until the host leaves. Another access point of the same name will do. While the
// link is up, it roams as Broadcom's driver does by default: below -75 dBm, to an access point that is 20 dB stronger.

import { pbkdf2Sync } from 'node:crypto';

import { KIND } from './air.mjs';
import { encodeScanResult } from './events.mjs';
import {
  AUTHENTICATION, COMMAND, EVENT, EVENT_STATUS, INTERFACE, KEY_STATUS, LINK_IS_UP, NO_ADDRESS, REASON,
} from './protocol.mjs';

const ROAM_BELOW = -75;
const ROAM_FOR = 20;
const ANY = Buffer.alloc(6, 0xff);

export class Station {
  /** @param chip  has air, commands, mac, tell(), timer(), hooks */
  constructor(chip) {
    this.chip = chip;
    this.reset();
  }

  reset() {
    this.key = null; // {passphrase} or {digits}
    this.saeKey = null; // for WPA3
    this.wanted = null; // the network that the host has joined: {ssid, mac}
    this.network = null; // the access point that it is associated with
    this.isUp = false;
    this.scanNumber = 0;
  }

  /**
   * Reports the access points with this name (an empty name: all, hidden ones without a name), and then the end of the
   * scan.
   */
  scan(ssid) {
    const { air } = this.chip;
    const number = ++this.scanNumber;
    const found = air.search(ssid).map((one) => (one.hidden && !ssid ? { ...one, ssid: '' } : one));
    const report = (details) => {
      if (number === this.scanNumber) { // a new scan ends the old one
        this.chip.tell(EVENT.SCAN_RESULT, details);
      }
    };
    found.forEach((one, index) => this.chip.timer((air.timing.scan * (index + 1)) / (found.length + 1), () => report({
      status: EVENT_STATUS.PARTIAL, address: one.mac, data: encodeScanResult(one),
    })));
    this.chip.timer(air.timing.scan, () => report({ status: EVENT_STATUS.SUCCESS }));
  }

  /** Joins the network of that name; `mac`: at this access point. */
  join(ssid, mac) {
    this.#drop(REASON.LINK_DISASSOCIATED);
    this.wanted = { ssid, mac: mac && !mac.equals(ANY) ? mac : null };
    const network = this.chip.air.search(ssid, this.wanted.mac)[0];
    const refusal = network ? this.#refusal(network) : null;
    if (!network || refusal) {
      this.#refuse(network?.mac ?? NO_ADDRESS, refusal);
      return;
    }
    this.#while(this.wanted, this.chip.air.timing.join, () => this.#associate(network));
  }

  /** The host leaves the network. */
  leave() {
    const was = this.network;
    this.#drop(REASON.LINK_DISASSOCIATED);
    this.wanted = null;
    if (was) {
      this.chip.tell(EVENT.DISASSOCIATED, { reason: REASON.LEFT, address: was.mac });
    }
  }

  /** The access point disconnects the station, which tries again by itself. */
  deauthenticate(reason) {
    if (!this.isUp) {
      return;
    }
    const { mac } = this.network;
    this.#setDown('deauthenticated');
    this.chip.tell(EVENT.KEY_EXCHANGE, { status: KEY_STATUS.KEYED, reason: REASON.KEY_DEAUTHENTICATED, address: mac });
    this.chip.tell(EVENT.DEAUTHENTICATED, { reason, address: mac });
    this.chip.tell(EVENT.LINK, { reason: REASON.LINK_DEAUTHENTICATED, address: mac });
    this.#lookAgain(this.chip.air.timing.rejoin);
  }

  /** Checks after a change of the air whether the access point is still there and the best one. */
  airChanged() {
    if (!this.network) {
      return;
    }
    const { air } = this.chip;
    const { bssid } = this.network;
    const heard = air.find(bssid);
    if (!this.isUp) {
      this.#lookAgain(air.timing.rejoin);
    } else if (!heard) {
      this.#while(this.network, air.timing.beaconLoss, () => this.#loseBeacons());
    } else {
      this.network = heard;
      this.#roam();
    }
  }

  /** Whether a frame with this destination is for this station (the chip's filter). */
  accepts(frame) {
    const { variables } = this.chip.commands;
    if (!(frame[0] & 1)) {
      return this.chip.mac.equals(frame.subarray(0, 6));
    }
    if (frame[0] === 0xff || variables.get('allmulti')?.[0]) {
      return true;
    }
    const list = variables.get('mcast_list') ?? Buffer.alloc(4);
    return Array.from({ length: list.readUInt32LE(0) }, (_, index) => list.subarray(4 + 6 * index, 10 + 6 * index))
      .some((address) => address.equals(frame.subarray(0, 6)));
  }

  /** Calls a function later, if `what` is still the network that this station wants or is in. */
  #while(what, milliseconds, action) {
    this.chip.timer(milliseconds, () => {
      if (this.wanted === what || this.network === what) {
        action();
      }
    });
  }

  /** Why the access point refuses this station before any key is tried, or null. */
  #refusal(network) {
    const { commands } = this.chip;
    const isEncrypted = commands.setting(COMMAND.SET_SECURITY) !== 0;
    if (isEncrypted === (network.security === 'open')) {
      return REASON.PRUNE_ENCRYPTION;
    }
    const accepted = {
      open: ~0,
      wpa: AUTHENTICATION.WPA,
      wpa2: AUTHENTICATION.WPA2 | AUTHENTICATION.WPA3,
      'wpa2/wpa3': AUTHENTICATION.WPA2 | AUTHENTICATION.WPA3,
      wpa3: AUTHENTICATION.WPA3,
    }[network.security];
    const offered = commands.setting(COMMAND.SET_AUTHENTICATION);
    return network.security === 'open' || offered & accepted ? null : REASON.PRUNE_RSN;
  }

  #refuse(mac, reason) {
    this.#while(this.wanted, this.chip.air.timing.noNetwork, () => {
      this.wanted = null;
      if (reason) {
        this.chip.tell(EVENT.PRUNE, { reason, address: mac });
      }
      this.chip.tell(EVENT.SET_SSID, { status: EVENT_STATUS.NO_NETWORKS, address: mac });
    });
  }

  #hasKey({ security, ssid, key }) {
    if (security === 'open') {
      return true;
    }
    if (security === 'wpa3') {
      return this.saeKey === key;
    }
    if (!this.key) {
      return false;
    }
    // IEEE 802.11, annex J.4: the key that belongs to a passphrase.
    return this.key.passphrase !== undefined
      ? this.key.passphrase === key
      : this.key.digits === pbkdf2Sync(key, ssid, 4096, 32, 'sha1').toString('hex');
  }

  #associate(network) {
    const address = network.mac;
    if (network.security === 'wpa3' && !this.#hasKey(network)) {
      const failed = { status: EVENT_STATUS.FAIL, address };
      this.chip.tell(EVENT.AUTHENTICATION, { ...failed, reason: REASON.AUTHENTICATION_FAILED });
      this.chip.tell(EVENT.SET_SSID, failed);
      this.wanted = this.network = null;
      return;
    }
    this.network = network;
    this.chip.tell(EVENT.ASSOCIATION_REQUEST, { address });
    this.chip.tell(EVENT.AUTHENTICATION, { address });
    this.chip.tell(EVENT.ASSOCIATION_RESPONSE, { address });
    this.chip.tell(EVENT.ASSOCIATION, { address });
    this.chip.tell(EVENT.LINK, { flags: LINK_IS_UP, address });
    if (this.#hasKey(network)) {
      this.#setUp();
    } else {
      this.#while(network, this.chip.air.timing.wrongKey, () => this.#failHandshake());
    }
  }

  #setUp() {
    const { network } = this;
    const address = network.mac;
    this.isUp = true;
    if (network.security !== 'open') {
      this.chip.tell(EVENT.KEY_EXCHANGE, { status: KEY_STATUS.KEYED, address });
    }
    this.chip.tell(EVENT.JOIN, { address });
    this.chip.tell(EVENT.SET_SSID, { address });
    this.#announce();
  }

  #announce() {
    this.chip.air.send(KIND.ASSOCIATED, this.network.mac, this.chip.mac);
    this.chip.hooks.onStation({ link: 'up', ssid: this.network.ssid, bssid: this.network.bssid });
  }

  /** The access point has never confirmed the key. */
  #failHandshake() {
    const address = this.network.mac;
    this.chip.tell(EVENT.LINK, { reason: REASON.LINK_DEAUTHENTICATED, address });
    this.chip.tell(EVENT.KEY_EXCHANGE, { status: KEY_STATUS.WAIT_FOR_M3, reason: REASON.KEY_DEAUTHENTICATED, address });
    this.network = this.wanted = null;
    this.chip.hooks.onStation({ link: 'down', reason: 'wrong key' });
  }

  #setDown(reason) {
    this.isUp = false;
    this.chip.hooks.onStation({ link: 'down', reason });
  }

  #loseBeacons() {
    if (this.isUp && !this.chip.air.find(this.network.bssid)) {
      const { mac } = this.network;
      this.#setDown('no beacons');
      this.chip.tell(EVENT.LINK, { reason: REASON.LINK_BEACON_LOSS, address: mac });
      this.#lookAgain(this.chip.air.timing.rejoin);
    }
  }

  /** Looks for the lost network after a while, at any access point of its name. */
  #lookAgain(milliseconds) {
    const { network } = this;
    this.#while(network, milliseconds, () => {
      const best = this.wanted && !this.isUp ? this.chip.air.search(this.wanted.ssid, this.wanted.mac)[0] : null;
      if (best && !this.#refusal(best)) {
        this.#associate(best);
      }
    });
  }

  /** Changes to a much stronger access point of the same network. The link stays up. */
  #roam() {
    const best = this.chip.air.search(this.wanted.ssid, this.wanted.mac)[0];
    const isWorth = this.network.rssi < ROAM_BELOW && best.rssi >= this.network.rssi + ROAM_FOR;
    if (isWorth && !this.#refusal(best) && this.#hasKey(best)) {
      this.chip.air.send(KIND.LEFT, this.network.mac, this.chip.mac);
      this.network = best;
      this.#announce();
    }
  }

  #drop(reason) {
    const { network, isUp } = this;
    this.network = null;
    if (isUp) {
      this.#setDown('left');
      this.chip.air.send(KIND.LEFT, network.mac, this.chip.mac);
      this.chip.tell(EVENT.LINK, { reason, address: network.mac, interfaceNumber: INTERFACE.STATION });
    }
  }
}
