// The numbers of the protocol between a host and a CYW43439.
//
// Sources: the datasheet (Infineon 002-30348, chapter on the gSPI: commands, status word, registers). For everything that it
// leaves out, the open driver that runs on the host: github.com/georgerobotics/cyw43-driver, in cyw43_spi.h (bus),
// cyw43_ll.c (backplane, SDPCM, commands) and cyw43_ll.h (events, their status and reason codes). The order of a scan
// result's fields and the names of variables are those of Broadcom's wl driver, which that driver uses.

/** The functions of the bus: its own registers, the chip's internals, packets for the Wi-Fi firmware. */
export const FUNCTION = { BUS: 0, BACKPLANE: 1, WLAN: 2 };

/** Registers of function 0, by address. */
export const REGISTER = {
  CONTROL: 0x00,
  RESPONSE_DELAY: 0x01,
  STATUS_ENABLE: 0x02,
  INTERRUPT: 0x04,
  INTERRUPT_ENABLE: 0x06,
  STATUS: 0x08,
  F1_INFO: 0x0c,
  F2_INFO: 0x0e,
  TEST_READ_ONLY: 0x14,
  TEST_READ_WRITE: 0x18,
  RESPONSE_DELAY_F1: 0x1d,
  END: 0x20,
};
export const TEST_PATTERN = 0xfeedbead;
export const CONTROL = { WORD_32: 0x01, BIG_ENDIAN: 0x02, INTERRUPT_HIGH: 0x20 };
export const INTERRUPT_F2_PACKET = 0x0020;
export const STATUS = { F2_RX_READY: 0x20, F2_PACKET: 0x100, F2_LENGTH_SHIFT: 9 };
export const STATUS_AFTER_EACH = 0x01; // in STATUS_ENABLE
export const FUNCTION_ENABLED_AND_READY = 3; // in F1_INFO and F2_INFO

/** Function 1: registers of the SDIO core above 0x10000, a window onto the backplane below. */
export const SDIO = {
  START: 0x10000,
  WINDOW_LOW: 0x1000a,
  WINDOW_MID: 0x1000b,
  WINDOW_HIGH: 0x1000c,
  FRAME_CONTROL: 0x1000d,
  CLOCK: 0x1000e,
  SLEEP: 0x1001f,
};
export const WINDOW_MASK = 0x7fff;
export const ABORT_READ = 0x01; // in FRAME_CONTROL
export const CLOCK = { ALP_AVAILABLE: 0x40, HT_AVAILABLE: 0x80 };
export const SLEEP = { KEEP_ON: 0x01, DEVICE_ON: 0x02 };

/** Addresses on the backplane. */
export const BACKPLANE = {
  RAM_SIZE: 512 * 1024,
  CHIP_ID: 0x18000000,
  SDIO_INTERRUPT: 0x18002020,
  ARM_RESET: 0x18103800,
  RAM_RESET: 0x18104800,
};
export const CHIP_ID_43439 = 0x1545a9af;
export const IN_RESET = 0x01;

/** SDPCM: packets of several kinds on one wire, each with a header, in which the chip also grants credit. */
export const SDPCM = { CONTROL: 0, EVENT: 1, DATA: 2, HEADER: 12, PADDING: 2, CREDIT: 16 };
/** BDC: the header of an Ethernet frame within. */
export const BDC = { HEADER: 4, VERSION_2: 0x20 };
export const INTERFACE = { STATION: 0, ACCESS_POINT: 1 };

/** Commands ("ioctls") to the Wi-Fi firmware, WLC_... in the driver. */
export const COMMAND = {
  HEADER: 16,
  FLAG_ERROR: 1,
  FLAG_SET: 2,
  INTERFACE_SHIFT: 12,
  DOWN: 3,
  GET_BSSID: 23,
  GET_SSID: 25,
  SET_SSID: 26,
  GET_CHANNEL: 29,
  SET_CHANNEL: 30,
  DISASSOCIATE: 52,
  GET_ANTENNA: 63,
  SET_ANTENNA: 64,
  GET_POWER_SAVE: 85,
  SET_POWER_SAVE: 86,
  GET_RSSI: 127,
  SET_SECURITY: 134,
  GET_ASSOCIATIONS: 159,
  SET_AUTHENTICATION: 165,
  GET_VARIABLE: 262,
  SET_VARIABLE: 263,
  SET_KEY: 268,
};
export const ERROR_UNSUPPORTED = -23; // of a command
export const AUTHENTICATION = { WPA: 0x4, WPA2: 0x80, WPA3: 0x40000 };
export const KEY_IS_PASSPHRASE = 1;
export const LONGEST_PASSPHRASE = 63; // 64 characters are the key itself, in hexadecimal digits

/** Events from the Wi-Fi firmware, CYW43_EV_... in the driver. */
export const EVENT = {
  SET_SSID: 0,
  JOIN: 1,
  AUTHENTICATION: 3,
  DEAUTHENTICATED: 6,
  ASSOCIATION: 7,
  STATION_ASSOCIATED: 8,
  DISASSOCIATED: 11,
  STATION_LEFT: 12,
  LINK: 16,
  PRUNE: 23,
  KEY_EXCHANGE: 46,
  SCAN_RESULT: 69,
  ASSOCIATION_REQUEST: 87,
  ASSOCIATION_RESPONSE: 88,
};
export const EVENT_STATUS = { SUCCESS: 0, FAIL: 1, NO_NETWORKS: 3, PARTIAL: 8 };
export const KEY_STATUS = { KEYED: 6, WAIT_FOR_M3: 8 }; // of KEY_EXCHANGE
export const REASON = {
  LINK_BEACON_LOSS: 1, // of LINK
  LINK_DEAUTHENTICATED: 2,
  LINK_DISASSOCIATED: 3,
  PRUNE_ENCRYPTION: 1, // of PRUNE
  PRUNE_RSN: 8,
  KEY_DEAUTHENTICATED: 14, // of KEY_EXCHANGE
  AUTHENTICATION_FAILED: 15, // of AUTHENTICATION
  LEFT: 8, // IEEE 802.11, table 9-49: the sender is leaving
};
export const LINK_IS_UP = 1; // flag of LINK

export const swapBytes = (word) => (
  ((word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)) >>> 0
);
export const swapHalves = (word) => ((word << 16) | (word >>> 16)) >>> 0;

/** Numbers as 32-bit words, little endian. */
export function words(...values) {
  const bytes = Buffer.alloc(4 * values.length);
  values.forEach((value, index) => bytes.writeUInt32LE(value >>> 0, 4 * index));
  return bytes;
}

export const NO_ADDRESS = Buffer.alloc(6);
export const macBytes = (text) => Buffer.from(text.replaceAll(':', ''), 'hex');
export const macText = (bytes) => bytes.toString('hex').match(/../g).join(':');
