// The control channel: commands from the host, each answered by a packet with the same header.
//
//   command 4, length 4, flags 4 (set, interface, number of the request), status 4
//
// Most settings have no effect here: they are kept and can be read back. A request for an unknown variable is echoed with an
// error, and the driver relies on that.

import {
  COMMAND, ERROR_UNSUPPORTED, INTERFACE, KEY_IS_PASSPHRASE, LONGEST_PASSPHRASE, words,
} from './protocol.mjs';

const SETTING_OF = { // commands whose value is read with another number
  [COMMAND.GET_ANTENNA]: COMMAND.SET_ANTENNA,
  [COMMAND.GET_POWER_SAVE]: COMMAND.SET_POWER_SAVE,
};
const MOST_STATIONS = 10;
const TRANSMIT_POWER = 31 * 4; // quarter dBm

const withLength = (bytes, offset) => bytes.toString('utf8', offset + 4, offset + 4 + bytes.readUInt32LE(offset));

export class Commands {
  /**
   * @param chip    has station, accessPoint, mac, gpio, setGpio()
   * @param answer  called with each answer
   */
  constructor(chip, answer) {
    this.chip = chip;
    this.answer = answer;
    this.reset();
  }

  reset() {
    this.variables = new Map();
    this.settings = new Map();
    this.events = null; // a bit for each that the host wants; null: all
  }

  /** True if the host wants this event. */
  wantsEvent(type) {
    return !this.events || ((this.events[type >> 3] >> (type & 7)) & 1) === 1;
  }

  /** Returns a plain number that the host has set, or 0. */
  setting(command) {
    return this.settings.get(command)?.readUInt32LE(0) ?? 0;
  }

  /** Takes a command from the host. An operation that it starts begins after its answer. */
  handle(body) {
    const [command, lengths, flags] = [0, 4, 8].map((offset) => body.readUInt32LE(offset));
    const length = lengths & 0xffff;
    const argument = Buffer.from(body.subarray(COMMAND.HEADER, COMMAND.HEADER + length));
    const interfaceNumber = (flags >>> COMMAND.INTERFACE_SHIFT) & 0x0f;
    if (flags & COMMAND.FLAG_SET) {
      const begin = this.#set(command, argument, interfaceNumber);
      this.answer(words(command, length, flags & ~COMMAND.FLAG_ERROR, 0));
      begin?.();
      return;
    }
    const value = this.#get(command, argument);
    const status = value ? 0 : ERROR_UNSUPPORTED;
    const result = Buffer.alloc(length);
    (value ?? argument).copy(result, 0, 0, length);
    const answered = (flags & ~COMMAND.FLAG_ERROR) | (status ? COMMAND.FLAG_ERROR : 0);
    this.answer(Buffer.concat([words(command, length, answered, status), result]));
  }

  /** Keeps a setting. Returns the operation that it starts, if any. */
  #set(command, argument, interfaceNumber) {
    const { station, accessPoint } = this.chip;
    switch (command) {
      case COMMAND.SET_VARIABLE: {
        const end = argument.indexOf(0);
        return this.#setVariable(argument.toString('latin1', 0, end), argument.subarray(end + 1), interfaceNumber);
      }
      case COMMAND.SET_SSID:
        return () => station.join(withLength(argument, 0), null);
      case COMMAND.DISASSOCIATE:
      case COMMAND.DOWN:
        return () => station.leave();
      case COMMAND.SET_KEY:
        this.#owner(interfaceNumber).key = parseKey(argument);
        return null;
      case COMMAND.SET_CHANNEL:
        accessPoint.channel = argument.readUInt32LE(0);
        return null;
      default:
        if (argument.length >= 4) {
          this.settings.set(command, argument);
        }
        return null;
    }
  }

  #setVariable(name, value, interfaceNumber) {
    const { chip } = this;
    switch (name) {
      case 'clmload': // regulations, in chunks
        return null;
      case 'cur_etheraddr':
        chip.mac = Buffer.from(value.subarray(0, 6));
        return null;
      case 'bsscfg:event_msgs':
        this.events = Buffer.from(value.subarray(4));
        return null;
      case 'gpioout':
        chip.setGpio(value.readUInt32LE(0), value.readUInt32LE(4));
        return null;
      case 'sae_password':
        this.#owner(interfaceNumber).saeKey = value.toString('utf8', 2, 2 + value.readUInt16LE(0));
        return null;
      case 'escan':
        return () => chip.station.scan(withLength(value, 8));
      case 'join':
        return () => chip.station.join(withLength(value, 0), value.subarray(56, 62));
      case 'bsscfg:ssid':
        chip.accessPoint.ssid = withLength(value, 4);
        return null;
      case 'bsscfg:wsec':
        chip.accessPoint.isOpen = value.readUInt32LE(4) === 0;
        return null;
      case 'bss':
        return () => chip.accessPoint.setUp(value.readUInt32LE(4) !== 0);
      default:
        this.variables.set(name, Buffer.from(value));
        return null;
    }
  }

  #owner(interfaceNumber) {
    return interfaceNumber === INTERFACE.STATION ? this.chip.station : this.chip.accessPoint;
  }

  /** The value, or null if there is none. */
  #get(command, argument) {
    const { station, accessPoint } = this.chip;
    switch (command) {
      case COMMAND.GET_VARIABLE:
        return this.#getVariable(argument.toString('latin1', 0, argument.indexOf(0)));
      case COMMAND.GET_BSSID:
        return station.network?.mac ?? Buffer.alloc(6);
      case COMMAND.GET_SSID: {
        const name = Buffer.from(station.network?.ssid ?? '');
        return Buffer.concat([words(name.length), name, Buffer.alloc(32 - name.length)]);
      }
      case COMMAND.GET_CHANNEL: {
        const channel = station.network?.channel ?? 1;
        return words(channel, channel, 0);
      }
      case COMMAND.GET_RSSI:
        return words(station.network?.rssi ?? 0);
      case COMMAND.GET_ASSOCIATIONS:
        return Buffer.concat([words(accessPoint.stations.size), ...accessPoint.stations.values()]);
      default:
        return this.settings.get(SETTING_OF[command] ?? command) ?? null;
    }
  }

  #getVariable(name) {
    const { chip } = this;
    switch (name) {
      case 'cur_etheraddr':
        return chip.mac;
      case 'clmload_status':
        return words(0);
      case 'clmver':
      case 'ver':
        return Buffer.from('emulated CYW43439\0');
      case 'bss':
        return words(chip.accessPoint.isUp ? 1 : 0);
      case 'maxassoc':
        return words(MOST_STATIONS);
      case 'ccgpioin':
        return words(chip.gpio);
      case 'mcast_list':
        return this.variables.get(name) ?? words(0);
      case 'qtxpower':
        return this.variables.get(name) ?? words(TRANSMIT_POWER);
      default:
        return this.variables.get(name) ?? null;
    }
  }
}

/** A pre-shared key: {passphrase} or {digits}, the key itself in hexadecimal digits. */
function parseKey(bytes) {
  const length = bytes.readUInt16LE(0);
  const text = bytes.toString('utf8', 4, 4 + length);
  const isPassphrase = (bytes.readUInt16LE(2) & KEY_IS_PASSPHRASE) && length <= LONGEST_PASSPHRASE;
  return isPassphrase ? { passphrase: text } : { digits: text.toLowerCase() };
}
