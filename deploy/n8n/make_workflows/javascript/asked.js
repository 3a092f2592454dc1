// What the caller asked for; a caller in another time zone may have named it.
const p = $json.practice;
const a = $json.args ?? $json;
const text = (name) => String(a[name] ?? '').trim();
const key = $json.idempotency_key || `n8n-${$execution.id}`;
const name = text('name');
const person = name.toLowerCase().replace(/\s+/g, ' ');
const read = (day, time) => {
  const t = DateTime.fromISO(`${day}T${time}`, { zone: text('time_zone') || p.time_zone });
  // In the hour that is left out in spring there is no such time.
  const isReal = t.isValid && t.toFormat("yyyy-MM-dd'T'HH:mm") === `${day}T${time}`;
  if (!isReal) return null;
  // In the hour that comes twice in autumn the first of both is meant, as it is where times are offered.
  const first = t.startOf('day').set({ hour: t.hour, minute: t.minute });
  return first.setZone(p.time_zone).setLocale('en');
};
