// The moon's age follows from the mean length of its month and one new moon that is known.
const MONTH = 29.530588853 * 86_400_000;
const KNOWN_NEW_MOON = Date.UTC(2000, 0, 6, 18, 14);

const NAMES = [
  "New moon",
  "Waxing crescent",
  "First quarter",
  "Waxing gibbous",
  "Full moon",
  "Waning gibbous",
  "Last quarter",
  "Waning crescent",
];

/** The part of the month that has passed at a time in milliseconds, from 0 to 1. */
export function phase(time) {
  const passed = (time - KNOWN_NEW_MOON) / MONTH;
  return passed - Math.floor(passed);
}

/** What people call a phase. */
export function nameOf(phase) {
  return NAMES[Math.round(phase * NAMES.length) % NAMES.length];
}

/** The lit part of the disc of radius 1, as an SVG path. */
export function litPath(phase) {
  const waxing = phase < 0.5;
  const bulge = Math.cos(2 * Math.PI * phase);
  const inner = (bulge > 0) === waxing ? 0 : 1;
  return `M 0 -1 A 1 1 0 0 ${waxing ? 1 : 0} 0 1 A ${Math.abs(bulge)} 1 0 0 ${inner} 0 -1 Z`;
}
