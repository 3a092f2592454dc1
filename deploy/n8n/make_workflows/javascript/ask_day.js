const day = DateTime.fromISO(text('day'), { zone }).setLocale('en');
if (!/^\d{4}-\d\d-\d\d$/.test(text('day')) || !day.isValid) {
  return { answer: fail('bad_day', 'The day is given as YYYY-MM-DD.') };
}
if (+day < +$now.setZone(zone).startOf('day')) {
  return { answer: fail('past', `${date(day)} is in the past.`) };
}
if (+day > +$now.plus({ days: p.days_ahead })) {
  return { answer: fail('too_far', 'That is too far ahead.') };
}
if (!isOpen(day)) return { answer: fail('closed', `We are closed on ${date(day)}.`) };
return {
  practice: p, key, day: day.toISODate(), at: +day,
  from: day.toISO(), to: day.plus({ days: 1 }).toISO(),
};
