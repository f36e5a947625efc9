// The board's flash chip. A file always has its current content, so killing the process is like cutting the board's power.

import fs from 'node:fs';
import { BasePeripheral } from 'rp2040js';

import { isUf2, parseFile } from './uf2.mjs';

export const FLASH_SIZE = 2 * 1024 * 1024;
const ADDRESS_SPACE = 16 * 1024 * 1024; // the size that rp2040js maps

export class Flash {
  /** @param path  the file; without one the content is lost at the end */
  constructor(path) {
    this.bytes = new Uint8Array(ADDRESS_SPACE).fill(0xff);
    this.file = null;
    this.operations = 0;
    this.cut = null;
    if (path) {
      this.#open(path);
    }
  }

  #open(path) {
    if (fs.existsSync(path)) {
      this.bytes.set(fs.readFileSync(path).subarray(0, FLASH_SIZE));
      this.file = fs.openSync(path, 'r+');
    } else {
      this.file = fs.openSync(path, 'w+');
      this.#save(0, FLASH_SIZE);
    }
  }

  /** Makes this the flash of a chip. */
  install(mcu) {
    mcu.flash = this.bytes;
    mcu.flash16 = new Uint16Array(this.bytes.buffer);
    mcu.flashView = new DataView(this.bytes.buffer);
  }

  /** Writes a firmware image. The rest of the flash stays. */
  writeImage(image, offset = 0) {
    this.bytes.set(image, offset);
    this.#save(offset, image.length);
  }

  /** Writes an image file: a UF2 file, or the first bytes of the flash. */
  writeFile(bytes) {
    const blocks = isUf2(bytes) ? parseFile(bytes) : [{ offset: 0, data: bytes }];
    blocks.forEach(({ offset, data }) => this.writeImage(data, offset));
  }

  /** Sets bytes to 0xff, like the chip's erase command. */
  erase(offset, size) {
    this.#operate(offset, size, (end) => this.bytes.fill(0xff, offset, end));
  }

  /** Clears bits, like the chip's program command, which cannot set bits. */
  program(offset, data) {
    this.#operate(offset, data.length, (end) => {
      for (let i = offset; i < end; i++) {
        this.bytes[i] &= data[i - offset];
      }
    });
  }

  /** Cuts the power in the middle of the operation after the next `operations` ones. */
  cutPowerAfter(operations, onCut) {
    this.cut = { at: this.operations + operations, onCut };
  }

  #operate(offset, size, change) {
    const isCut = this.cut?.at === this.operations++;
    const done = isCut ? size >> 1 : size;
    change(offset + done);
    this.#save(offset, done);
    if (isCut) {
      this.cut.onCut();
    }
  }

  #save(offset, size) {
    if (this.file !== null) {
      fs.writeSync(this.file, this.bytes, offset, size, offset);
    }
  }
}

const READ_UNIQUE_ID = 0x4b; // Winbond W25Q16JV datasheet, section 8.2.20: 4 dummy bytes, then the 8 bytes of the number
const DUMMY_BYTES = 4;
const ID_BYTES = 8;
const DATA = 0x60;

/**
 * The part of the flash chip's serial interface that programs use: it reads the serial number, which is also the
 * board's (machine.unique_id()). In rp2040js' model all boards have the same number.
 */
export class FlashInterface extends BasePeripheral {
  /**
   * @param original  rp2040js' model, for everything else
   * @param id        the board's number
   */
  constructor(mcu, original, id) {
    super(mcu, 'SSI');
    this.original = original;
    this.answer = Buffer.alloc(1 + DUMMY_BYTES + ID_BYTES);
    this.answer.writeUInt32BE(0xe6616000, 1 + DUMMY_BYTES);
    this.answer.writeUInt32BE(id >>> 0, 1 + DUMMY_BYTES + 4);
    this.position = null; // in the answer, while there is one
    this.queue = [];
  }

  writeUint32(offset, value) {
    if (offset !== DATA) {
      this.original.writeUint32(offset, value);
      return;
    }
    if (this.position === null && value === READ_UNIQUE_ID) {
      this.position = 0;
    }
    if (this.position === null) {
      this.original.writeUint32(offset, value);
      return;
    }
    this.queue.push(this.answer[this.position++]);
    if (this.position === this.answer.length) {
      this.position = null;
    }
  }

  readUint32(offset) {
    return offset === DATA && this.queue.length ? this.queue.shift() : this.original.readUint32(offset);
  }
}
