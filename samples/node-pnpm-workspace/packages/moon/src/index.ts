const SYNODIC_MONTH = 29.530588853;
const NEW_MOON = Date.UTC(2000, 0, 6, 18, 14);
const NAMES = ["new moon", "waxing crescent", "first quarter", "waxing gibbous",
  "full moon", "waning gibbous", "last quarter", "waning crescent"] as const;

export interface Moon {
  /** Days since the last new moon. */
  age: number;
  /** The lit part of the disc, from 0 to 1. */
  lit: number;
  name: (typeof NAMES)[number];
}

/** The moon at a moment, by the mean length of its month: good to half a day. */
export function moonAt(moment: Date): Moon {
  const days = (moment.getTime() - NEW_MOON) / 86_400_000;
  const age = ((days % SYNODIC_MONTH) + SYNODIC_MONTH) % SYNODIC_MONTH;
  const turn = age / SYNODIC_MONTH;
  return { age, lit: (1 - Math.cos(2 * Math.PI * turn)) / 2, name: NAMES[Math.round(turn * 8) % 8]! };
}
