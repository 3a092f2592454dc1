// Why a time can't be had, whoever else has appointments; null if it can.
const fault = (t, day, time) => {
  if (!t) {
    const form = 'the day is given as YYYY-MM-DD and the time as HH:MM';
    return fail('bad_time', `There is no ${day} ${time}: ${form}.`);
  }
  if (+t <= Date.now()) return fail('past', `${says(t)} has already passed.`);
  if (+t > +$now.plus({ days: p.days_ahead })) return fail('too_far', 'That is too far ahead.');
  if (!isOpen(t)) return fail('closed', `We are closed on ${date(t)}.`);
  const offered = starts(t);
  if (offered.some((each) => +each === +t)) return null;
  return fail('not_offered', `Appointments begin every ${p.slot_minutes} minutes, the first at `
    + `${clock(offered[0])} and the last at ${clock(offered.at(-1))}.`);
};
const wanted = (t) => ({
  practice: p, key, name, person, slot: slotOf(t), at: +t, day: t.toISODate(),
  starts: t.toISO(), ends: t.plus({ minutes: p.slot_minutes }).toISO(),
});
