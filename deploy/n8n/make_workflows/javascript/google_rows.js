// Events of a Google calendar. Ours say in their description who made them; any other event
// blocks its time, too, unless it is shown as free.
const read = (items) => items.map((item) => item.json).filter((e) => e.id && e.start).map((e) => {
  const told = (name) => (String(e.description ?? '').match(`parley-${name}: (.*)`) ?? [])[1] ?? '';
  const at = (edge) => edge.dateTime
    ? DateTime.fromISO(edge.dateTime).toMillis()
    : DateTime.fromISO(edge.date, { zone }).toMillis();
  return {
    id: e.id, order: `${e.created} ${e.id}`, key: told('key'), person: told('person'),
    moved_from: told('moved-from'), ended_by: '', state: 'booked', from: at(e.start),
    to: at(e.end), holds: e.status !== 'cancelled' && e.transparency !== 'transparent',
  };
});
