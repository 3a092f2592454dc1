const q = $('Asked').first().json;
const d = $('Decide').first().json;
const stamp = (iso) => DateTime.fromISO(iso).toUTC().toFormat("yyyyMMdd'T'HHmmss'Z'");
const safe = (text) => String(text ?? '').replace(/[\r\n]+/g, ' ').replace(/([\\;,])/g, '\\$1');
return [
  'BEGIN:VCALENDAR', 'VERSION:2.0', 'PRODID:-//Parley//appointments//EN', 'BEGIN:VEVENT',
  `UID:parley-${q.slot.replace(/\W/g, '')}`, `DTSTAMP:${stamp($now.toISO())}`,
  `DTSTART:${stamp(q.starts)}`, `DTEND:${stamp(q.ends)}`, `SUMMARY:${safe(q.name)}`,
  `X-PARLEY-KEY:${safe(q.key)}`, `X-PARLEY-PERSON:${safe(q.person)}`,
  `X-PARLEY-MOVED-FROM:${safe(d.old_id)}`, 'END:VEVENT', 'END:VCALENDAR', '',
].join('\r\n');
