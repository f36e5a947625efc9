// The floating-point functions of the RP2040's boot ROM by their offsets in its tables (RP2040 datasheet, sections
// 2.8.3.2.1 and 2.8.3.2.2). Arguments and results are in r0 to r3, as in the ROM: 32 bits to a register, doubles
// and 64-bit integers with the low word first.

const f32 = new Float32Array(1);
const f32Bits = new Uint32Array(f32.buffer);
const f64 = new Float64Array(1);
const i64 = new BigUint64Array(f64.buffer);
const f64Bits = new Uint32Array(f64.buffer);

const LOWEST_INT = -(2 ** 31);
const HIGHEST_INT = 2 ** 31 - 1;
const HIGHEST_UINT = 2 ** 32 - 1;
const LOWEST_INT64 = -(2n ** 63n);
const HIGHEST_INT64 = 2n ** 63n - 1n;
const HIGHEST_UINT64 = 2n ** 64n - 1n;

/** The ROM rounds to minus infinity and saturates. */
function toInteger(value, lowest, highest) {
  const integer = Math.floor(value);
  return Number.isNaN(integer) ? 0 : Math.min(Math.max(integer, lowest), highest);
}

function toInteger64(value, lowest, highest) {
  if (!Number.isFinite(value)) {
    return Number.isNaN(value) ? 0n : value < 0 ? lowest : highest;
  }
  const integer = BigInt(Math.floor(value));
  return integer < lowest ? lowest : integer > highest ? highest : integer;
}

function compare(a, b) {
  return a < b ? -1 : a > b ? 1 : 0;
}

/**
 * The functions that both tables have, at the same offsets.
 *
 * @param a, b        read the first and the second argument
 * @param answer      gives back a number of the table's type
 * @param answerPair  gives back two of them
 * @param scale       reads the integer that follows a first argument of the table's type: the number of fraction bits
 */
function commonFunctions({ R, a, b, answer, answerPair, scale }) {
  const integer = (value, lowest, highest) => { R[0] = toInteger(value, lowest, highest); };
  const integer64 = (value, lowest, highest) => {
    i64[0] = BigInt.asUintN(64, toInteger64(value, lowest, highest));
    [R[0], R[1]] = f64Bits;
  };
  const argument64 = () => {
    [f64Bits[0], f64Bits[1]] = R;
    return i64[0];
  };
  const signed64 = () => Number(BigInt.asIntN(64, argument64()));
  const unsigned64 = () => Number(argument64());
  const fixed = () => 2 ** scale();
  const fixedInteger = () => 2 ** (R[1] | 0);
  const fixed64 = () => 2 ** (R[2] | 0);
  const sineAndCosine = () => answerPair(Math.sin(a()), Math.cos(a()));
  return {
    0x00: () => answer(a() + b()),
    0x04: () => answer(a() - b()),
    0x08: () => answer(a() * b()),
    0x0c: () => answer(a() / b()),
    0x18: () => answer(Math.sqrt(a())),
    0x1c: () => integer(a(), LOWEST_INT, HIGHEST_INT),
    0x20: () => integer(a() * fixed(), LOWEST_INT, HIGHEST_INT),
    0x24: () => integer(a(), 0, HIGHEST_UINT),
    0x28: () => integer(a() * fixed(), 0, HIGHEST_UINT),
    0x2c: () => answer(R[0] | 0),
    0x30: () => answer((R[0] | 0) / fixedInteger()),
    0x34: () => answer(R[0]),
    0x38: () => answer(R[0] / fixedInteger()),
    0x3c: () => answer(Math.cos(a())),
    0x40: sineAndCosine,
    0x44: () => answer(Math.tan(a())),
    0x48: sineAndCosine,
    0x4c: () => answer(Math.exp(a())),
    0x50: () => answer(Math.log(a())),
    0x54: () => { R[0] = compare(a(), b()); },
    0x58: () => answer(Math.atan2(a(), b())),
    0x5c: () => answer(signed64()),
    0x60: () => answer(signed64() / fixed64()),
    0x64: () => answer(unsigned64()),
    0x68: () => answer(unsigned64() / fixed64()),
    0x6c: () => integer64(a(), LOWEST_INT64, HIGHEST_INT64),
    0x70: () => integer64(a() * fixed(), LOWEST_INT64, HIGHEST_INT64),
    0x74: () => integer64(a(), 0n, HIGHEST_UINT64),
    0x78: () => integer64(a() * fixed(), 0n, HIGHEST_UINT64),
  };
}

/** The table 'SF': {offset: function} on the registers `R`. */
export function floatFunctions(R) {
  const read = (register) => {
    f32Bits[0] = R[register];
    return f32[0];
  };
  const write = (register, value) => {
    f32[0] = value;
    R[register] = f32Bits[0];
  };
  return {
    ...commonFunctions({
      R,
      a: () => read(0),
      b: () => read(1),
      answer: (value) => write(0, value),
      answerPair: (sine, cosine) => {
        write(0, sine);
        write(1, cosine);
      },
      scale: () => R[1] | 0,
    }),
    0x7c: () => writeDouble(R, read(0)), // float2double
  };
}

/** The table 'SD': {offset: function} on the registers `R`. */
export function doubleFunctions(R) {
  const read = (register) => {
    f64Bits[0] = R[register];
    f64Bits[1] = R[register + 1];
    return f64[0];
  };
  return {
    ...commonFunctions({
      R,
      a: () => read(0),
      b: () => read(2),
      answer: (value) => writeDouble(R, value),
      answerPair: (sine, cosine) => {
        writeDouble(R, cosine);
        [R[2], R[3]] = R;
        writeDouble(R, sine);
      },
      scale: () => R[2] | 0,
    }),
    0x7c: () => { // double2float
      f32[0] = read(0);
      R[0] = f32Bits[0];
    },
  };
}

function writeDouble(R, value) {
  f64[0] = value;
  R[0] = f64Bits[0];
  R[1] = f64Bits[1];
}
