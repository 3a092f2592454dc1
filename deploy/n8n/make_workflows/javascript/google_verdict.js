// Who was first? Google says when each event was created.
const all = read($('Check').all());
const t = local(q.at);
const mine = all
  .filter((r) => r.key === q.key)
  .sort((one, other) => one.order < other.order ? -1 : 1)[0];
const old_id = $('Decide').first().json.old_id;
const rows = all.filter((r) => r.key !== q.key && r.id !== old_id);
const rivals = rows.filter((r) => r.holds && r.from < +t + span && r.to > +t);
const won = !!mine && !rivals.some((r) => r.order < mine.order);
const row_id = $('Claim').first().json.id;
