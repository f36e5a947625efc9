// The chip as an access point.

import { EVENT, INTERFACE, LINK_IS_UP, macText } from './protocol.mjs';

export class AccessPoint {
  /** @param chip  has mac, tell(), hooks */
  constructor(chip) {
    this.chip = chip;
    this.reset();
  }

  reset() {
    this.isUp = false;
    this.ssid = '';
    this.isOpen = true;
    this.key = null;
    this.saeKey = null;
    this.channel = 1;
    this.stations = new Map(); // address as text: address
  }

  /** The beacon that others receive. */
  get beacon() {
    const key = this.isOpen ? '' : this.key?.passphrase ?? this.saeKey ?? '';
    const security = this.isOpen ? 'open' : this.key ? 'wpa2' : 'wpa3';
    return { ssid: this.ssid, bssid: macText(this.chip.mac), key, security, channel: this.channel };
  }

  setUp(isUp) {
    if (isUp === this.isUp) {
      return;
    }
    this.isUp = isUp;
    this.stations.clear();
    this.chip.tell(EVENT.LINK, { flags: isUp ? LINK_IS_UP : 0, interfaceNumber: INTERFACE.ACCESS_POINT });
    this.chip.hooks.onAccessPoint(isUp ? this.beacon : null);
  }

  associated(address) {
    this.stations.set(macText(address), address);
    this.chip.tell(EVENT.STATION_ASSOCIATED, { address, interfaceNumber: INTERFACE.ACCESS_POINT });
  }

  left(address) {
    if (this.stations.delete(macText(address))) {
      this.chip.tell(EVENT.STATION_LEFT, { address, interfaceNumber: INTERFACE.ACCESS_POINT });
    }
  }

  accepts(frame) {
    return (frame[0] & 1) === 1 || this.chip.mac.equals(frame.subarray(0, 6));
  }
}
