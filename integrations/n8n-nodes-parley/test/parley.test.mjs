// The Parley node: each operation makes its request, and each refusal becomes n8n's own error.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Parley, ParleyApi } from './built.mjs';
import { FakeExecution, KEY } from './contexts.mjs';
import { StandIn } from './parley.mjs';

const run = async (context) => (await new Parley().execute.call(context))[0];

async function operate(t, answers, resource, operation, parameters, rest = {}) {
	const parley = await StandIn.start(t, answers);
	const set = { resource, operation, ...parameters };
	const context = new FakeExecution({ baseUrl: parley.url, parameters: set, ...rest });
	return { parley, context };
}

const simple = [
	['call', 'get', { callId: 'call_1' }, 'GET /v1/calls/call_1', undefined],
	['call', 'getTranscript', { callId: 'call_1' }, 'GET /v1/calls/call_1/transcript', undefined],
	['call', 'say', { callId: 'call_1', text: 'Hello.', interrupt: true }, 'POST /v1/calls/call_1/say', { text: 'Hello.', interrupt: true }],
	['call', 'ask', { callId: 'call_1', text: 'When?', timeoutS: 5 }, 'POST /v1/calls/call_1/ask', { text: 'When?', timeout_s: 5 }],
	['call', 'transfer', { callId: 'call_1', target: '100' }, 'POST /v1/calls/call_1/transfer', { target: '100' }],
	['call', 'hangUp', { callId: 'call_1' }, 'POST /v1/calls/call_1/hangup', undefined],
	['call', 'start', { to: 'tel:100', agent: 'a', options: { from: '', ring_timeout_s: 10 } }, 'POST /v1/calls', { to: 'tel:100', agent: 'a', ring_timeout_s: 10 }],
	['toolRun', 'progress', { runId: 'run_1', say: 'Still looking.' }, 'POST /v1/tools/runs/run_1/progress', { run_id: 'run_1', say: 'Still looking.' }],
	['toolRun', 'answer', { runId: 'run_1', succeeded: true, result: '{"a": 1}' }, 'POST /v1/tools/runs/run_1/answer', { run_id: 'run_1', ok: true, result: { a: 1 } }],
	['toolRun', 'answer', { runId: 'run_1', succeeded: true, result: { a: 1 }, say: 'Done.' }, 'POST /v1/tools/runs/run_1/answer', { run_id: 'run_1', ok: true, result: { a: 1 }, say: 'Done.' }],
	['toolRun', 'answer', { runId: 'run_1', succeeded: false, errorCode: 'slot_taken', errorMessage: 'It is taken.' }, 'POST /v1/tools/runs/run_1/answer', { run_id: 'run_1', ok: false, error: { code: 'slot_taken', message: 'It is taken.', retryable: false } }],
];

for (const [resource, operation, parameters, route, body] of simple) {
	test(`${operation} of ${resource} is ${route} with ${JSON.stringify(body) ?? 'no body'}`, async (t) => {
		const answers = { [route]: [200, { done: true }] };
		const { parley, context } = await operate(t, answers, resource, operation, parameters);

		const made = await run(context);

		assert.deepEqual(made, [{ json: { done: true }, pairedItem: { item: 0 } }]);
		assert.equal(parley.asked[0].headers.authorization, `Bearer ${KEY}`);
		assert.deepEqual(parley.asked[0].body || undefined, body);
	});
}

test('every operation that can be chosen is there', () => {
	const { properties } = new Parley().description;
	const chosen = properties
		.filter(({ name }) => name === 'operation')
		.flatMap(({ options, displayOptions }) =>
			options.map(({ value }) => `${displayOptions.show.resource[0]}.${value}`),
		);
	const tested = new Set(simple.map(([resource, operation]) => `${resource}.${operation}`));

	assert.deepEqual(
		chosen.filter((each) => !tested.has(each)).sort(),
		['audio.synthesise', 'audio.transcribe'],
	);
});

