// What every step knows of the practice `p`: its hours, and how to speak of a time.
const zone = p.time_zone;
const length = Number(p.slot_minutes);
const span = length * 60000;
const minutes = (clock) => {
  const [h, m] = String(clock).split(':').map(Number);
  return h * 60 + m;
};
// Closing at 00:00 is closing at the day's end.
const [opens, closes] = [minutes(p.opens), minutes(p.closes) || 1440];
const days = [p.days ?? []].flat().map(Number);
const isOpen = (day) => days.includes(day.weekday) && !(p.closed ?? []).includes(day.toISODate());
const starts = (day) => {
  const count = isOpen(day) ? Math.floor((closes - opens) / length) : 0;
  return Array.from({ length: count }, (_, i) => opens + i * length)
    .map((at) => [at, day.startOf('day').set({ hour: Math.floor(at / 60), minute: at % 60 })])
    // In the hour that is left out in spring there is no such time.
    .filter(([at, t]) => t.hour * 60 + t.minute === at)
    .map(([, t]) => t);
};
const local = (ms) => DateTime.fromMillis(ms, { zone }).setLocale('en');
const slotOf = (t) => t.toUTC().toFormat("yyyy-MM-dd'T'HH:mm'Z'");
const HOURS = ['twelve', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine',
  'ten', 'eleven'];
const clock = (t) => {
  const [hour, next] = [HOURS[t.hour % 12], HOURS[(t.hour + 1) % 12]];
  if (t.minute === 0) return t.hour === 12 ? 'noon' : `${hour} o'clock`;
  const named = { 15: `quarter past ${hour}`, 30: `half past ${hour}`, 45: `quarter to ${next}` };
  return named[t.minute] ?? t.toFormat('h:mm');
};
const ending = (d) => d > 10 && d < 20 ? 'th' : { 1: 'st', 2: 'nd', 3: 'rd' }[d % 10] ?? 'th';
const date = (t) => `${t.toFormat('cccc, LLLL')} ${t.day}${ending(t.day)}`;
const says = (t) => `${date(t)} at ${clock(t)}`;
const list = (words) => words.length < 2
  ? words.join('')
  : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
const fail = (code, message) => ({ ok: false, error: { code, message, retryable: false } });
const facts = (name, t) => ({
  name, day: t.toISODate(), weekday: t.toFormat('cccc'), time: t.toFormat('HH:mm'),
  time_zone: zone, summary: says(t),
});
const done = (status, name, t) => ({ ok: true, result: { status, ...facts(name, t) } });
