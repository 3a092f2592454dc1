if (!person) return { answer: fail('no_name', 'A name is needed to find the appointment.') };
const t = read(text('new_day'), text('new_time'));
const answer = fault(t, text('new_day'), text('new_time'));
if (answer) return { answer };
return {
  ...wanted(t), which_day: text('day'), which_time: text('time'),
  from: $now.toISO(), to: $now.plus({ days: p.days_ahead + 1 }).toISO(),
};
