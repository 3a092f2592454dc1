// Rows of the Data Table. A claim that nobody has kept by now belongs to a run that has died: the
// time limit of a run is far below this.
const CLAIM_MS = 30000;
const read = (items) => {
  const found = items.map((item) => item.json).filter((r) => r.id);
  const moved = found.filter((r) => r.state === 'booked').map((r) => String(r.moved_from));
  return found.map((r) => {
    const isFresh = r.state === 'claimed' && Date.now() - Date.parse(r.createdAt) < CLAIM_MS;
    const isBooked = r.state === 'booked' && !moved.includes(String(r.id));
    return {
      id: r.id, order: Number(r.id), key: r.run_key, person: r.person, moved_from: r.moved_from,
      ended_by: r.ended_by, state: r.state, from: Date.parse(r.slot),
      to: Date.parse(r.slot) + span, holds: isFresh || isBooked,
    };
  });
};
