// The RP2040 of rp2040js, with additions that MicroPython needs. One object is one run from reset to reset: a reset makes a
// new object, so that no old state is left.

import { ConsoleLogger, LogLevel, RP2040 } from 'rp2040js';
import { BootRom } from './bootrom.mjs';
import { fastRunner, plainRunner } from './dispatch.mjs';
import { RingOscillator } from './entropy.mjs';
import { FlashInterface } from './flash.mjs';
import { Uart } from './uart.mjs';
import { UsbSerial } from './usb_serial.mjs';

const SSI = 0x18000;
const UARTS = [0x40034, 0x40038]; // the number of the peripheral in rp2040js
const WATCHDOG = 0x40058;
const RING_OSCILLATOR = 0x40060;
const FLASH_START = 0x10000000;
const STACK_TOP = 0x20042000;

const TEMPERATURE_CHANNEL = 4;
const ADC_REFERENCE = 3.3;
const ADC_STEPS = 4096;

export class Chip {
  /**
   * @param options.flash      what it boots from
   * @param options.id         the board's number
   * @param options.seed       of the random bits
   * @param options.plain      true: the package's own, slower interpreter
   * @param options.verbose    true: report accesses to what is not modelled
   * @param hooks.onConsole    Buffer from the USB serial port
   * @param hooks.onUart       (number, Buffer) from a UART
   * @param hooks.onReset      the watchdog resets the chip
   * @param hooks.onBootloader the program asks for the bootloader
   */
  constructor({ flash, id, seed, plain, verbose }, hooks) {
    const mcu = new RP2040();
    this.mcu = mcu;
    this.stop = { requested: false };
    mcu.logger = new ConsoleLogger(verbose ? LogLevel.Warn : LogLevel.Error, false);
    this.rom = new BootRom(mcu, flash, () => this.#leave(hooks.onBootloader));
    flash.install(mcu); // after the ROM, because loading it erases the package's flash
    mcu.onBreak = (code) => this.#breakpoint(code);
    mcu.peripherals[SSI] = new FlashInterface(mcu, mcu.peripherals[SSI], id);
    mcu.peripherals[RING_OSCILLATOR] = new RingOscillator(mcu, seed);
    this.uarts = UARTS.map((address, number) => {
      const { name, irq } = mcu.uart[number];
      const uart = new Uart(mcu, name, irq, (bytes) => hooks.onUart(number, bytes));
      mcu.uart[number] = mcu.peripherals[address] = uart;
      return uart;
    });
    this.console = new UsbSerial(mcu, hooks.onConsole);
    this.#wireWatchdog(hooks.onReset);
    this.runner = (plain ? plainRunner : fastRunner)(mcu);
    this.#boot();
  }

  /** Runs up to `limit` instructions, until the core waits for an event or leaves this run; returns how many. */
  run(limit) {
    return this.runner(limit, 1e9 / this.mcu.clkSys, this.stop);
  }

  /** The state that survives a reset by the watchdog: the scratch registers and the reason of the reset. */
  get watchdogState() {
    const { scratchData, reason } = this.mcu.peripherals[WATCHDOG];
    return { scratchData, reason };
  }

  restoreWatchdog({ scratchData, reason }) {
    this.mcu.peripherals[WATCHDOG].scratchData.set(scratchData);
    this.mcu.peripherals[WATCHDOG].reason = reason;
  }

  setVoltage(channel, volts) {
    const steps = Math.round((volts / ADC_REFERENCE) * ADC_STEPS);
    this.mcu.adc.channelValues[channel] = Math.min(Math.max(steps, 0), ADC_STEPS - 1);
  }

  /** The chip's temperature sensor: 0.706 V at 27 degrees, -1.721 mV per degree (datasheet, section 4.9.5). */
  setTemperature(degrees) {
    this.setVoltage(TEMPERATURE_CHANNEL, 0.706 - 0.001721 * (degrees - 27));
  }

  #wireWatchdog(onReset) {
    const watchdog = this.mcu.peripherals[WATCHDOG];
    watchdog.onWatchdogTrigger = () => {
      // The package would set the expired alarm again and again, with no time left.
      watchdog.alarm.enable = false;
      watchdog.timer.enable = false;
      this.#leave(onReset);
    };
  }

  #leave(hook) {
    this.stop.requested = true;
    hook();
  }

  /** Starts in the state after the boot ROM: at the flash's first code, with only the core's own interrupts enabled. */
  #boot() {
    const { core } = this.mcu;
    core.SP = STACK_TOP;
    core.LR = 0;
    core.PC = FLASH_START;
  }

  #breakpoint(code) {
    if (!this.rom.call(code)) {
      const { PC, LR } = this.mcu.core;
      throw new Error(`The program stopped at a breakpoint (${code}): PC 0x${PC.toString(16)}, LR 0x${LR.toString(16)}.`);
    }
  }
}
