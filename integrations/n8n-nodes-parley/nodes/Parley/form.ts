// A multipart form as bytes: n8n hands requests on as they are, and we depend on no library.
import { randomUUID } from 'node:crypto';

export interface FormFile {
	name: string;
	bytes: Buffer;
}

export function form(
	fields: Record<string, string>,
	file: FormFile,
): { body: Buffer; headers: Record<string, string> } {
	const boundary = `parley-${randomUUID()}`;
	const parts: Uint8Array[] = Object.entries(fields).map(([name, value]) =>
		Buffer.from(part(boundary, `name="${name}"`) + `\r\n${value}\r\n`),
	);
	// A quote or a line break in a file's name would end its header, a backslash would keep it open.
	const name = file.name.replace(/[\r\n"\\]/g, '_');
	const head = part(boundary, `name="file"; filename="${name}"`);
	parts.push(Buffer.from(`${head}Content-Type: application/octet-stream\r\n\r\n`), file.bytes);
	parts.push(Buffer.from(`\r\n--${boundary}--\r\n`));
	const headers = { 'Content-Type': `multipart/form-data; boundary=${boundary}` };
	return { body: Buffer.concat(parts), headers };
}

function part(boundary: string, disposition: string): string {
	return `--${boundary}\r\nContent-Disposition: form-data; ${disposition}\r\n`;
}
