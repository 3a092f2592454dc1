// The Parley Tool trigger: who may run the workflow, and how it answers.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ParleyTool, sign, verify } from './built.mjs';
import { FakeWebhook, SECRET } from './contexts.mjs';

const now = () => Math.floor(Date.now() / 1000);
const ENVELOPE = { version: 1, run_id: 'run_1', tool: 'book', args: { day: '2026-11-23' } };

function incoming({ body = ENVELOPE, secret = SECRET, at = now(), parameters = {}, ...rest } = {}) {
	const raw = JSON.stringify(body);
	const signature = sign(secret, Buffer.from(raw), at);
	const set = { name: 'book', answer: 'lastNode', ...parameters };
	return new FakeWebhook({ raw, signature, parameters: set, ...rest });
}

const run = (context) => new ParleyTool().webhook.call(context);

test('a signed request runs the workflow with the whole envelope', async () => {
	const context = incoming();

	const answer = await run(context);

	assert.deepEqual(answer, { workflowData: [[{ json: ENVELOPE }]] });
	assert.deepEqual(context.sent, {});
});

test('a signature is what any other HMAC-SHA256 says of "time.body"', () => {
	const signature = sign('secret', Buffer.from('{}'), 1700000000);

	assert.equal(
		signature,
		't=1700000000,v1=b8569b78799ff9e3cbff0fc2d63a33a2b57f3282abd07c37ae5e8e7d79a5f163',
	);
	assert.equal(verify('secret', signature, Buffer.from('{}'), 1700000300), 'ok');
	assert.equal(verify('secret', signature, Buffer.from('{}'), 1700000301), 'stale');
	assert.equal(verify('secret', signature, Buffer.from('{}'), 1699999699), 'stale');
});

const refused = {
	'another secret': () => incoming({ secret: 'other' }),
	'a request that is six minutes old': () => incoming({ at: now() - 360 }),
	'a request from the future': () => incoming({ at: now() + 360 }),
	'no signature': () => Object.assign(incoming(), { request: { headers: {}, rawBody: Buffer.from('{}') } }),
	'a signature of another form': () => {
		const context = incoming();
		context.request.headers['x-parley-signature'] = 'v1=abc';
		return context;
	},
	'a body that was changed on its way': () => {
		const context = incoming();
		context.request.rawBody = Buffer.from(JSON.stringify({ ...ENVELOPE, args: {} }));
		return context;
	},
};

for (const [what, make] of Object.entries(refused)) {
	test(`${what} is refused with 401, and nothing runs`, async () => {
		const context = make();

		const answer = await run(context);

		assert.deepEqual(answer, { noWebhookResponse: true });
		assert.equal(context.sent.status, 401);
		assert.equal(context.sent.body.error.code, 'bad_signature');
		assert.equal(context.sent.body.error.retryable, false);
	});
}

test('a credential without a secret lets nobody in, not even who signs with nothing', async () => {
	const context = incoming({ secret: '' });
	context.secret = '';

	const answer = await run(context);

	assert.deepEqual(answer, { noWebhookResponse: true });
	assert.equal(context.sent.status, 503);
	assert.equal(context.sent.body.error.code, 'not_configured');
});

const faulty = {
	bad_version: { ...ENVELOPE, version: 2 },
	wrong_tool: { ...ENVELOPE, tool: 'cancel' },
	bad_args: { ...ENVELOPE, args: ['day'] },
};

for (const [code, body] of Object.entries(faulty)) {
	test(`a signed request that the tool can't take is refused with ${code}`, async () => {
		const context = incoming({ body });

		const answer = await run(context);

		assert.equal(answer.workflowData, undefined);
		assert.equal(context.sent.status, 400);
		assert.equal(context.sent.body.error.code, code);
	});
}

test('a tool that answers later says so at once, and the workflow runs', async () => {
	const parameters = { answer: 'later', sayMeanwhile: 'I am asking.' };
	const context = incoming({ parameters });

	const answer = await run(context);

	assert.equal(context.sent.status, 202);
	assert.deepEqual(context.sent.body, { ok: true, pending: true, say: 'I am asking.' });
	assert.equal(answer.noWebhookResponse, true);
	assert.deepEqual(answer.workflowData, [[{ json: ENVELOPE }]]);
});
