// Events of a CalDAV calendar, read from the answer to a REPORT. The address of ours is made of
// their time, so that a server lets only one of them in.
const read = (items) => {
  const text = items.map((item) => String(item.json.data ?? item.json.body ?? '')).join('');
  const plain = text.replace(/&#13;/g, '').replace(/&lt;/g, '<').replace(/&amp;/g, '&');
  const parts = plain.replace(/\r?\n[ \t]/g, '').split(/<(?:\w+:)?response\b/).slice(1);
  return parts.flatMap((part) => {
    const href = (part.match(/href[^>]*>([^<]*)</) ?? [])[1] ?? '';
    const id = decodeURIComponent(href.split('/').pop());
    // Before the events there may be a description of their time zone, with dates of its own.
    return part.split('BEGIN:VEVENT').slice(1).map((event) => {
      const line = (name) => event.match(new RegExp(`^${name}([^:\r\n]*):([^\r\n]*)`, 'm')) ?? [];
      const word = (name) => (line(name)[2] ?? '').trim();
      const at = (name) => {
        const named = String(line(name)[1] ?? '').match(/TZID=([^;:]+)/);
        const form = { zone: word(name).endsWith('Z') ? 'utc' : named ? named[1] : zone };
        return DateTime.fromISO(word(name), form).toMillis();
      };
      return {
        id, order: id, key: word('X-PARLEY-KEY'), person: word('X-PARLEY-PERSON'),
        moved_from: word('X-PARLEY-MOVED-FROM'), ended_by: '', state: 'booked',
        from: at('DTSTART'), to: at(word('DTEND') ? 'DTEND' : 'DTSTART'),
        holds: word('STATUS') !== 'CANCELLED' && word('TRANSP') !== 'TRANSPARENT',
      };
    });
  });
};
