// What is free among `rows`, each of which has from and to in milliseconds and `holds`.
const taken = (t) => rows.some((r) => r.holds && r.from < +t + span && r.to > +t);
const free = (day) => starts(day).filter((t) => +t > Date.now() && !taken(t));
const offer = (t) => {
  const away = (each) => Math.abs(+each - +t);
  const near = free(t).sort((one, other) => away(one) - away(other)).slice(0, 3);
  const times = list(near.sort((one, other) => +one - +other).map(clock));
  if (!near.length) return 'Nothing else is free on that day.';
  return near.length === 1
    ? `The nearest free time is ${times}.`
    : `The nearest free times are ${times}.`;
};
const refuse = (t) => fail('slot_taken', `${says(t)} is already taken. ${offer(t)}`);
