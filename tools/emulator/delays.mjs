// Shortens delays in which a program polls the microsecond timer, such as the Wi-Fi driver's while its chip starts. They
// end after fewer instructions, at the same emulated time. An alarm is never skipped.
//
// Such a loop reads the timer at regular intervals; a new loop or an interrupt breaks the pattern. So short delays, such as
// those of the 1-Wire bus, stay exact.

const TIMER = 0x40054; // the number of the peripheral in rp2040js
const TIMELR = 0x0c;
const TIMERAWL = 0x28;
const POLLS = 256; // regular readings that make a delay
const STEP = 4000; // nanoseconds
const ROUNDING = 0.001;

export function shortenDelays({ peripherals, clock }) {
  const timer = peripherals[TIMER];
  const { readUint32 } = Object.getPrototypeOf(timer);
  let last = 0;
  let rhythm = 0;
  let polls = 0;
  timer.readUint32 = (offset) => {
    if (offset === TIMERAWL || offset === TIMELR) {
      const now = clock.nanosCounter;
      const gap = now - last;
      polls = Math.abs(gap - rhythm) < ROUNDING ? polls + 1 : 0;
      rhythm = gap;
      if (polls > POLLS) {
        clock.nanosCounter = Math.max(now, Math.min(now + STEP, clock.nextAlarm?.nanos ?? Infinity));
      }
      last = clock.nanosCounter;
    }
    return readUint32.call(timer, offset);
  };
}
