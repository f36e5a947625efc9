// The board: a chip with flash, wires, sensors and cables. It can be switched on and reset, and runs in real time.

import { Chip } from './chip.mjs';
import { shortenDelays } from './delays.mjs';
import { RandomNumbers } from './entropy.mjs';
import { Pins } from './pins.mjs';
import { I2cBus } from './sensors/i2c.mjs';
import { Cyw43439 } from './wifi/cyw43439.mjs';
import { PIN, connect as connectWifi } from './wifi/wiring.mjs';

const TURN = 200_000; // instructions before Node.js handles other events
const SLICE = 20_000; // instructions between two readings of the clock
const SAMPLE = 499; // the same while a profile is taken; prime, so that it does not follow a loop
const MAY_RUN_AHEAD = 20_000; // nanoseconds: too short to wait for
const LONGEST_PAUSE = 50; // milliseconds

const realNanos = () => Number(process.hrtime.bigint());

export class Board {
  /**
   * @param options  see Chip; hasWifi: it is a Pico W; speed: of its time, as many times that of real time
   * @param hooks    onConsole, onUart as Chip's; onPin(pin, level), onState(state): 'running', 'bootloader';
   *                 onRadio and onWifi for what Cyw43439 calls onThing, onStation and onAccessPoint
   */
  constructor(options, hooks) {
    this.options = options;
    this.hooks = hooks;
    this.pins = new Pins(hooks.onPin);
    this.buses = [new I2cBus(), new I2cBus()];
    this.sensors = {};
    this.volts = new Map(); // ADC channel: volts
    this.temperature = 27;
    this.instructions = 0;
    this.resets = 0;
    this.pastNanos = 0; // emulated time before the last reset
    this.busyNanos = 0; // real time spent in executing
    this.timer = null;
    this.hasSpoken = false; // whether data has been sent since the core last went to sleep
    this.profile = null; // program counter: number of samples
    this.wifi = options.hasWifi ? this.#makeWifi() : null;
  }

