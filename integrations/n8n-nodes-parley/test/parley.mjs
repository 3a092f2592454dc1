// A Parley over HTTP that answers as the test says and remembers what it was asked.
import { createServer } from 'node:http';
import { once } from 'node:events';

export class StandIn {
	constructor(answers = {}) {
		this.answers = answers;
		this.asked = [];
		this.server = createServer((request, response) => this.take(request, response));
	}

	static async start(context, answers) {
		const parley = new StandIn(answers);
		parley.server.listen(0, '127.0.0.1');
		await once(parley.server, 'listening');
		context.after(() => {
			parley.server.closeAllConnections();
			parley.server.close();
		});
		return parley;
	}

	get url() {
		return `http://127.0.0.1:${this.server.address().port}`;
	}

	async take(request, response) {
		const chunks = [];
		for await (const chunk of request) chunks.push(chunk);
		const raw = Buffer.concat(chunks);
		const isJson = request.headers['content-type'] === 'application/json';
		const body = isJson ? JSON.parse(raw) : raw.toString('latin1');
		const { method, url: path, headers } = request;
		this.asked.push({ method, path, headers, body });
		const answer = this.answers[`${method} ${path}`] ?? [404, { error: { message: 'Not here.' } }];
		if (answer === 'cut') return request.socket.destroy();
		if (answer === 'cut in the middle') {
			response.writeHead(200, { 'Content-Length': 100 });
			response.write('{"id": "c', () => request.socket.destroy());
			return;
		}
		const [status, content, more] = typeof answer === 'function' ? answer(body) : answer;
		response.writeHead(status, more);
		const isBytes = Buffer.isBuffer(content) || typeof content === 'string';
		response.end(content === undefined || isBytes ? content : JSON.stringify(content));
	}
}
