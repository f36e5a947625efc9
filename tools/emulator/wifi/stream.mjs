// The air is in another process. It exchanges data with the chip over a stream.
//
//   length of what follows 4 (big endian), kind 1, address of the access point 6, payload

import { macBytes, macText } from './protocol.mjs';

const LENGTH = 4;
const HEADER = 7;

export function encode({ kind, bssid, payload }) {
  const header = Buffer.alloc(LENGTH + 1);
  header.writeUInt32BE(HEADER + payload.length, 0);
  header[LENGTH] = kind;
  return Buffer.concat([header, macBytes(bssid), payload]);
}

/** Splits a stream into messages. */
export class Decoder {
  constructor() {
    this.rest = Buffer.alloc(0);
  }

  /** Returns the messages that the next bytes complete: [{kind, bssid, payload}]. */
  feed(bytes) {
    const data = Buffer.concat([this.rest, bytes]);
    const things = [];
    let at = 0;
    while (data.length - at >= LENGTH && data.length - at - LENGTH >= data.readUInt32BE(at)) {
      const end = at + LENGTH + data.readUInt32BE(at);
      const thing = data.subarray(at + LENGTH, end);
      things.push({ kind: thing[0], bssid: macText(thing.subarray(1, HEADER)), payload: thing.subarray(HEADER) });
      at = end;
    }
    this.rest = data.subarray(at);
    return things;
  }
}
