// What the nodes make of a Parley that refuses, breaks off, or isn't one.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Parley, ParleyApi, ParleyCallEvent } from './built.mjs';
import { FakeExecution, FakeHook } from './contexts.mjs';
import { StandIn } from './parley.mjs';

const run = async (context) => (await new Parley().execute.call(context))[0];
const { checkExists, create, delete: remove } = new ParleyCallEvent().webhookMethods.default;
const PAGE = '<!doctype html><title>Somebody else</title>';
const SOUND = { fileName: 'a.wav', bytes: Buffer.from('RIFF') };

const everything = {
	'call.start': ['POST /v1/calls', { to: 'tel:100' }],
	'call.get': ['GET /v1/calls/c1', { callId: 'c1' }],
	'call.getTranscript': ['GET /v1/calls/c1/transcript', { callId: 'c1' }],
	'call.say': ['POST /v1/calls/c1/say', { callId: 'c1', text: 'Hi.' }],
	'call.ask': ['POST /v1/calls/c1/ask', { callId: 'c1', text: 'When?', timeoutS: 30 }],
	'call.transfer': ['POST /v1/calls/c1/transfer', { callId: 'c1', target: 'tel:100' }],
	'call.hangUp': ['POST /v1/calls/c1/hangup', { callId: 'c1' }],
	'toolRun.answer': ['POST /v1/tools/runs/r1/answer', { runId: 'r1', succeeded: true, result: {} }],
	'toolRun.progress': ['POST /v1/tools/runs/r1/progress', { runId: 'r1', say: 'Nearly.' }],
	'audio.synthesise': ['POST /v1/audio/speech', { input: 'Hi.', format: 'mp3', binaryField: 'data' }],
	'audio.transcribe': ['POST /v1/audio/transcriptions', { binaryField: 'data' }],
};

async function operate(t, name, answer, rest = {}) {
	const [resource, operation] = name.split('.');
	const [route, parameters] = everything[name];
	const parley = await StandIn.start(t, { [route]: answer });
	return new FakeExecution({
		baseUrl: parley.url,
		parameters: { resource, operation, ...parameters },
		items: [{ json: {}, binary: { data: SOUND } }],
		...rest,
	});
}

test('these are all operations that can be chosen', () => {
	const chosen = new Parley().description.properties
		.filter(({ name }) => name === 'operation')
		.flatMap(({ options, displayOptions: { show } }) => options.map(({ value }) => `${show.resource[0]}.${value}`));

	assert.deepEqual(chosen.sort(), Object.keys(everything).sort());
});

for (const name of Object.keys(everything)) {
	test(`${name} tells in Parley's words why it was refused`, async (t) => {
		for (const status of [401, 404, 409, 413, 422, 429, 500, 503]) {
			const refusal = { error: { code: `code_${status}`, message: `It was ${status}.` } };
			const context = await operate(t, name, [status, refusal]);

			await assert.rejects(run(context), {
				message: `It was ${status}.`,
				description: `Parley's code for it is code_${status}.`,
				httpCode: String(status),
			});
		}
	});

	test(`${name} fails when the connection breaks, before the answer or in the middle of it`, async (t) => {
		for (const answer of ['cut', 'cut in the middle']) {
			const context = await operate(t, name, answer);
			const lenient = await operate(t, name, answer, { carriesOn: true });

			await assert.rejects(run(context), { name: /Error/ });
			const [made] = await run(lenient);
			assert.ok(made.json.error);
			assert.deepEqual(made.pairedItem, { item: 0 });
		}
	});

	test(`${name} takes nothing from a proxy or from whoever else is at the base URL`, async (t) => {
		const proxy = await operate(t, name, [502, PAGE]);
		const page = await operate(t, name, [200, PAGE, { 'Content-Type': 'text/html' }]);
		const nothing = await operate(t, name, [200, '']);

		await assert.rejects(run(proxy), { name: /Error/ });
		await assert.rejects(run(page), { message: /no answer of Parley/, description: /Base URL/ });
		await assert.rejects(run(nothing), { message: /no answer of Parley/ });
	});
}

test('a base URL is taken with blanks around it, and not without http://', async (t) => {
	const parley = await StandIn.start(t, { 'GET /v1/calls/c1': [200, { id: 'c1' }] });
	const parameters = { resource: 'call', operation: 'get', callId: 'c1' };
	const blanks = new FakeExecution({ baseUrl: ` ${parley.url}/v1/ `, parameters });
	const bare = new FakeExecution({ baseUrl: parley.url.replace('http://', ''), parameters });

	assert.deepEqual((await run(blanks))[0].json, { id: 'c1' });
	await assert.rejects(run(bare), { message: /Base URL.*must begin with http/ });
});

