// The Parley Call Event trigger: registered, checked, taken away.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ParleyCallEvent, sign } from './built.mjs';
import { FakeHook, FakeWebhook, KEY } from './contexts.mjs';
import { StandIn } from './parley.mjs';

const URL = 'http://n8n.test/webhook/abc/call-event';
const { checkExists, create, delete: remove } = new ParleyCallEvent().webhookMethods.default;
const now = () => Math.floor(Date.now() / 1000);

function listing(...hooks) {
	return [200, { data: hooks }];
}

function event(body, { secret = 'wh_1', parameters = {}, staticData = { id: 'w1', secret: 'wh_1' } } = {}) {
	const raw = JSON.stringify(body);
	return new FakeWebhook({
		raw,
		signature: sign(secret, Buffer.from(raw), now()),
		parameters: { events: ['call_ended'], ...parameters },
		staticData,
	});
}

const run = (context) => new ParleyCallEvent().webhook.call(context);

test('on activation it registers its address and keeps the secret with the workflow', async (t) => {
	const parley = await StandIn.start(t, {
		'POST /v1/webhooks': [201, { id: 'w1', url: URL, events: ['call_ended'], secret: 'wh_1' }],
	});
	const hook = new FakeHook({ baseUrl: `${parley.url}/v1/`, parameters: { events: ['call_ended'] } });

	assert.equal(await create.call(hook), true);

	assert.deepEqual(parley.asked[0].body, { url: URL, events: ['call_ended'] });
	assert.equal(parley.asked[0].headers.authorization, `Bearer ${KEY}`);
	assert.deepEqual(hook.staticData, { id: 'w1', secret: 'wh_1' });
});

test('it knows its own registration again', async (t) => {
	const parley = await StandIn.start(t, { 'GET /v1/webhooks': listing({ id: 'w1', url: URL }) });
	const hook = new FakeHook({ baseUrl: parley.url, staticData: { id: 'w1', secret: 'wh_1' } });

	assert.equal(await checkExists.call(hook), true);
});

test('a registration whose secret is lost is taken away, one of somebody else is left alone', async (t) => {
	const parley = await StandIn.start(t, {
		'GET /v1/webhooks': listing({ id: 'w1', url: URL }, { id: 'w2', url: 'http://other.test/' }),
		'DELETE /v1/webhooks/w1': [204],
	});
	const hook = new FakeHook({ baseUrl: parley.url });

	assert.equal(await checkExists.call(hook), false);
	assert.deepEqual(
		parley.asked.map(({ method, path }) => `${method} ${path}`),
		['GET /v1/webhooks', 'DELETE /v1/webhooks/w1'],
	);
});

test('on deactivation the registration goes, and the secret with it', async (t) => {
	const parley = await StandIn.start(t, {
		'GET /v1/webhooks': listing({ id: 'w1', url: URL }),
		'DELETE /v1/webhooks/w1': [204],
	});
	const hook = new FakeHook({ baseUrl: parley.url, staticData: { id: 'w1', secret: 'wh_1' } });

	assert.equal(await remove.call(hook), true);

	assert.equal(parley.asked.at(-1).method, 'DELETE');
	assert.deepEqual(hook.staticData, {});
});

test('a Parley that forgot the registration does not keep the workflow from being unpublished', async (t) => {
	const parley = await StandIn.start(t, { 'GET /v1/webhooks': listing() });
	const hook = new FakeHook({ baseUrl: parley.url, staticData: { id: 'w1', secret: 'wh_1' } });

	assert.equal(await remove.call(hook), true);
	assert.equal(parley.asked.length, 1);
});

test('why a registration was refused is said in words of Parley', async (t) => {
	const parley = await StandIn.start(t, {
		'POST /v1/webhooks': [
			403,
			{ error: { code: 'destination_refused', message: 'n8n.test is no allowed host.' } },
		],
	});
	const hook = new FakeHook({ baseUrl: parley.url, parameters: { events: ['call_ended'] } });

	await assert.rejects(create.call(hook), {
		message: 'n8n.test is no allowed host.',
		description: "Parley's code for it is destination_refused.",
		httpCode: '403',
	});
	assert.deepEqual(hook.staticData, {});
});

test('an event that is signed with its own secret runs the workflow', async () => {
	const body = { version: 1, id: 'evt_1', event: 'call_ended', call_id: 'call_1', agent: 'a', data: {} };

	assert.deepEqual(await run(event(body)), { workflowData: [[{ json: body }]] });
});

test("an event that is signed with another webhook's secret is refused", async () => {
	const context = event({ event: 'call_ended' }, { secret: 'wh_2' });

	assert.deepEqual(await run(context), { noWebhookResponse: true });
	assert.equal(context.sent.status, 401);
});

test('before it is registered nothing is let in', async () => {
	const context = event({ event: 'call_ended' }, { staticData: {} });

	assert.deepEqual(await run(context), { noWebhookResponse: true });
	assert.equal(context.sent.status, 503);
});

test('events of other kinds and of other agents are taken and do nothing', async () => {
	const other = event({ event: 'turn_ended', agent: 'a' });
	const stranger = event({ event: 'call_ended', agent: 'b' }, { parameters: { agent: 'a' } });

	assert.deepEqual(await run(other), { webhookResponse: { ok: true, ignored: true } });
	assert.deepEqual(await run(stranger), { webhookResponse: { ok: true, ignored: true } });
});
