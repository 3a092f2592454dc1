// Plays the shipped workflows without n8n: node by node, several requests at once in the orders that
// chance brings, some of them killed on the way. What to play is JSON on stdin:
//
//     {"luxon": module, "plays": [{"workflows": {tool: file}, "practice": {…},
//      "practice_before": {…}, "now": "…Z", "rounds": 1000, "refuses": [method], "kills": false,
//      "before": [[tool, key, args]], "at_once": [[…]], "after": [[…]]}]}
//
// What came of each is printed as JSON: how many rounds ended with which answers and appointments.
import { readFileSync } from 'node:fs';

import { Calendar, DataTable } from './stores.mjs';

const asked = JSON.parse(readFileSync(0, 'utf-8'));
const { DateTime } = await import(asked.luxon).then((luxon) => luxon.default ?? luxon);
const clock = { ms: 0 };
Date.now = () => clock.ms;

const flows = new Map();
function flowIn(file) {
	if (!flows.has(file)) {
		const made = JSON.parse(readFileSync(file, 'utf-8'));
		flows.set(file, { made, nodes: new Map(made.nodes.map((node) => [node.name, node])) });
	}
	return flows.get(file);
}

let seed = 1;
const chance = (below) => {
	// A generator of our own, so that a round that fails can be played again.
	seed = (seed * 48271) % 2147483647;
	return seed % below;
};

const compiled = new Map();
function work(code, names, values) {
	if (!compiled.has(code)) compiled.set(code, new Function(...names, `return (${code});`));
	return compiled.get(code)(...values);
}

/** One run of a workflow. */
class Run {
	static count = 0;

	constructor([tool, key, args], files, store, practice) {
		this.flow = flowIn(files[tool]);
		Object.assign(this, { store, practice, done: new Map(), times: new Map() });
		this.number = ++Run.count;
		this.envelope = { version: 1, tool, idempotency_key: key, args };
	}

	/** Yields wherever another run may come between; returns the answer. */
	*play() {
		let name = 'Parley Tool';
		let items = [{ ...this.envelope }];
		while (name) {
			const node = this.flow.nodes.get(name);
			const input = node.executeOnce ? items.slice(0, 1) : items;
			const made = yield* this.execute(node, input);
			this.times.set(name, (this.times.get(name) ?? 0) + 1);
			this.done.set(name, made.items);
			const [next] = this.flow.made.connections[name]?.main?.[made.output] ?? [];
			({ items } = made);
			name = next?.node;
		}
		return items[0];
	}

	*execute(node, input) {
		const { parameters } = node;
		const valueOf = (text) => this.valueOf(text, input[0], node.name);
		switch (node.type.split('.').pop()) {
			case 'set': {
				const items = input.map((json) => {
					const value = this.valueOf(parameters.jsonOutput, json, node.name);
					const told = typeof value === 'string' ? JSON.parse(value) : value;
					if (node.name !== 'Practice') return told;
					Object.assign(told.practice, this.practice);
					return { ...json, ...told };
				});
				return { items, output: 0 };
			}
			case 'if':
				return { items: input, output: valueOf(parameters.conditions.conditions[0].leftValue) ? 0 : 1 };
			case 'dataTable':
			case 'httpRequest': {
				yield;
				const found = yield* this.store.run(parameters, valueOf);
				return { items: found.length ? found : [{}], output: 0 };
			}
			case 'wait':
				yield;
		}
		return { items: input, output: 0 };
	}

	valueOf(text, json, name) {
		if (typeof text !== 'string' || !text.startsWith('=')) return text;
		const whole = /^=\{\{((?:(?!\}\})[^])*)\}\}$/.exec(text);
		const names = ['$json', '$', '$now', '$runIndex', '$execution', 'DateTime'];
		const values = [
			json, (other) => this.look(other), DateTime.fromMillis(clock.ms, { zone: 'UTC' }),
			this.times.get(name) ?? 0, { id: this.number }, DateTime,
		];
		if (whole) return work(whole[1], names, values);
		return text.slice(1).replace(/\{\{((?:(?!\}\})[^])*)\}\}/g, (_, code) => work(code, names, values));
	}

	look(name) {
		if (!this.flow.nodes.has(name)) throw new Error(`there is no node ${name}`);
		const items = (this.done.get(name) ?? []).map((json) => ({ json }));
		return { isExecuted: this.done.has(name), first: () => items[0], all: () => items };
	}
}

function outcome(answer) {
	if (answer === undefined) return 'killed';
	if (!answer.ok) return answer.error.code;
	const { status, time, times, appointments } = answer.result;
	return appointments ? `${appointments.length} listed` : times ? times.join(' ') : `${status} ${time}`;
}

function oneByOne(requests, play, store, practice) {
	return requests.map((request) => {
		const run = new Run(request, play.workflows, store, practice).play();
		let step = run.next();
		while (!step.done) step = run.next();
		return step.value;
	});
}

function atOnce(play, store) {
	const answers = [];
	const runs = play.at_once.map((request) =>
		new Run(request, play.workflows, store, play.practice).play());
	const alive = new Set(runs.keys());
	while (alive.size) {
		const turn = [...alive][chance(alive.size)];
		const step = runs[turn].next();
		if (step.done) answers[turn] = step.value;
		if (step.done || (play.kills && chance(20) === 0)) alive.delete(turn);
	}
	return play.at_once.map((_, index) => answers[index]);
}

function played(play) {
	const outcomes = {};
	const { nodes } = flowIn(play.workflows.free_times);
	const isCalendar = nodes.get('Find').type.endsWith('httpRequest');
	let answers;
	for (let round = 0; round < play.rounds; round++) {
		clock.ms = Date.parse(play.now);
		const store = isCalendar ? new Calendar() : new DataTable();
		oneByOne(play.before, play, store, play.practice_before);
		store.refuses = play.refuses;
		answers = atOnce(play, store);
		// Whatever a run that has died has claimed is free again by then.
		clock.ms += 60_000;
		const later = oneByOne(play.after, play, store, play.practice);
		const came = JSON.stringify({
			told: answers.map(outcome), after: later.map(outcome), kept: store.kept().sort(),
		});
		outcomes[came] = (outcomes[came] ?? 0) + 1;
	}
	const came = Object.entries(outcomes).map(([each, rounds]) => ({ ...JSON.parse(each), rounds }));
	return { came, answers };
}

console.log(JSON.stringify(asked.plays.map(played)));
