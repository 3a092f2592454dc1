// Whose claim is the first? Numbers of rows are given out one by one, but PostgreSQL may show a row
// after one with a higher number: then its owner has not seen ours and thinks the time is theirs.
// So a lower number wins, and a higher one is waited for until its owner has kept it or let it go.
const LOOKS = 8;
const all = read($('Check').all());
const t = local(q.at);
const same = all.filter((r) => r.key === q.key && r.holds).sort((one, two) => one.order - two.order);
const mine = same.find((r) => r.state === 'booked') ?? same[0];
const isDone = mine?.state === 'booked';
const rows = all.filter((r) => r.key !== q.key);
const rivals = rows.filter((r) => r.holds && r.from < +t + span && r.to > +t);
const isLost = !mine || rivals.some((r) => r.state === 'booked' || r.order < mine.order);
// A request that came twice has several claims. All but the first give way and wait for its owner to
// keep it; who has waited long enough keeps it in the place of an owner that has died.
const claim_id = $('Claim').first().json.id;
const isOurs = String(mine?.id) === String(claim_id);
const isSettled = rivals.length === 0 && same.length === 1 && isOurs;
const again = !isDone && !isLost && !isSettled && $runIndex < LOOKS;
const won = isDone || (!isLost && !again && rivals.length === 0);
const row_id = mine?.id ?? 0;
const gives_way = isOurs ? 0 : claim_id;
