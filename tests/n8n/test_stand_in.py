"""What the tests in ``tests/deploy`` play the workflows with says what n8n's own Luxon says."""

from __future__ import annotations

import json
import subprocess

from tests.deploy.n8n_play import LUXON
from tests.n8n.installation import Installation

CODE = """
const [real, ours] = await Promise.all(process.argv.slice(1).map((file) => import(file)));
const wrong = [];
let tried = 0;
const compare = (what, told) => {
  tried++;
  const said = [real.default ?? real, ours].map(({ DateTime }) => String(told(DateTime)));
  if (said[0] !== said[1]) wrong.push([what, ...said]);
};
const zones = ['Europe/London', 'America/New_York', 'Asia/Kathmandu', 'Pacific/Auckland',
  'Australia/Lord_Howe', 'UTC', 'Europe/Lodon'];
// The days before, on and after which clocks change somewhere.
const days = ['2026-10-25', '2026-11-01', '2027-03-14', '2027-03-28', '2027-04-04', '2026-12-31',
  '2027-02-29', '2026-09-27'];
const clocks = ['00:00', '00:30', '01:00', '01:30', '01:45', '02:00', '02:30', '03:00', '12:15',
  '23:59', '25:00', '9:30'];
for (const zone of zones) {
  for (const day of days) {
    compare([zone, day], (DateTime) => DateTime.fromISO(day, { zone }).startOf('day').toISO());
    const next = (DateTime) => DateTime.fromISO(day, { zone }).plus({ days: 1 });
    compare([zone, day, '+1'], (DateTime) => next(DateTime).toISO());
    for (const at of clocks) {
      const [hour, minute] = at.split(':').map(Number);
      const t = (DateTime) => DateTime.fromISO(`${day}T${at}`, { zone });
      const midnight = (DateTime) => DateTime.fromISO(day, { zone }).startOf('day');
      const set = (DateTime) => midnight(DateTime).set({ hour, minute });
      const where = [zone, day, at];
      compare([...where, 'read'], (DateTime) => t(DateTime).toISO());
      compare([...where, 'millis'], (DateTime) => t(DateTime).toMillis());
      const form = "yyyy-MM-dd'T'HH:mm'Z'";
      compare([...where, 'utc'], (DateTime) => t(DateTime).toUTC().toFormat(form));
      compare([...where, 'later'], (DateTime) => t(DateTime).plus({ minutes: 45 }).toISO());
      compare([...where, 'there'], (DateTime) => t(DateTime).setZone('Asia/Tokyo').toISODate());
      compare([...where, 'words'], (DateTime) =>
        t(DateTime).setLocale('en').toFormat('cccc, LLLL h:mm') + t(DateTime).weekday);
      if (hour < 24) compare([...where, 'set'], (DateTime) => set(DateTime).toISO());
    }
  }
}
console.log(JSON.stringify({ tried, wrong }));
"""


def test_the_stand_in_for_luxon_says_what_luxon_says(installation: Installation) -> None:
    real = installation.place / "app/node_modules/luxon/build/node/luxon.js"

    done = subprocess.run(
        [installation.node, "--input-type=module", "--eval", CODE, real.as_uri(), LUXON.as_uri()],
        capture_output=True,
        text=True,
        timeout=100,
    )

    assert done.returncode == 0, done.stderr
    came = json.loads(done.stdout)
    assert came["tried"] > 3000
    assert came["wrong"][:10] == []
