// 201: the file is ours. 412: somebody else's, or ours of an earlier attempt, was there before.
// Whatever else it says, it has not taken it.
const t = local(q.at);
const status = $('Claim').first().json.statusCode;
const rows = [...read($('Find').all()), { holds: true, from: +t, to: +t + span }];
const won = status === 201 || status === 204;
const row_id = '';
const refused = status === 412 ? null
  : fail('not_written', 'The calendar does not take the appointment.');
