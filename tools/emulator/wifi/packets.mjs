// Function 2 of the bus: packets to and from the Wi-Fi firmware, in SDPCM headers.
//
//   size 2, its complement 2, sequence 1, channel 1, next length 1, header length 1, flow control 1, credit 1, reserved 2
//
// The host may send while its own sequence number differs from the credit. So each packet that it reads carries credit; if
// there is none to read, an empty packet does.

import { BDC, SDPCM } from './protocol.mjs';

const LOW_CREDIT = 8;

export class Packets {
  /**
   * @param hooks.onControl  (Buffer) a command
   * @param hooks.onData     (interface, Buffer) an Ethernet frame
   * @param hooks.onChange   there is a first packet, or no packet any more
   */
  constructor(hooks) {
    this.hooks = hooks;
    this.reset();
  }

  reset() {
    this.queue = []; // for the host
    this.sequence = 0;
    this.hostSequence = 0; // the host's next sequence number
    this.credit = 1;
  }

  /** The length of the packet that the host would read next, or 0. */
  get nextLength() {
    return this.queue.length ? this.queue[0].length : 0;
  }

  /** The host reads a packet. */
  read() {
    const packet = this.queue.shift();
    if (!packet) {
      return Buffer.alloc(4);
    }
    packet[4] = this.sequence++ & 0xff;
    packet[9] = this.credit = (this.hostSequence + SDPCM.CREDIT) & 0xff;
    this.hooks.onChange();
    return packet;
  }

  /** The host discards the first packet. */
  drop() {
    this.queue.shift();
    this.hooks.onChange();
  }

  /** The host writes a packet. A damaged one is ignored. */
  write(bytes) {
    const size = bytes.readUInt16LE(0);
    if ((size ^ bytes.readUInt16LE(2)) !== 0xffff || size > bytes.length) {
      return;
    }
    this.hostSequence = (bytes[4] + 1) & 0xff;
    const body = bytes.subarray(bytes[7], size);
    if ((bytes[5] & 0x0f) === SDPCM.CONTROL) {
      this.hooks.onControl(body);
    } else {
      this.hooks.onData(body[2] & 0x0f, body.subarray(BDC.HEADER + 4 * body[3]));
    }
    if (!this.queue.length && ((this.credit - this.hostSequence) & 0xff) < LOW_CREDIT) {
      this.#send(SDPCM.CONTROL, SDPCM.HEADER, Buffer.alloc(0));
    }
  }

  /** The answer to a command. */
  sendControl(body) {
    this.#send(SDPCM.CONTROL, SDPCM.HEADER, body);
  }

  /** Queues a received Ethernet frame, or an event, which has the same form. */
  sendFrame(channel, interfaceNumber, frame) {
    const header = Buffer.alloc(BDC.HEADER + 4);
    header[0] = BDC.VERSION_2;
    header[2] = interfaceNumber;
    header[3] = 1; // words between this header and the frame
    this.#send(channel, SDPCM.HEADER + SDPCM.PADDING, Buffer.concat([header, frame]));
  }

  #send(channel, headerLength, body) {
    const packet = Buffer.alloc(headerLength + body.length);
    packet.writeUInt16LE(packet.length, 0);
    packet.writeUInt16LE(~packet.length & 0xffff, 2);
    packet[5] = channel;
    packet[7] = headerLength;
    body.copy(packet, headerLength);
    this.queue.push(packet);
    this.hooks.onChange();
  }
}
