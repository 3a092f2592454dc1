// Whose claim is the first? Numbers of rows are given out one by one.
const all = read($('Check').all());
const t = local(q.at);
const mine = all
  .filter((r) => r.key === q.key && r.holds)
  .sort((one, other) => one.order - other.order)[0];
const rows = all.filter((r) => r.key !== q.key);
const rivals = rows.filter((r) => r.holds && r.from < +t + span && r.to > +t);
const won = !!mine && !rivals.some((r) => r.state === 'booked' || r.order < mine.order);
const row_id = mine?.id ?? 0;
