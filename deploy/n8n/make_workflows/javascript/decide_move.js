const t = local(q.at);
const mine = all.filter((r) => r.key === q.key);
const ours = mine.find((r) => r.state === 'booked');
if (ours) {
  const answer = done('moved', q.name, local(ours.from));
  return { next: 'finish', old_id: ours.moved_from, answer };
}
const undone = mine.find((r) => r.state === 'void');
if (undone) return { next: 'undo', old_id: undone.moved_from, row_id: undone.id };
if (mine.some((r) => r.ended_by)) {
  return { next: 'answer', answer: fail('ended_since', 'That appointment was changed since.') };
}
if (unclear) return { next: 'answer', answer: unclear };
const old = fits[0];
if (old.from === +t) return { next: 'answer', answer: done('moved', q.name, t) };
if (taken(t)) return { next: 'answer', answer: refuse(t) };
return { next: 'claim', old_id: old.id };
