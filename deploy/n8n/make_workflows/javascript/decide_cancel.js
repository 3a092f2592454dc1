const ended = all.find((r) => r.ended_by === q.key);
if (ended) return { next: 'answer', answer: done('cancelled', q.name, local(ended.from)) };
if (unclear) return { next: 'answer', answer: unclear };
return { next: 'end', old_id: fits[0].id, answer: done('cancelled', q.name, local(fits[0].from)) };
