// Images as UF2 files: blocks of 512 bytes, each with the address that it is for (UF2 specification).

export const BLOCK = 512;
const MAGIC = [0x0a324655, 0x9e5d5157, 0x0ab16f30]; // at 0, 4 and 508
const DATA = 32;
const NOT_MAIN_FLASH = 1 << 0;
const FAMILY_PRESENT = 1 << 13;
const FAMILY_RP2040 = 0xe48bff56;
const FLASH_START = 0x10000000;

export const isUf2 = (bytes) => bytes.length >= BLOCK && bytes.readUInt32LE(0) === MAGIC[0];

/** Returns {offset in flash, data, number, count} of a block, or null if the chip's bootloader would ignore it. */
export function parseBlock(block) {
  const [flags, address, size, number, count, family] = [8, 12, 16, 20, 24, 28].map((at) => block.readUInt32LE(at));
  const isValid = [0, 4, 508].every((at, index) => block.readUInt32LE(at) === MAGIC[index])
    && !(flags & NOT_MAIN_FLASH) && flags & FAMILY_PRESENT && family === FAMILY_RP2040 && address >= FLASH_START;
  return isValid ? { offset: address - FLASH_START, data: block.subarray(DATA, DATA + size), number, count } : null;
}

/** All blocks of a file that are for this chip. */
export function parseFile(bytes) {
  return Array.from({ length: Math.floor(bytes.length / BLOCK) }, (_, index) => (
    parseBlock(bytes.subarray(index * BLOCK, (index + 1) * BLOCK))
  )).filter((block) => block);
}
