// What is wrong in "Practice": whoever has set it up reads it in the answer of a run.
const isClock = (text) => /^([01]?\d|2[0-3]):[0-5]\d$|^24:00$/.test(text);
const badly = !DateTime.fromISO('2026-01-01', { zone }).isValid ? `time_zone ${zone} is unknown`
  : !isClock(p.opens) ? `opens must be a time such as 09:00, and is ${p.opens}`
  : !isClock(p.closes) ? `closes must be a time such as 17:00, and is ${p.closes}`
  : closes <= opens ? 'closes must be later than opens, and 24:00 at the latest'
  : !(length > 0 && length <= closes - opens) ? `slot_minutes can't be ${p.slot_minutes}`
  : !days.some((day) => day >= 1 && day <= 7) ? 'days must have numbers from 1, Monday, to 7'
  : '';
if (badly) {
  return { answer: fail('not_set_up', `Our appointments are not set up right: ${badly}.`) };
}
