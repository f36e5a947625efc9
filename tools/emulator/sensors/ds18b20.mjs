// A DS18B20 thermometer on a 1-Wire bus of one pin, pull-up resistor included (Maxim's DS18B20 datasheet, "1-Wire
// signaling", "ROM commands" and "function commands").

const RESET_PULSE = 400e3; // nanoseconds; a master keeps to 480, by its own clock
const PRESENCE_DELAY = 30e3;
const PRESENCE_PULSE = 120e3;
const SAMPLE_AFTER = 30e3; // a low longer than that is a 0
const ZERO_PULSE = 30e3;

const FAMILY = 0x28;

export class Ds18b20 {
  /**
   * @param pins    the board's wires
   * @param pin     the number of the bus' one
   * @param serial  48 bits that tell this device from others
   */
  constructor(pins, pin, serial = 0x0000a1b2c3) {
    this.pins = pins;
    this.pin = pin;
    const rom = Buffer.alloc(7);
    rom[0] = FAMILY;
    rom.writeUIntLE(serial, 1, 6);
    this.rom = withCrc(rom);
    this.temperature = 21.5;
    this.scratchpad = [0x50, 0x05, 0x4b, 0x46, 0x7f, 0xff, 0x0c, 0x10]; // 85 degrees until the first conversion
    pins.watch(pin, this, (level) => this.#masterDrives(level));
  }

  /** Sets the degrees Celsius that the next conversion measures. */
  set({ temperature }) {
    this.temperature = temperature;
  }

  /** The chip was reset, and has a new clock. */
  reset(clock) {
    this.clock = clock;
    this.pullAlarm = clock.createAlarm(() => this.pins.drive(this.pin, 0, this));
    this.releaseAlarm = clock.createAlarm(() => this.pins.drive(this.pin, 1, this));
    this.lowSince = null;
    this.#idle();
    this.pins.drive(this.pin, 1, this);
  }

  #idle() {
    this.sending = [];
    this.#expect(0, () => {}); // nothing but a reset
  }

  /** Collects `count` bits, then calls `done` with them. */
  #expect(count, done) {
    this.expected = { count, done, bits: [] };
  }

  #pull(delay, duration) {
    this.pullAlarm.schedule(delay);
    this.releaseAlarm.schedule(delay + duration);
  }

  #masterDrives(level) {
    const isLow = level === 0;
    if (isLow && this.lowSince === null) {
      this.lowSince = this.clock.nanos;
      if (this.sending.length && this.sending[0] === 0) {
        this.#pull(0, ZERO_PULSE);
      }
    } else if (!isLow && this.lowSince !== null) {
      const duration = this.clock.nanos - this.lowSince;
      this.lowSince = null;
      this.#slotEnds(duration);
    }
  }

  #slotEnds(duration) {
    if (duration >= RESET_PULSE) {
      this.#idle();
      this.#expect(8, (bits) => this.#romCommand(valueOf(bits)));
      this.#pull(PRESENCE_DELAY, PRESENCE_PULSE);
    } else if (this.sending.length) {
      this.sending.shift();
    } else if (this.expected.count) {
      this.#receive(duration < SAMPLE_AFTER ? 1 : 0);
    }
  }

  #receive(bit) {
    const { expected } = this;
    expected.bits.push(bit);
    if (expected.bits.length === expected.count) {
      this.#expect(0, () => {});
      expected.done(expected.bits);
    }
  }

  #romCommand(command) {
    const rom = bitsOf(this.rom);
    switch (command) {
      case 0x33: // read ROM
        this.sending = rom;
        break;
      case 0x55: // match ROM
        this.#expect(64, (bits) => bits.every((bit, at) => bit === rom[at]) && this.#expectFunction());
        break;
      case 0xcc: // skip ROM
        this.#expectFunction();
        break;
      case 0xf0: // search ROM
        this.#search(rom);
        break;
      default:
        this.#idle();
    }
  }

  /** Sends each bit and its complement, and goes on while the master chooses this device's bit. */
  #search([bit, ...rest]) {
    if (bit === undefined) {
      return;
    }
    this.sending = [bit, 1 - bit];
    this.#expect(1, ([chosen]) => chosen === bit && this.#search(rest));
  }

  #expectFunction() {
    this.#expect(8, (bits) => this.#functionCommand(valueOf(bits)));
  }

  #functionCommand(command) {
    switch (command) {
      case 0x44: // convert
        this.#convert();
        break;
      case 0x4e: // write scratchpad: alarms and configuration
        this.#expect(24, (bits) => this.scratchpad.splice(2, 3, ...[0, 8, 16].map((at) => valueOf(bits.slice(at, at + 8)))));
        break;
      case 0xbe: // read scratchpad
        this.sending = bitsOf(withCrc(this.scratchpad));
        break;
      default: // read slots without data read as 1: converted, stored, not on parasite power
    }
  }

  #convert() {
    const sixteenths = Math.round(this.temperature * 16) & 0xffff;
    this.scratchpad.splice(0, 2, sixteenths & 0xff, sixteenths >> 8);
  }
}

function bitsOf(bytes) {
  return [...bytes].flatMap((byte) => Array.from({ length: 8 }, (_, bit) => (byte >> bit) & 1));
}

function valueOf(bits) {
  return bits.reduceRight((value, bit) => value * 2 + bit, 0);
}

function withCrc(bytes) {
  let crc = 0;
  for (const bit of bitsOf(bytes)) {
    crc = (crc ^ bit) & 1 ? (crc >> 1) ^ 0x8c : crc >> 1;
  }
  return [...bytes, crc];
}
