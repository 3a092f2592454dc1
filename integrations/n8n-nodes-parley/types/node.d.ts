// The few names of Node that the nodes use, for a build without @types/node.
declare class Buffer extends Uint8Array {
	static alloc(size: number): Buffer;
	static from(data: string | ArrayBuffer | ArrayLike<number>, encoding?: string): Buffer;
	static concat(parts: readonly Uint8Array[]): Buffer;
	static isBuffer(value: unknown): value is Buffer;
	toString(encoding?: string): string;
}

declare module 'node:crypto' {
	interface Hmac {
		update(data: string | Uint8Array): Hmac;
		digest(): Buffer;
	}
	export function createHmac(algorithm: string, key: string): Hmac;
	export function timingSafeEqual(one: Uint8Array, other: Uint8Array): boolean;
	export function randomUUID(): string;
}
