// What n8n hands to a node as `this`, faked; requests are real ones.
import { ParleyApi } from './built.mjs';

export const SECRET = 'whsec_test';
export const KEY = 'pk_test';

class FakeContext {
	constructor({ parameters = {}, baseUrl = 'http://127.0.0.1:9', secret = SECRET, staticData = {} }) {
		Object.assign(this, { parameters, baseUrl, secret, staticData });
		this.helpers = {
			httpRequestWithAuthentication,
			returnJsonArray: (data) => [data].flat().map((json) => ({ json })),
		};
	}

	getNode() {
		return { name: 'Node under test' };
	}

	async getCredentials() {
		return { baseUrl: this.baseUrl, apiKey: KEY, signingSecret: this.secret };
	}

	getWorkflowStaticData() {
		return this.staticData;
	}

	parameter(name, fallback) {
		const value = this.parameters[name] ?? fallback;
		if (value === undefined) throw new Error(`the test gives no ${name}`);
		return value;
	}
}

export class FakeWebhook extends FakeContext {
	constructor({ raw, signature, ...rest }) {
		super(rest);
		this.request = { headers: { 'x-parley-signature': signature }, rawBody: Buffer.from(raw) };
		this.sent = {};
	}

	getRequestObject() {
		return this.request;
	}

	getBodyData() {
		return JSON.parse(this.request.rawBody);
	}

	getNodeParameter(name, fallback) {
		return this.parameter(name, fallback);
	}

	getResponseObject() {
		const { sent } = this;
		return {
			status(code) {
				sent.status = code;
				return { json: (body) => (sent.body = body) };
			},
		};
	}
}

export class FakeHook extends FakeContext {
	getNodeParameter(name, fallback) {
		return this.parameter(name, fallback);
	}

	getNodeWebhookUrl() {
		return 'http://n8n.test/webhook/abc/call-event';
	}
}

export class FakeExecution extends FakeContext {
	constructor({ items = [{ json: {} }], carriesOn = false, ...rest }) {
		super(rest);
		this.items = items;
		this.carriesOn = carriesOn;
		Object.assign(this.helpers, {
			prepareBinaryData: async (bytes, fileName) => ({ fileName, bytes }),
			assertBinaryData: (item, field) => this.items[item].binary[field],
			getBinaryDataBuffer: async (item, field) => this.items[item].binary[field].bytes,
		});
	}

	getInputData() {
		return this.items;
	}

	getNodeParameter(name, item, fallback) {
		const value = this.parameter(name, fallback);
		return typeof value === 'function' ? value(item) : value;
	}

	continueOnFail() {
		return this.carriesOn;
	}
}

/** As n8n does it: sends the request, and throws what carries the response of a refusal. */
async function httpRequestWithAuthentication(type, request) {
	const credentials = await this.getCredentials(type);
	const { url, method, headers = {}, body, json, encoding, returnFullResponse } =
		await new ParleyApi().authenticate(credentials, request);
	const sendsJson = json && body !== undefined;
	const response = await fetch(url, {
		method,
		headers: sendsJson ? { ...headers, 'Content-Type': 'application/json' } : headers,
		body: sendsJson ? JSON.stringify(body) : body,
	});
	const bytes = Buffer.from(await response.arrayBuffer());
	const data = encoding === 'arraybuffer' ? bytes : parsed(bytes);
	if (!response.ok) {
		const refused = { status: response.status, data };
		throw Object.assign(new Error(`status code ${response.status}`), { response: refused });
	}
	if (!returnFullResponse) return data;
	return { body: data, headers: Object.fromEntries(response.headers), statusCode: response.status };
}

function parsed(bytes) {
	try {
		return JSON.parse(bytes);
	} catch {
		return bytes.toString();
	}
}
