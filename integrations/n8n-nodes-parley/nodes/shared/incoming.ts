// The door of both triggers: a signed request in, its body or a refusal out.
import type { IDataObject, IWebhookFunctions, IWebhookResponseData } from 'n8n-workflow';

import { SIGNATURE_HEADER, verify, WINDOW_S, type Verdict } from './signature';

const WHY: Record<Exclude<Verdict, 'ok'>, string> = {
	no_secret: 'The Parley credential of this workflow has no signing secret.',
	missing: 'X-Parley-Signature is missing.',
	malformed: 'X-Parley-Signature is not of the form t=<unix seconds>,v1=<hex HMAC-SHA256>.',
	forged: 'X-Parley-Signature does not fit the body: the two sides have different secrets.',
	stale: `X-Parley-Signature is more than ${WINDOW_S} s old or ahead: compare the two clocks.`,
};

/** The body, if it is Parley's; else undefined, and the refusal has been sent. */
export function signedBody(context: IWebhookFunctions, secret: string): IDataObject | undefined {
	const request = context.getRequestObject() as unknown as {
		headers: Record<string, unknown>;
		rawBody?: Buffer;
	};
	const raw = request.rawBody ?? Buffer.alloc(0);
	const nowS = Math.floor(Date.now() / 1000);
	const verdict = verify(secret, request.headers[SIGNATURE_HEADER], raw, nowS);
	if (verdict === 'ok') return context.getBodyData();
	const status = verdict === 'no_secret' ? 503 : 401;
	refuse(context, status, verdict === 'no_secret' ? 'not_configured' : 'bad_signature', WHY[verdict]);
	return undefined;
}

/** Sends an error in the envelope that Parley reads; the workflow does not run. */
export function refuse(
	context: IWebhookFunctions,
	status: number,
	code: string,
	message: string,
): IWebhookResponseData {
	const error = { code, message, retryable: false };
	context.getResponseObject().status(status).json({ ok: false, error });
	return { noWebhookResponse: true };
}
