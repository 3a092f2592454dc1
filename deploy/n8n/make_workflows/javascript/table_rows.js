// Rows of the Data Table. A claim that nobody has kept by now belongs to a run that has died: the
// time limit of a run is far below this.
const CLAIM_MS = 30000;
const read = (items) => {
  const found = items.map((item) => item.json).filter((r) => r.id);
  // Of two that move the same appointment the one that has ended it counts; the other's new time is
  // void if its run died before it was given back.
  const enders = new Map(found.map((r) => [String(r.id), r.ended_by]));
  const ender = (r) => enders.get(String(r.moved_from));
  const isVoid = (r) => (ender(r) || r.run_key) !== r.run_key;
  const isMoving = (r) => enders.has(String(r.moved_from)) && !ender(r);
  const isFresh = (r) => Date.now() - Date.parse(r.createdAt) < CLAIM_MS;
  const state = (r) => r.state === 'booked' && isVoid(r) ? 'void' : r.state;
  const isKept = (r) => ['booked', 'moved', 'cancelled'].includes(state(r));
  // What was moved by a run that died on the way is not there any more, whatever came of it since.
  const moved = found.filter(isKept).map((r) => String(r.moved_from));
  return found.map((r) => {
    const isClaimed = r.state === 'claimed' && isFresh(r);
    const isBooked = state(r) === 'booked' && !moved.includes(String(r.id));
    // Those of before the practice has changed how long they are say so themselves.
    const [begins, lasts] = String(r.slot).split('/PT');
    const from = Date.parse(begins);
    return {
      id: r.id, order: Number(r.id), key: r.run_key, person: r.person, moved_from: r.moved_from,
      ended_by: r.ended_by, state: state(r), from,
      to: from + (lasts ? Number.parseInt(lasts, 10) * 60000 : span), holds: isClaimed || isBooked,
      is_moving: isMoving(r) && isFresh(r),
    };
  });
};
