// A Bosch BME280 on I2C: temperature, humidity and pressure (datasheet BST-BME280-DS002). Its raw
// values are chosen so that the datasheet's compensation formulas (appendix 8.1) give the values that were set.

const CHIP_ID = 0xd0;
const RESET = 0xe0;
const CALIBRATION = 0x88;
const CALIBRATION_HUMIDITY = 0xe1;
const CTRL_HUM = 0xf2;
const CTRL_MEAS = 0xf4;
const DATA = 0xf7;
const RESET_WORD = 0xb6;

const T = [27504, 26435, -1000];
const P = [36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000];
const H = [75, 362, 0, 313, 50, 30];

export class Bme280 {
  constructor() {
    this.registers = new Uint8Array(256);
    this.pointer = null;
    this.#writeCalibration();
    this.set({ temperature: 21.5, humidity: 45, pressure: 1013.25 });
    this.reset();
  }

  /** Sets degrees Celsius, percent and hectopascals. Values that are not given stay. */
  set(values) {
    this.values = { ...this.values, ...values };
  }

  reset() {
    this.registers[CHIP_ID] = 0x60;
    this.registers[CTRL_HUM] = this.registers[CTRL_MEAS] = 0;
    this.registers.set([0x80, 0, 0, 0x80, 0, 0, 0x80, 0], DATA); // "not measured"
  }

  start(isRead) {
    if (!isRead) {
      this.pointer = null;
    }
  }

  write(byte) {
    if (this.pointer === null) {
      this.pointer = byte;
    } else {
      this.#writeRegister(this.pointer, byte);
      this.pointer = null; // a write is register, value, register, value
    }
    return true;
  }

  read() {
    const value = this.registers[this.pointer];
    this.pointer = (this.pointer + 1) & 0xff;
    return value;
  }

  #writeRegister(register, value) {
    if (register === RESET && value === RESET_WORD) {
      this.reset();
    } else if (register >= CTRL_HUM && register < DATA) {
      this.registers[register] = value;
      if (register === CTRL_MEAS && value & 0b11) {
        this.#measure();
      }
    }
  }

  #measure() {
    const { temperature, humidity, pressure } = this.values;
    const fineOf = (raw) => fineTemperature(raw);
    const rawTemperature = invert((raw) => fineOf(raw) / 5120, temperature, 20);
    const fine = fineOf(rawTemperature);
    const rawPressure = invert((raw) => -pressureOf(raw, fine), -pressure * 100, 20);
    const rawHumidity = invert((raw) => humidityOf(raw, fine), humidity, 16);
    const twenty = (raw) => [raw >> 12, (raw >> 4) & 0xff, (raw & 0xf) << 4];
    this.registers.set([...twenty(rawPressure), ...twenty(rawTemperature), rawHumidity >> 8, rawHumidity & 0xff], DATA);
    if ((this.registers[CTRL_MEAS] & 0b11) !== 0b11) {
      this.registers[CTRL_MEAS] &= ~0b11; // forced mode: one measurement, then sleep
    }
  }

  #writeCalibration() {
    const view = new DataView(this.registers.buffer);
    [...T, ...P].forEach((value, index) => view.setUint16(CALIBRATION + 2 * index, value, true));
    this.registers[0xa1] = H[0];
    view.setInt16(CALIBRATION_HUMIDITY, H[1], true);
    this.registers[CALIBRATION_HUMIDITY + 2] = H[2];
    this.registers[CALIBRATION_HUMIDITY + 3] = H[3] >> 4;
    this.registers[CALIBRATION_HUMIDITY + 4] = (H[3] & 0xf) | ((H[4] & 0xf) << 4);
    this.registers[CALIBRATION_HUMIDITY + 5] = H[4] >> 4;
    this.registers[CALIBRATION_HUMIDITY + 6] = H[5];
  }
}

/** Returns the raw value of `bits` bits for which the rising function `compensate` is nearest to `wanted`. */
function invert(compensate, wanted, bits) {
  let raw = 0;
  for (let bit = 1 << (bits - 1); bit; bit >>= 1) {
    if (compensate(raw | bit) <= wanted) {
      raw |= bit;
    }
  }
  return raw;
}

function fineTemperature(raw) {
  const var1 = (raw / 16384 - T[0] / 1024) * T[1];
  const var2 = (raw / 131072 - T[0] / 8192) ** 2 * T[2];
  return var1 + var2;
}

function pressureOf(raw, fine) {
  let var1 = fine / 2 - 64000;
  let var2 = (var1 * var1 * P[5]) / 32768 + var1 * P[4] * 2;
  var2 = var2 / 4 + P[3] * 65536;
  var1 = ((P[2] * var1 * var1) / 524288 + P[1] * var1) / 524288;
  var1 = (1 + var1 / 32768) * P[0];
  const pressure = ((1048576 - raw - var2 / 4096) * 6250) / var1;
  return pressure + ((P[8] * pressure * pressure) / 2147483648 + (pressure * P[7]) / 32768 + P[6]) / 16;
}

function humidityOf(raw, fine) {
  const t = fine - 76800;
  const h = (raw - (H[3] * 64 + (H[4] / 16384) * t))
    * ((H[1] / 65536) * (1 + (H[5] / 67108864) * t * (1 + (H[2] / 67108864) * t)));
  return Math.min(Math.max(h * (1 - (H[0] * h) / 524288), 0), 100);
}
