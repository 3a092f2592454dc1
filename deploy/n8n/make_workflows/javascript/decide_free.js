const day = local(q.at);
const times = free(day);
const runs = [];
for (const t of times) {
  const last = runs.at(-1);
  if (last && +t - +last.at(-1) === span) last.push(t);
  else runs.push([t]);
}
const said = list(runs.flatMap((run) => run.length > 2
  ? [`from ${clock(run[0])} to ${clock(run.at(-1))}`]
  : run.map((t) => `at ${clock(t)}`)));
const result = {
  day: q.day, weekday: day.toFormat('cccc'), time_zone: zone,
  times: times.map((t) => t.toFormat('HH:mm')), summary: said,
};
if (!times.length) {
  const later = Array.from({ length: 60 }, (_, i) => day.plus({ days: i + 1 }));
  result.next_day = later.find(isOpen)?.toISODate();
}
return { answer: { ok: true, result } };
