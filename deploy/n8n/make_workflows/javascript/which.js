// Which of somebody's appointments is meant: `own` are those to come, the next one first. A claim is
// none yet.
const own = rows
  .filter((r) => r.holds && r.state === 'booked' && r.person === q.person && r.from > Date.now())
  .sort((one, other) => one.from - other.from);
const fits = own.filter((r) => {
  const t = local(r.from);
  return (!q.which_day || t.toISODate() === q.which_day)
    && (!q.which_time || t.toFormat('HH:mm') === q.which_time);
});
const all_own = list(own.map((r) => says(local(r.from))));
const unclear = fits.length === 1 ? (fits[0].is_moving ? changed : null)
  : !own.length ? fail('not_found', `There is no appointment for ${q.name}.`)
  : !fits.length ? fail('not_found', `${q.name} has no such appointment. There is ${all_own}.`)
  : fail('which', `${q.name} has ${own.length} appointments: ${all_own}. Which is meant?`);
