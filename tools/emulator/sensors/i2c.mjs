// An I2C bus. It passes the actions of rp2040js' controller on to the device at the address.

import { I2CMode } from 'rp2040js';

export class I2cBus {
  constructor() {
    this.devices = new Map(); // address: device with start(), read() and write(byte), where false is "not acknowledged"
  }

  attach(address, device) {
    this.devices.set(address, device);
  }

  detach(address) {
    this.devices.delete(address);
  }

  /** Wires the bus to a chip's controller. */
  connect(i2c) {
    let device = null;
    i2c.onConnect = (address, mode) => {
      device = this.devices.get(address);
      device?.start(mode === I2CMode.Read);
      i2c.completeConnect(!!device);
    };
    i2c.onWriteByte = (byte) => i2c.completeWrite(device.write(byte) !== false);
    i2c.onReadByte = () => i2c.completeRead(device.read());
  }
}