  #makeWifi() {
    const number = this.options.id.toString(16).padStart(6, '0').match(/../g);
    const random = new RandomNumbers(this.options.seed);
    let gpio = 0;
    return new Cyw43439({
      mac: ['28', 'cd', 'c1', ...number].join(':'), // Raspberry Pi's
      clock: {
        now: () => this.nanos / 1e6,
        after: (milliseconds, action) => this.chip.mcu.clock.createAlarm(action).schedule(milliseconds * 1e6),
      },
      random: () => random.next(),
      hooks: {
        onHostWake: this.pins.leaveToBus(PIN.DATA),
        onGpio: (levels) => {
          [0, 1, 2].filter((pin) => ((gpio ^ levels) >> pin) & 1).forEach((pin) => {
            this.hooks.onPin(`WL_GPIO${pin}`, (levels >> pin) & 1);
          });
          gpio = levels;
        },
        onThing: this.#speaking(this.hooks.onRadio),
        onStation: (state) => this.hooks.onWifi(state),
        onAccessPoint: (beacon) => this.hooks.onWifi({ access_point: beacon }),
      },
    });
  }

  /** Switches the power on. */
  powerOn() {
    this.#startChip(null);
    this.#schedule(0);
  }

  /** Pulls the chip's RUN pin low for a moment. */
  reset() {
    this.resets++;
    this.#startChip(null);
    this.timer ? this.#wake() : this.#schedule(0); // in the bootloader nothing is scheduled
  }

  get nanos() {
    return this.pastNanos + this.chip.mcu.clock.nanos;
  }

  writeConsole(bytes) {
    this.chip.console.write(bytes);
    this.#wake();
  }

  writeUart(number, bytes) {
    this.chip.uarts[number].write(bytes);
    this.#wake();
  }

  receiveRadio(thing) {
    this.wifi.receive(thing);
    this.#wake();
  }

  /** The state of the Wi-Fi chip, for the control connection. */
  get wifiState() {
    const { station, accessPoint, air } = this.wifi;
    return {
      ssid: station.isUp ? station.network.ssid : null,
      bssid: station.isUp ? station.network.bssid : null,
      access_point: accessPoint.isUp ? accessPoint.beacon : null,
      stations: [...accessPoint.stations.keys()],
      lost: air.lost,
    };
  }

  /** The level of a pin of the chip (a number), or of the Wi-Fi chip (`WL_GPIO0`, the LED). */
  pinLevel(pin) {
    const number = /^WL_GPIO([012])$/.exec(pin)?.[1];
    return number && this.wifi ? (this.wifi.gpio >> number) & 1 : this.pins.level(pin);
  }

  /** Makes the board's time run `speed` times as fast as real time, if this computer is fast enough. */
  setSpeed(speed) {
    this.options.speed = speed;
    this.start = this.#now() - this.chip.mcu.clock.nanos;
    this.#wake();
  }

  /** The number of bytes for a UART that have not reached the chip. */
  uartBacklog(number) {
    return this.chip.uarts[number].lineLength;
  }

  drivePin(pin, level) {
    this.pins.drive(pin, level);
    this.#wake();
  }

  setVoltage(channel, volts) {
    this.volts.set(channel, volts);
    this.chip.setVoltage(channel, volts);
  }

  setTemperature(degrees) {
    this.temperature = degrees;
    this.chip.setTemperature(degrees);
  }

  #startChip(watchdog) {
    const seed = (this.options.seed + this.resets * 0x9e3779b9) >>> 0;
    this.pastNanos += this.chip?.mcu.clock.nanos ?? 0;
    this.chip = new Chip({ ...this.options, seed }, {
      onConsole: this.#speaking(this.hooks.onConsole),
      onUart: this.#speaking(this.hooks.onUart),
      onReset: () => { this.next = () => this.#restart(); },
      onBootloader: () => { this.next = () => this.hooks.onState('bootloader'); },
    });
    if (watchdog) {
      this.chip.restoreWatchdog(watchdog);
    }
    this.next = null;
    this.start = this.#now();
    this.pins.connect(this.chip.mcu);
    this.buses.forEach((bus, number) => bus.connect(this.chip.mcu.i2c[number]));
    Object.values(this.sensors).forEach((sensor) => sensor.reset?.(this.chip.mcu.clock));
    this.volts.forEach((volts, channel) => this.chip.setVoltage(channel, volts));
    this.chip.setTemperature(this.temperature);
    if (this.wifi) {
      this.wifi.setPower(false); // its pin is no longer driven
      connectWifi(this.chip.mcu, this.wifi);
      shortenDelays(this.chip.mcu);
    }
    this.hooks.onState('running');
  }

  /** A hook that the board calls with its output. */
  #speaking(hook) {
    return (...what) => {
      this.hasSpoken = true;
      hook(...what);
    };
  }

  #restart() {
    this.resets++;
    this.#startChip(this.chip.watchdogState);
    this.#schedule(0);
  }

  #schedule(milliseconds) {
    this.timer = milliseconds
      ? { handle: setTimeout(() => this.#turn(), milliseconds), cancel: clearTimeout }
      : { handle: setImmediate(() => this.#turn()), cancel: clearImmediate };
  }

  /** Data has arrived from outside, so the board must not wait for the next alarm. */
  #wake() {
    if (this.timer) {
      this.timer.cancel(this.timer.handle);
      this.#schedule(0);
    }
  }

  /** Executes for a while, and returns when to go on. */
  #turn() {
    this.timer = null;
    const started = realNanos();
    let pause = 0;
    for (let left = TURN; left > 0 && !pause && !this.chip.stop.requested;) {
      if (this.chip.mcu.core.waiting) {
        this.#awaitAnswers();
        pause = this.#sleep();
      } else {
        const count = this.chip.run(Math.min(left, this.profile ? SAMPLE : SLICE));
        this.instructions += count;
        left -= count;
        this.#sample(count);
      }
    }
    this.#flush();
    this.busyNanos += realNanos() - started;
    if (this.next) {
      this.next();
    } else {
      if (!pause) {
        this.#forgetLag();
      }
      this.#schedule(Math.min(pause / 1e6 / this.options.speed, LONGEST_PAUSE));
    }
  }

  /** Samples the program counter. Each sample counts for the instructions since the last one. */
  #sample(count) {
    if (this.profile) {
      const { PC } = this.chip.mcu.core;
      this.profile.set(PC, (this.profile.get(PC) ?? 0) + count);
    }
  }

  /**
   * The core waits. Emulated time goes on to the next alarm, but not ahead of real time; returns the nanoseconds that
   * are left until then.
   */
  #sleep() {
    const { core, clock } = this.chip.mcu;
    if (core.interruptsUpdated && core.checkForInterrupts()) {
      core.waiting = false;
      return 0;
    }
    let behind = this.#now() - this.start - clock.nanos;
    if (behind < 0) { // delays were shortened: do not wait for real time
      this.start += behind;
      behind = 0;
    }
    const next = clock.nextAlarm ? clock.nextAlarm.nanos - clock.nanos : Infinity;
    if (next > behind && next > MAY_RUN_AHEAD) {
      return next - behind;
    }
    clock.tick(next);
    return 0;
  }

  /** Real time, scaled to the speed of the board's time. */
  #now() {
    return realNanos() * this.options.speed;
  }

  #flush() {
    this.chip.uarts.forEach((uart) => uart.flush());
  }

  /**
   * The core waits, perhaps for an answer to data that it has just sent. The answer takes real time from now on, so an
   * emulated clock that lags behind must not skip to the end of the program's timeout.
   */
  #awaitAnswers() {
    if (this.chip.uarts.some((uart) => uart.isSending)) {
      return; // it is still sending
    }
    this.#flush();
    if (this.hasSpoken) {
      this.hasSpoken = false;
      this.#forgetLag();
    }
  }

  /** A busy chip is slower than a real one. The lost time is not caught up, so there is no burst of timers afterwards. */
  #forgetLag() {
    const behind = this.#now() - this.start - this.chip.mcu.clock.nanos;
    if (behind > 0) {
      this.start += behind;
    }
  }
}
