if (!person) return { answer: fail('no_name', 'A name is needed to find the appointment.') };
return {
  practice: p, key, name, person, which_day: text('day'), which_time: text('time'),
  from: $now.toISO(), to: $now.plus({ days: p.days_ahead + 1 }).toISO(),
};
