const t = local(q.at);
const mine = all.filter((r) => r.key === q.key);
// A claim is none yet: its owner may still lose it.
const hers = rows.some((r) => r.holds && r.state === 'booked' && r.person === q.person
  && r.from === +t);
const ours = mine.find((r) => r.state === 'booked');
if (ours) return { next: 'answer', answer: done('booked', q.name, local(ours.from)) };
if (hers) return { next: 'answer', answer: done('booked', q.name, t) };
if (mine.some((r) => r.ended_by)) {
  return { next: 'answer', answer: fail('ended_since', 'That booking was changed since.') };
}
if (taken(t)) return { next: 'answer', answer: refuse(t) };
return { next: 'claim' };
