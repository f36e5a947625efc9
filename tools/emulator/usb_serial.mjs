// The computer's end of the USB cable: finds the chip's serial port, opens it and passes bytes both ways.
//
// rp2040js' USBCDC does the enumeration. It polls the chip for input by answering every request with an empty packet,
// one interrupt after the other; here a request waits until there is something to answer.

import { USBCDC } from 'rp2040js';

const INTE = 0x90;
const SOF_RD = 0x48;
const DEV_SOF = 1 << 17;
const FRAME_NANOS = 1e6;

export class UsbSerial {
  /** @param onData  called with a Buffer of the data that the chip has sent */
  constructor(mcu, onData) {
    this.usb = mcu.usbCtrl;
    this.input = Buffer.alloc(0);
    this.requested = 0; // bytes that the chip waits for
    this.cdc = new USBCDC(this.usb);
    this.cdc.onSerialData = (bytes) => {
      if (bytes.length) { // an empty packet follows a full one, to end the transfer
        onData(Buffer.from(bytes));
      }
    };
    this.usb.onEndpointRead = (endpoint, size) => {
      if (endpoint === this.cdc.outEndpoint) {
        this.requested = size;
        this.#answer();
      }
    };
    startFrames(mcu);
  }

  /** Takes bytes from the computer. */
  write(bytes) {
    this.input = Buffer.concat([this.input, bytes]);
    this.#answer();
  }

  #answer() {
    if (this.requested && this.input.length) {
      const packet = this.input.subarray(0, this.requested);
      this.input = this.input.subarray(packet.length);
      this.requested = 0;
      this.usb.endpointReadDone(this.cdc.outEndpoint, Uint8Array.from(packet));
    }
  }
}

/**
 * Start-of-frame interrupts, which rp2040js lacks in device mode: TinyUSB uses them to wake up and send what the
 * program has written since. They run only while the program wants them, so an idle board stays idle.
 */
function startFrames({ usbCtrl: usb, clock }) {
  const { writeUint32, readUint32 } = Object.getPrototypeOf(usb);
  const frame = clock.createAlarm(() => {
    frame.scheduled = false;
    usb.sofFrameNumber = (usb.sofFrameNumber + 1) & 0x7ff;
    usb.intRaw |= DEV_SOF;
    usb.checkInterrupts();
    schedule();
  });
  const schedule = () => {
    if (usb.intEnable & DEV_SOF && !frame.scheduled) {
      frame.schedule(FRAME_NANOS);
    }
  };
  usb.writeUint32 = (offset, value) => {
    writeUint32.call(usb, offset, value);
    if (offset === INTE) {
      schedule();
    }
  };
  usb.readUint32 = (offset) => {
    const value = readUint32.call(usb, offset);
    if (offset === SOF_RD) { // reading acknowledges
      usb.intRaw &= ~DEV_SOF;
      usb.checkInterrupts();
    }
    return value;
  };
}
