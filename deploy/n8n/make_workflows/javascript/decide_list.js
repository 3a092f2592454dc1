const appointments = own.map((r) => facts(q.name, local(r.from)));
return { answer: { ok: true, result: { name: q.name, appointments, summary: all_own } } };
