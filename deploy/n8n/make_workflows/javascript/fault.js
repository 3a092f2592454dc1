// Why a time can't be had, whoever else has appointments; null if it can.
const fault = (t, day, time) => {
  const theirs = text('time_zone') || zone;
  if (!DateTime.fromISO('2026-01-01', { zone: theirs }).isValid) {
    return fail('bad_time_zone', `${theirs} is no time zone that I know; Europe/Paris is one.`);
  }
  if (!t) {
    const form = 'the day is given as YYYY-MM-DD and the time as HH:MM';
    return fail('bad_time', `There is no ${day} ${time}: ${form}.`);
  }
  if (+t <= Date.now()) return fail('past', `${says(t)} has already passed.`);
  if (+t > +$now.plus({ days: p.days_ahead })) return fail('too_far', 'That is too far ahead.');
  if (!isOpen(t)) return fail('closed', `We are closed on ${date(t)}.`);
  const offered = starts(t);
  if (offered.some((each) => +each === +t)) return null;
  return fail('not_offered', `Appointments begin every ${length} minutes, the first at `
    + `${clock(offered[0])} and the last at ${clock(offered.at(-1))}.`);
};
const wanted = (t) => ({
  practice: p, key, name, person, slot: slotOf(t), at: +t, day: t.toISODate(),
  starts: t.toISO(), ends: t.plus({ minutes: length }).toISO(), length,
});