test("the credential's own test takes the base URL as the nodes do", () => {
	const { baseURL } = new ParleyApi().test.request;
	const code = baseURL.replace(/^=\{\{|\}\}$/g, '');
	const read = (baseUrl) => new Function('$credentials', `return ${code}`)({ baseUrl });

	for (const written of ['http://p.test', ' http://p.test/ ', 'http://p.test/v1', 'http://p.test/v1//']) {
		assert.equal(read(written), 'http://p.test');
	}
});

test('n8n is more patient than Parley', async (t) => {
	const waited = {};
	for (const name of Object.keys(everything)) {
		const context = await operate(t, name, [500, {}]);
		const send = context.helpers.httpRequestWithAuthentication;
		context.helpers.httpRequestWithAuthentication = function (type, request) {
			waited[name] = request.timeout;
			return send.call(this, type, request);
		};
		await assert.rejects(run(context));
	}

	// A transfer may ring for a minute, a caller has the thirty seconds that were set.
	assert.ok(waited['call.transfer'] > 70_000);
	assert.ok(waited['call.ask'] > 35_000);
	assert.ok(Object.values(waited).every((ms) => ms >= 30_000));
});

test('who has waited in vain is not told to try again what may have been done', async (t) => {
	for (const name of ['call.transfer', 'call.get']) {
		const context = await operate(t, name, [200, {}]);
		context.helpers.httpRequestWithAuthentication = async () => {
			throw Object.assign(new Error('timeout of 30000ms exceeded'), { code: 'ECONNABORTED' });
		};

		await assert.rejects(run(context), (error) => {
			assert.match(error.message, /Parley did not answer within \d+ s/);
			assert.equal(/may have been done/.test(error.description), name === 'call.transfer');
			return true;
		});
	}
});

test('numbers that come from expressions as text are numbers for Parley', async (t) => {
	const asked = [];
	const take = (body) => (asked.push(body), [200, { ok: true }]);
	const parley = await StandIn.start(t, { 'POST /v1/calls/c1/ask': take, 'POST /v1/calls': take });
	const at = { baseUrl: parley.url };
	const ask = { resource: 'call', operation: 'ask', callId: 'c1', text: 'When?', timeoutS: '20' };
	const start = { resource: 'call', operation: 'start', to: 'tel:1', options: { ring_timeout_s: '20' } };

	await run(new FakeExecution({ ...at, parameters: ask }));
	await run(new FakeExecution({ ...at, parameters: start }));

	assert.deepEqual([asked[0].timeout_s, asked[1].ring_timeout_s], [20, 20]);
});

test('a large answer comes through whole', async (t) => {
	const data = Array.from({ length: 20_000 }, (_, n) => ({ role: 'user', text: `sentence ${n} `.repeat(10) }));
	const context = await operate(t, 'call.getTranscript', [200, { data }]);

	assert.equal((await run(context))[0].json.data.length, 20_000);
});

test('sound of several megabytes goes there and back, byte for byte', async (t) => {
	const bytes = Buffer.alloc(4_000_000, 'sound');
	const items = [{ json: {}, binary: { data: { fileName: 'a\\', bytes } } }];
	let sent;
	const there = await operate(t, 'audio.transcribe', (body) => ((sent = body), [200, { text: '' }]), { items });
	const back = await operate(t, 'audio.synthesise', [200, bytes]);

	await run(there);
	const [{ binary }] = await run(back);

	assert.ok(sent.includes(bytes.toString('latin1')));
	assert.match(sent, /filename="a_"\r\n/);
	assert.equal(Buffer.compare(binary.data.bytes, bytes), 0);
});

test('the call events are not registered with somebody else', async (t) => {
	for (const answer of [[200, PAGE], [401, { error: { code: 'invalid_key', message: 'No such key.' } }], 'cut']) {
		const parley = await StandIn.start(t, { 'GET /v1/webhooks': answer, 'POST /v1/webhooks': answer });
		const parameters = { events: ['call_ended'] };
		const staticData = { id: 'w1', secret: 'wh_1' };
		const hook = () => new FakeHook({ baseUrl: parley.url, parameters, staticData: { ...staticData } });
		const fresh = new FakeHook({ baseUrl: parley.url, parameters });

		await assert.rejects(checkExists.call(hook()), { name: /Error/, message: /./ });
		await assert.rejects(create.call(fresh), { name: /Error/ });
		await assert.rejects(remove.call(hook()), { name: /Error/ });
		assert.deepEqual(fresh.staticData, {});
	}
});
