// The events that the Wi-Fi firmware sends to the host unasked: Ethernet frames of Broadcom's own type.

import { EVENT_STATUS, NO_ADDRESS, words } from './protocol.mjs';

const ETHERNET_HEADER = 14;
const EVENT_HEADER = 10; // subtype 2, length 2, version 1, Broadcom's OUI 3, type 2
const MESSAGE = 48;
const BROADCOM = 0x886c;
const LOCALLY_ADMINISTERED = 2;

/**
 * An event as a frame.
 * @param mac      the chip's own address
 * @param type     one of EVENT
 * @param details  status, reason, flags, interfaceNumber, address (of the other station), data
 */
export function encodeEvent(mac, type, details = {}) {
  const { status = EVENT_STATUS.SUCCESS, reason = 0, flags = 0, interfaceNumber = 0 } = details;
  const { address = NO_ADDRESS, data = Buffer.alloc(0) } = details;
  const header = Buffer.alloc(ETHERNET_HEADER + EVENT_HEADER);
  mac.copy(header, 0);
  mac.copy(header, 6);
  header[6] |= LOCALLY_ADMINISTERED;
  header.writeUInt16BE(BROADCOM, 12);
  header.writeUInt16BE(0x8001, 14);
  header.writeUInt16BE(MESSAGE + data.length, 16);
  header.set([0, 0x00, 0x10, 0x18], 18);
  header.writeUInt16BE(1, 22);
  const message = Buffer.alloc(MESSAGE);
  message.writeUInt16BE(2, 0); // version
  message.writeUInt16BE(flags, 2);
  message.writeUInt32BE(type, 4);
  message.writeUInt32BE(status, 8);
  message.writeUInt32BE(reason, 12);
  message.writeUInt32BE(data.length, 20);
  address.copy(message, 24);
  message.write(`wl${interfaceNumber}`, 30);
  message[46] = message[47] = interfaceNumber;
  return Buffer.concat([header, message, data]);
}

// Information elements of IEEE 802.11: CCMP with a pre-shared key as RSN (WPA2), with SAE (WPA3), with both, as WPA.
const RSN_PSK = Buffer.from('30140100000fac040100000fac040100000fac020000', 'hex');
const RSN_BOTH = Buffer.from('30180100000fac040100000fac040200000fac02000fac080000', 'hex');
const RSN_SAE = Buffer.from('30140100000fac040100000fac040100000fac080000', 'hex');
const WPA_PSK = Buffer.from('dd160050f20101000050f20201000050f20201000050f202', 'hex');
const ELEMENTS = { open: [], wpa: [WPA_PSK], wpa2: [RSN_PSK], 'wpa2/wpa3': [RSN_BOTH], wpa3: [RSN_SAE] };
const PRIVACY = 0x10; // in the capabilities
const BSS_VERSION = 109;
const BSS_INFO = 128;
const BANDWIDTH_20 = 0x1000;

/** The data of a scan result: one network (wl_bss_info) in a list of results. */
export function encodeScanResult({ ssid, mac, security, channel, rssi }) {
  const name = Buffer.from(ssid);
  const elements = Buffer.concat([Buffer.from([0, name.length]), name, ...ELEMENTS[security]]);
  const info = Buffer.alloc(BSS_INFO);
  info.writeUInt32LE(BSS_VERSION, 0);
  info.writeUInt32LE(BSS_INFO + elements.length, 4);
  mac.copy(info, 8);
  info.writeUInt16LE(100, 14); // beacon period
  info.writeUInt16LE(1 | (security === 'open' ? 0 : PRIVACY), 16);
  info[18] = name.length;
  name.copy(info, 19);
  info.writeUInt16LE(BANDWIDTH_20 | channel, 72);
  info.writeInt16LE(rssi, 78);
  info.writeInt8(-95, 80); // noise
  info[88] = channel;
  info.writeUInt16LE(BSS_INFO, 116);
  info.writeUInt32LE(elements.length, 120);
  const list = Buffer.concat([words(12 + BSS_INFO + elements.length, BSS_VERSION), Buffer.from([1, 0, 1, 0])]);
  return Buffer.concat([list, info, elements]);
}
