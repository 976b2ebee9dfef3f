// When what fails its checks is started again, and when that is given up: a pure function of what was seen.

/** How what is looked after has been. Times are in ms. */
export interface Patient {
  /** Restarts since it was last in order for as long as `cooldown`. */
  restarts: number;
  /** Before this it is not judged again. */
  restUntil: number;
  /** Since when it is in order; undefined: it is not. */
  wellSince: number | undefined;
}

export interface Treatment {
  /** How long it has after a restart, in ms. */
  cooldown: number;
  /** After so many restarts without success nothing helps. */
  retries: number;
}

export const HEALTHY: Patient = { restarts: 0, restUntil: 0, wellSince: undefined };

/**
 * One more look. What is in order for a moment between two failures is not healed by that: restarts are forgotten
 * once it has been so for a `cooldown`.
 */
export function treat(
  patient: Patient,
  isWell: boolean,
  now: number,
  { cooldown, retries }: Treatment,
): [patient: Patient, verdict: 'none' | 'restart' | 'give up'] {
  if (isWell) {
    const wellSince = patient.wellSince ?? now;
    const restarts = now - wellSince >= cooldown ? 0 : patient.restarts;
    return [{ ...patient, wellSince, restarts }, 'none'];
  }
  const sick = { ...patient, wellSince: undefined };
  if (now < patient.restUntil) return [sick, 'none'];
  if (patient.restarts >= retries) return [sick, 'give up'];
  return [{ ...sick, restarts: patient.restarts + 1, restUntil: now + cooldown }, 'restart'];
}