test('synthesised speech is handed on as a file', async (t) => {
	const answers = { 'POST /v1/audio/speech': [200, Buffer.from([0, 255, 1])] };
	const parameters = { input: 'Hi.', model: 'tts-1', voice: 'alloy', format: 'wav', binaryField: 'sound' };
	const { parley, context } = await operate(t, answers, 'audio', 'synthesise', parameters);

	const [{ json, binary }] = await run(context);

	assert.deepEqual(json, { bytes: 3, format: 'wav' });
	assert.deepEqual(binary.sound, { fileName: 'speech.wav', bytes: Buffer.from([0, 255, 1]) });
	assert.deepEqual(parley.asked[0].body, { input: 'Hi.', model: 'tts-1', voice: 'alloy', response_format: 'wav' });
});

test('a sound file is sent as a form whose headers no file name can break', async (t) => {
	const answers = { 'POST /v1/audio/transcriptions': [200, { text: 'hello' }] };
	const sound = { fileName: 'a"\r\nX-Evil: 1.wav', bytes: Buffer.from('RIFF') };
	const items = [{ json: {}, binary: { data: sound } }];
	const parameters = { model: 'whisper-1', language: 'en', binaryField: 'data' };
	const { parley, context } = await operate(t, answers, 'audio', 'transcribe', parameters, { items });

	const [{ json }] = await run(context);

	const { body, headers } = parley.asked[0];
	assert.deepEqual(json, { text: 'hello' });
	const sent = new Response(Buffer.from(body, 'latin1'), { headers: { 'content-type': headers['content-type'] } });
	const form = await sent.formData();
	assert.equal(form.get('model'), 'whisper-1');
	assert.equal(form.get('language'), 'en');
	assert.equal(await form.get('file').text(), 'RIFF');
	assert.equal(form.get('file').name, 'a___X-Evil: 1.wav');
});

test('what Parley refuses becomes an error with its words and its code', async (t) => {
	const refusal = { error: { code: 'call_not_live', message: 'The call is over.' } };
	const answers = { 'POST /v1/calls/call_1/hangup': [409, refusal] };
	const { context } = await operate(t, answers, 'call', 'hangUp', { callId: 'call_1' });

	await assert.rejects(run(context), {
		name: /Error/,
		message: 'The call is over.',
		description: "Parley's code for it is call_not_live.",
		httpCode: '409',
	});
});

test('a refusal to make sound is read although bytes were asked for', async (t) => {
	const answers = { 'POST /v1/audio/speech': [400, { error: { code: 'bad', message: 'No such voice.' } }] };
	const parameters = { input: 'Hi.', model: 'm', voice: 'x', format: 'mp3', binaryField: 'data' };
	const { context } = await operate(t, answers, 'audio', 'synthesise', parameters);

	await assert.rejects(run(context), { message: 'No such voice.' });
});

test('with "continue on fail" each item has its own outcome', async (t) => {
	const answers = { 'GET /v1/calls/call_2': [200, { id: 'call_2' }] };
	const items = [{ json: {} }, { json: {} }];
	const parameters = { callId: (item) => `call_${item + 1}` };
	const { context } = await operate(t, answers, 'call', 'get', parameters, { items, carriesOn: true });

	const made = await run(context);

	assert.deepEqual(made[0].json.error, 'Not here.');
	assert.deepEqual(made[1], { json: { id: 'call_2' }, pairedItem: { item: 1 } });
});

test('an id is one segment of the path, and an empty one is no id', async (t) => {
	const answers = { 'GET /v1/calls/..%2Fkeys': [200, { id: 'x' }] };
	const { context } = await operate(t, answers, 'call', 'get', { callId: '../keys' });
	const empty = new FakeExecution({ parameters: { resource: 'call', operation: 'get', callId: ' ' } });

	assert.deepEqual((await run(context))[0].json, { id: 'x' });
	await assert.rejects(run(empty), { message: /Call ID is empty/ });
});

test('a result that is no JSON never leaves n8n', async (t) => {
	const parameters = { runId: 'run_1', succeeded: true, result: '{oops' };
	const { parley, context } = await operate(t, {}, 'toolRun', 'answer', parameters);

	await assert.rejects(run(context), { message: /result is no JSON/ });
	assert.deepEqual(parley.asked, []);
});

test('without a key no Authorization is sent', async () => {
	const request = { url: 'http://parley.test/v1/models', headers: { a: 'b' } };

	assert.deepEqual(await new ParleyApi().authenticate({ apiKey: '' }, request), request);
	assert.deepEqual((await new ParleyApi().authenticate({ apiKey: 'k' }, request)).headers, {
		a: 'b',
		Authorization: 'Bearer k',
	});
});
