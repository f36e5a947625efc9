// Commands from the computer, their answers, and events: one JSON object per line.
//
//   {"id": 1, "do": "stats"}                 ->  {"id": 1, "result": {...}}
//   {"id": 2, "do": "pin", "pin": 40}        ->  {"id": 2, "error": "There is no pin 40."}
//   {"event": "pin", "pin": 25, "level": 1, "time_us": 1250300}

import { createInterface } from 'node:readline';

import { Bme280 } from './sensors/bme280.mjs';
import { Ds18b20 } from './sensors/ds18b20.mjs';

const BME280_ADDRESS = 0x76;

export class Control {
  /** @param stream  the connection; @param powerOff  ends the process as a power cut does */
  constructor(stream, powerOff) {
    this.stream = stream;
    this.powerOff = powerOff;
    this.watched = new Set();
    createInterface({ input: stream }).on('line', (line) => this.#answer(line));
  }

  /** Takes commands for this board. */
  connect(board) {
    this.board = board;
  }

  tell(event) {
    this.#send({ ...event, time_us: Math.round((this.board?.nanos ?? 0) / 1000) });
  }

  pinChanged(pin, level) {
    if (this.watched.has(pin)) {
      this.tell({ event: 'pin', pin, level });
    }
  }

  #send(message) {
    this.stream.write(`${JSON.stringify(message)}\n`);
  }

  #answer(line) {
    const { id, do: command, ...values } = JSON.parse(line);
    try {
      const result = this.#commands()[command](values);
      this.#send({ id, result: result ?? null });
    } catch (error) {
      this.#send({ id, error: error.message });
    }
  }

  #commands() {
    const { board } = this;
    return {
      stats: () => ({
        instructions: board.instructions,
        emulated_s: board.nanos / 1e9,
        busy_s: board.busyNanos / 1e9,
        resets: board.resets,
        flash_operations: board.options.flash.operations,
      }),
      start_profile: () => { board.profile = new Map(); },
      stop_profile: () => {
        const { profile } = board;
        board.profile = null;
        return [...profile];
      },
      reset: () => board.reset(),
      cut_power_after: ({ flash_operations: count }) => board.options.flash.cutPowerAfter(count, this.powerOff),
      pin: ({ pin }) => board.pinLevel(pin) ?? null,
      drive_pin: ({ pin, level }) => board.drivePin(pin, level),
      watch_pin: ({ pin }) => { this.watched.add(pin); },
      voltage: ({ channel, volts }) => board.setVoltage(channel, volts),
      temperature: ({ degrees }) => board.setTemperature(degrees),
      attach: ({ sensor, name, ...where }) => this.#attach(sensor, name ?? sensor, where),
      set_sensor: ({ name, ...values }) => board.sensors[name].set(values),
      detach: ({ name }) => this.#detach(name),
      speed: ({ speed }) => board.setSpeed(speed),
      air: (changes) => board.wifi.air.change(changes),
      deauthenticate: ({ reason }) => board.wifi.station.deauthenticate(reason),
      wifi: () => board.wifiState,
    };
  }

  #attach(sensor, name, { bus = 0, address = BME280_ADDRESS, pin, serial }) {
    const { board } = this;
    if (sensor === 'bme280') {
      board.sensors[name] = new Bme280();
      board.buses[bus].attach(address, board.sensors[name]);
      board.sensors[name].detach = () => board.buses[bus].detach(address);
    } else if (sensor === 'ds18b20') {
      board.sensors[name] = new Ds18b20(board.pins, pin, serial);
      board.sensors[name].reset(board.chip.mcu.clock);
      board.sensors[name].detach = () => board.pins.leave(pin, board.sensors[name]);
    } else {
      throw new Error(`There is no model of "${sensor}"; there are bme280 and ds18b20.`);
    }
  }

  #detach(name) {
    this.board.sensors[name].detach();
    delete this.board.sensors[name];
  }
}
