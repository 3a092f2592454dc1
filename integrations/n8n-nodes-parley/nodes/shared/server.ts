// Requests to Parley with the credential's key, and its errors as n8n shows them.
import { NodeApiError, NodeOperationError } from 'n8n-workflow';
import type {
	IExecuteFunctions,
	IHookFunctions,
	IHttpRequestMethods,
	IHttpRequestOptions,
	JsonObject,
} from 'n8n-workflow';

type Caller = IExecuteFunctions | IHookFunctions;

const TIMEOUT_MS = 30_000;
const TOO_SLOW = /ECONNABORTED|ETIMEDOUT|timed out|timeout of/;

interface Refusal {
	message?: string;
	code?: string;
}

interface Sound {
	body: ArrayBuffer | Buffer;
	headers: Record<string, unknown>;
}

/** Ask Parley for something. `path` begins with a slash. Throws `NodeApiError`. */
export async function ask<Answer extends object>(
	context: Caller,
	method: IHttpRequestMethods,
	path: string,
	options: Partial<IHttpRequestOptions> = {},
	itemIndex = 0,
): Promise<Answer> {
	const answer = await send(context, method, path, options, itemIndex);
	const made = typeof answer === 'string' ? parsed(answer) : answer;
	if (typeof made === 'object' && made !== null) return made as Answer;
	throw notParley(context, 'JSON', itemIndex);
}

/** Ask Parley for what has no answer. */
export async function order(context: Caller, method: IHttpRequestMethods, path: string): Promise<void> {
	await send(context, method, path, {}, 0);
}

/** Ask Parley for sound. */
export async function askForSound(
	context: Caller,
	path: string,
	options: Partial<IHttpRequestOptions>,
	itemIndex: number,
): Promise<Buffer> {
	const wanted = { ...options, encoding: 'arraybuffer' as const, returnFullResponse: true };
	const { body, headers } = (await send(context, 'POST', path, wanted, itemIndex)) as Sound;
	const bytes = Buffer.from(body as ArrayBuffer);
	const isText = /^text\/|^application\/json/.test(String(headers['content-type'] ?? ''));
	if (isText || !bytes.length) throw notParley(context, 'sound', itemIndex);
	return bytes;
}

async function send(
	context: Caller,
	method: IHttpRequestMethods,
	path: string,
	options: Partial<IHttpRequestOptions>,
	itemIndex: number,
): Promise<unknown> {
	const { baseUrl } = await context.getCredentials<{ baseUrl: string }>('parleyApi');
	const place = baseUrl.trim().replace(/\/+$/, '').replace(/\/v1$/, '');
	if (!/^https?:\/\//i.test(place)) {
		const message = 'The Base URL of the Parley credential must begin with http:// or https://.';
		throw new NodeOperationError(context.getNode(), message, { itemIndex });
	}
	const url = `${place}${path}`;
	const request: IHttpRequestOptions = { method, url, json: true, timeout: TIMEOUT_MS, ...options };
	try {
		const ours = context.helpers.httpRequestWithAuthentication;
		return await ours.call(context, 'parleyApi', request);
	} catch (error) {
		throw asNodeError(context, error, request, itemIndex);
	}
}

function notParley(context: Caller, wanted: string, itemIndex: number): NodeApiError {
	const message = `What came is no answer of Parley: it should have been ${wanted}.`;
	const description = 'Check the Base URL of the Parley credential: somebody else may be there.';
	return new NodeApiError(context.getNode(), { message }, { itemIndex, message, description });
}

function parsed(text: string): unknown {
	try {
		return JSON.parse(text);
	} catch {
		return undefined;
	}
}

function asNodeError(
	context: Caller,
	error: unknown,
	request: IHttpRequestOptions,
	itemIndex: number,
): NodeApiError {
	// n8n may have made it one of its own already, and then keeps the body beside it.
	const failure = error as {
		response?: { status?: number; data?: unknown };
		context?: { data?: unknown };
		httpCode?: string | null;
		code?: string;
		message?: string;
	};
	const refusal = refusalIn(failure.response?.data ?? failure.context?.data);
	if (!failure.response && TOO_SLOW.test(`${failure.code ?? ''} ${failure.message ?? ''}`)) {
		return tooSlow(context, request, itemIndex);
	}
	if (!refusal?.message) {
		return new NodeApiError(context.getNode(), error as JsonObject, { itemIndex });
	}
	// Not the error itself: n8n would put its own words for the status before Parley's.
	const status = failure.response?.status ?? failure.httpCode ?? '';
	return new NodeApiError(context.getNode(), { ...refusal }, {
		itemIndex,
		message: refusal.message,
		description: `Parley's code for it is ${refusal.code ?? 'unknown'}.`,
		httpCode: String(status),
	});
}

/** n8n's own words would be to try again, and a caller would hear everything twice. */
function tooSlow(context: Caller, request: IHttpRequestOptions, itemIndex: number): NodeApiError {
	const message = `Parley did not answer within ${Math.round((request.timeout ?? TIMEOUT_MS) / 1000)} s.`;
	const description =
		request.method === 'GET'
			? 'Look whether it is overloaded.'
			: 'It may have been done all the same: look before you do it again.';
	return new NodeApiError(context.getNode(), { message }, { itemIndex, message, description });
}

/** What Parley says is wrong; of a request for bytes the answer is bytes, too. */
function refusalIn(data: unknown): Refusal | undefined {
	const text = data instanceof ArrayBuffer || Buffer.isBuffer(data) ? Buffer.from(data as Buffer).toString() : data;
	try {
		const body = (typeof text === 'string' ? JSON.parse(text) : text) as { error?: Refusal } | undefined;
		return body?.error;
	} catch {
		// A proxy in between answers in HTML: n8n's own words for the status will do.
		return undefined;
	}
}
