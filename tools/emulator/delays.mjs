// Delays that a program spends polling the microsecond timer, as the Wi-Fi driver does while its chip starts: they end
// after fewer instructions, at the same emulated time. An alarm is never skipped.

const TIMER = 0x40054; // as rp2040js numbers its peripherals
const TIMELR = 0x0c;
const TIMERAWL = 0x28;
const POLLS = 256; // in a row, until it is a delay
const AT_ONCE = 4000; // nanoseconds between two polls of one loop
const STEP = 10_000; // nanoseconds

export function shortenDelays({ peripherals, clock }) {
  const timer = peripherals[TIMER];
  const { readUint32 } = Object.getPrototypeOf(timer);
  let last = 0;
  let polls = 0;
  timer.readUint32 = (offset) => {
    if (offset === TIMERAWL || offset === TIMELR) {
      const now = clock.nanosCounter;
      polls = now - last < AT_ONCE ? polls + 1 : 0;
      if (polls > POLLS) {
        clock.nanosCounter = Math.max(now, Math.min(now + STEP, clock.nextAlarm?.nanos ?? Infinity));
      }
      last = clock.nanosCounter;
    }
    return readUint32.call(timer, offset);
  };
}
