// Plays callers who book the same time in a Data Table, in every order that chance brings: a row is
// numbered first and seen later, as in PostgreSQL. Prints what came of it as JSON.
//
//     node n8n_claims.mjs ROUNDS KEYS LOOKS SCRIPT...
//
// KEYS are the requests' keys, such as "a,b,c"; the same key twice is a request that came twice.
// LOOKS is how often each has looked already: with 0 they wait as long as it takes.
import { readFileSync } from 'node:fs';

const [rounds, keys, looks, ...scripts] = process.argv.slice(2);
const source = scripts.map((file) => readFileSync(file, 'utf-8')).join('\n');
const judge = new Function(
	'$', '$runIndex', 'q', 'local', 'span',
	`${source}\nreturn { won, again, gives_way, row_id };`,
);
const SPAN_MS = 1_800_000;
const SLOT = '2026-12-16T10:00Z';

let seed = 1;
const chance = (below) => {
	// A generator of our own, so that a round that fails can be played again.
	seed = (seed * 48271) % 2147483647;
	return seed % below;
};

function caller(key, table) {
	const q = { key, at: Date.parse(SLOT) };
	let row, verdict;
	const look = () => {
		const seen = table.filter((each) => each.isSeen).map((each) => ({ json: { ...each } }));
		const nodes = { Check: { all: () => seen }, Claim: { first: () => ({ json: { id: row.id } }) } };
		verdict = judge((name) => nodes[name], Number(looks), q, (ms) => ms, SPAN_MS);
		return verdict.again ? giveWay : verdict.won ? keep : letGo;
	};
	const giveWay = () => {
		drop(verdict.gives_way);
		return look;
	};
	const keep = () => {
		const kept = table.find((each) => each.id === verdict.row_id && each.state === 'claimed');
		if (kept) kept.state = 'booked';
	};
	const letGo = () => drop(row.id);
	const drop = (id) => {
		const dropped = table.find((each) => each.id === id && each.state === 'claimed');
		if (dropped) dropped.state = 'lost';
	};
	const appear = () => {
		row.isSeen = true;
		return look;
	};
	const number = () => {
		row = {
			id: table.length + 1, run_key: key, state: 'claimed', slot: SLOT, moved_from: '',
			createdAt: new Date().toISOString(), isSeen: false,
		};
		table.push(row);
		return appear;
	};
	return { next: number, hasWon: () => Boolean(verdict?.won), key };
}

const outcomes = {};
for (let round = 0; round < Number(rounds); round++) {
	const table = [];
	const callers = keys.split(',').map((key) => caller(key, table));
	while (callers.some((each) => each.next)) {
		const waiting = callers.filter((each) => each.next);
		const turn = waiting[chance(waiting.length)];
		turn.next = turn.next();
	}
	const told = new Set(callers.filter((each) => each.hasWon()).map((each) => each.key));
	const booked = table.filter((each) => each.state === 'booked').length;
	const outcome = `${told.size} told, ${booked} booked`;
	outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
}
console.log(JSON.stringify(outcomes));
