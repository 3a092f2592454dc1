// Requests to Parley with the credential's key, and its errors as n8n shows them.
import { NodeApiError } from 'n8n-workflow';
import type {
	IExecuteFunctions,
	IHookFunctions,
	IHttpRequestMethods,
	IHttpRequestOptions,
	JsonObject,
} from 'n8n-workflow';

type Caller = IExecuteFunctions | IHookFunctions;

interface Refusal {
	message?: string;
	code?: string;
}

/** Ask Parley for something. `path` begins with a slash. Throws `NodeApiError`. */
export async function ask<Answer>(
	context: Caller,
	method: IHttpRequestMethods,
	path: string,
	options: Partial<IHttpRequestOptions> = {},
	itemIndex = 0,
): Promise<Answer> {
	const { baseUrl } = await context.getCredentials<{ baseUrl: string }>('parleyApi');
	const url = `${baseUrl.replace(/\/+$/, '').replace(/\/v1$/, '')}${path}`;
	const request: IHttpRequestOptions = { method, url, json: true, timeout: 30_000, ...options };
	try {
		const send = context.helpers.httpRequestWithAuthentication;
		return (await send.call(context, 'parleyApi', request)) as Answer;
	} catch (error) {
		throw asNodeError(context, error, itemIndex);
	}
}

function asNodeError(context: Caller, error: unknown, itemIndex: number): NodeApiError {
	// n8n may have made it one of its own already, and then keeps the body beside it.
	const failure = error as {
		response?: { status?: number; data?: unknown };
		context?: { data?: unknown };
		httpCode?: string | null;
	};
	const refusal = refusalIn(failure.response?.data ?? failure.context?.data);
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
