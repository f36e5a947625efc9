// The chip's USB bootloader: a drive that takes a UF2 file (RP2040 datasheet, section 2.8.4). The drive is a folder.
//
// For files, it works like the real one: two files describe it, a file of 512-byte blocks is copied to it, each
// block is checked, and the board starts after the last one.

import fs from 'node:fs';
import path from 'node:path';

import { BLOCK, parseBlock } from './uf2.mjs';

const LOOK_EVERY = 50; // milliseconds

const INFO = 'UF2 Bootloader v3.0\nModel: Raspberry Pi RP2\nBoard-ID: RPI-RP2\n';

export class Bootloader {
  /**
   * @param folder  stands for the drive RPI-RP2
   * @param flash   what is programmed
   * @param onDone  called when a whole file has been programmed
   */
  constructor(folder, flash, onDone) {
    this.folder = folder;
    this.flash = flash;
    this.onDone = onDone;
    this.timer = null;
  }

  /** Makes the drive appear. */
  start() {
    fs.mkdirSync(this.folder, { recursive: true });
    fs.writeFileSync(path.join(this.folder, 'INFO_UF2.TXT'), INFO);
    fs.writeFileSync(path.join(this.folder, 'INDEX.HTM'), '');
    this.offsets = new Map(); // {file: number of bytes that are programmed}
    this.blocks = new Set();
    this.timer = setInterval(() => this.#look(), LOOK_EVERY);
  }

  /** Removes the drive, if there is one. */
  stop() {
    if (!this.timer) {
      return;
    }
    clearInterval(this.timer);
    this.timer = null;
    fs.rmSync(this.folder, { recursive: true, force: true });
  }

  #look() {
    const files = fs.readdirSync(this.folder).filter((name) => /\.uf2$/i.test(name));
    if (files.some((name) => this.#take(path.join(this.folder, name)))) {
      this.stop();
      this.onDone();
    }
  }

  /** Programs the blocks that a file has grown by; true after the last one. */
  #take(file) {
    const bytes = fs.readFileSync(file);
    let offset = this.offsets.get(file) ?? 0;
    for (; offset + BLOCK <= bytes.length; offset += BLOCK) {
      if (this.#program(bytes.subarray(offset, offset + BLOCK))) {
        return true;
      }
    }
    this.offsets.set(file, offset);
    return false;
  }

  #program(bytes) {
    const block = parseBlock(bytes);
    if (!block) {
      return false; // the real one ignores it, too
    }
    this.flash.writeImage(block.data, block.offset);
    this.blocks.add(block.number);
    return this.blocks.size === block.count;
  }
}
