// What Parley signs, checked: a header `t=<unix seconds>,v1=<hex HMAC-SHA256 of "t.body">`.
import { createHmac, timingSafeEqual } from 'node:crypto';

export const SIGNATURE_HEADER = 'x-parley-signature';
export const WINDOW_S = 300;

export type Verdict = 'ok' | 'missing' | 'malformed' | 'stale' | 'forged' | 'no_secret';

const SHAPE = /^t=(\d{1,12}),v1=([0-9a-f]{64})$/;

/** What must be sent as the signature of these very bytes. */
export function sign(secret: string, body: Buffer, atS: number): string {
	return `t=${atS},v1=${mac(secret, String(atS), body).toString('hex')}`;
}

/** Whether these very bytes were signed with the secret, at most five minutes from now. */
export function verify(secret: string, header: unknown, body: Buffer, nowS: number): Verdict {
	if (!secret) return 'no_secret';
	if (header === undefined || header === '') return 'missing';
	const [, at, given] = SHAPE.exec(String(header)) ?? [];
	if (at === undefined || given === undefined) return 'malformed';
	// The signature first: whoever can't sign learns nothing about our clock.
	if (!timingSafeEqual(mac(secret, at, body), Buffer.from(given, 'hex'))) return 'forged';
	return Math.abs(nowS - Number(at)) > WINDOW_S ? 'stale' : 'ok';
}

function mac(secret: string, at: string, body: Buffer): Buffer {
	return createHmac('sha256', secret).update(`${at}.`).update(body).digest();
}
