// Each operation of the Parley node: the request that it makes and what it hands on.
import type { IDataObject, IExecuteFunctions, INodeExecutionData } from 'n8n-workflow';
import { NodeOperationError } from 'n8n-workflow';

import { ask, askForSound } from '../shared/server';
import { form } from './form';

type Work = (context: IExecuteFunctions, item: number) => Promise<INodeExecutionData>;

/** More than Parley waits, so that its answer comes before our impatience. */
const PATIENCE_MS = 10_000;
/** Parley waits for a minute, after the target was asked. */
const TRANSFER_LIMIT_MS = 90_000;
const SOUND_LIMIT_MS = 120_000;

export const operations: Record<string, Work> = {
	'call.start': startCall,
	'call.get': async (context, item) => await got(context, callPath(context, item), item),
	'call.getTranscript': async (context, item) =>
		await got(context, `${callPath(context, item)}/transcript`, item),
	'call.say': async (context, item) =>
		await told(context, `${callPath(context, item)}/say`, item, {
			text: text(context, 'text', item),
			interrupt: context.getNodeParameter('interrupt', item, false),
		}),
	'call.ask': askCaller,
	'call.transfer': async (context, item) => {
		const body = { target: text(context, 'target', item) };
		const request = { body, timeout: TRANSFER_LIMIT_MS };
		const path = `${callPath(context, item)}/transfer`;
		return { json: await ask(context, 'POST', path, request, item) };
	},
	'call.hangUp': async (context, item) =>
		await told(context, `${callPath(context, item)}/hangup`, item),
	'toolRun.answer': answerRun,
	'toolRun.progress': async (context, item) =>
		await told(context, `${runPath(context, item)}/progress`, item, {
			run_id: runId(context, item),
			say: text(context, 'say', item),
		}),
	'audio.synthesise': synthesise,
	'audio.transcribe': transcribe,
};

async function startCall(context: IExecuteFunctions, item: number): Promise<INodeExecutionData> {
	const options = context.getNodeParameter('options', item, {}) as IDataObject;
	const given = Object.entries(options).filter(([, value]) => value !== '');
	const body: IDataObject = {
		to: text(context, 'to', item),
		agent: text(context, 'agent', item),
		...Object.fromEntries(given),
	};
	if ('ring_timeout_s' in body) body.ring_timeout_s = Number(body.ring_timeout_s);
	return { json: await ask(context, 'POST', '/v1/calls', { body }, item) };
}

async function askCaller(context: IExecuteFunctions, item: number): Promise<INodeExecutionData> {
	const timeoutS = Number(context.getNodeParameter('timeoutS', item, 30));
	const body = { text: text(context, 'text', item), timeout_s: timeoutS };
	const timeout = timeoutS * 1000 + PATIENCE_MS;
	const path = `${callPath(context, item)}/ask`;
	return { json: await ask(context, 'POST', path, { body, timeout }, item) };
}

async function answerRun(context: IExecuteFunctions, item: number): Promise<INodeExecutionData> {
	const say = text(context, 'say', item);
	const ok = context.getNodeParameter('succeeded', item) as boolean;
	const body: IDataObject = { run_id: runId(context, item), ok };
	if (body.ok) {
		body.result = json(context, 'result', item);
	} else {
		body.error = {
			code: text(context, 'errorCode', item),
			message: text(context, 'errorMessage', item),
			retryable: false,
		};
	}
	return await told(context, `${runPath(context, item)}/answer`, item, {
		...body,
		...(say && { say }),
	});
}

async function synthesise(context: IExecuteFunctions, item: number): Promise<INodeExecutionData> {
	const format = text(context, 'format', item);
	const body = {
		input: text(context, 'input', item),
		model: text(context, 'model', item),
		voice: text(context, 'voice', item),
		response_format: format,
	};
	const request = { body, timeout: SOUND_LIMIT_MS };
	const bytes = await askForSound(context, '/v1/audio/speech', request, item);
	const field = text(context, 'binaryField', item);
	const file = await context.helpers.prepareBinaryData(bytes, `speech.${format}`);
	return { json: { bytes: bytes.length, format }, binary: { [field]: file } };
}

async function transcribe(context: IExecuteFunctions, item: number): Promise<INodeExecutionData> {
	const field = text(context, 'binaryField', item);
	const { fileName } = context.helpers.assertBinaryData(item, field);
	const sound = await context.helpers.getBinaryDataBuffer(item, field);
	const language = text(context, 'language', item);
	const { body, headers } = form(
		{ model: text(context, 'model', item), ...(language && { language }) },
		{ name: fileName ?? 'sound.wav', bytes: sound },
	);
	const request = { body, headers, json: false, timeout: SOUND_LIMIT_MS };
	const path = '/v1/audio/transcriptions';
	return { json: await ask<IDataObject>(context, 'POST', path, request, item) };
}

async function got(
	context: IExecuteFunctions,
	path: string,
	item: number,
): Promise<INodeExecutionData> {
	return { json: await ask<IDataObject>(context, 'GET', path, {}, item) };
}

async function told(
	context: IExecuteFunctions,
	path: string,
	item: number,
	body?: IDataObject,
): Promise<INodeExecutionData> {
	const answer = await ask<IDataObject>(context, 'POST', path, body ? { body } : {}, item);
	return { json: answer };
}

function callPath(context: IExecuteFunctions, item: number): string {
	return `/v1/calls/${id(context, 'callId', item)}`;
}

function runPath(context: IExecuteFunctions, item: number): string {
	return `/v1/tools/runs/${id(context, 'runId', item)}`;
}

function runId(context: IExecuteFunctions, item: number): string {
	return text(context, 'runId', item).trim();
}

/** An id as it may stand in a path; an empty one would name all there are. */
function id(context: IExecuteFunctions, name: string, item: number): string {
	const value = text(context, name, item).trim();
	if (!value) {
		const message = `${name === 'runId' ? 'Run ID' : 'Call ID'} is empty.`;
		throw new NodeOperationError(context.getNode(), message, { itemIndex: item });
	}
	return encodeURIComponent(value);
}

function text(context: IExecuteFunctions, name: string, item: number): string {
	return String(context.getNodeParameter(name, item, '') ?? '');
}

/** A JSON field holds text when it was typed and a value when it came from an expression. */
function json(context: IExecuteFunctions, name: string, item: number): IDataObject[string] {
	const value = context.getNodeParameter(name, item) as IDataObject[string];
	if (typeof value !== 'string') return value;
	try {
		return JSON.parse(value) as IDataObject[string];
	} catch {
		throw new NodeOperationError(context.getNode(), `${name} is no JSON: ${value.slice(0, 60)}`, {
			itemIndex: item,
		});
	}
}
