// The fields of the Parley node, by resource and operation.
import type { INodeProperties, INodePropertyOptions } from 'n8n-workflow';

function operation(
	name: string,
	value: string,
	action: string,
	description: string,
): INodePropertyOptions {
	return { name, value, action, description };
}

/** The field, shown only for these operations. */
function only(
	resource: string,
	operations: string[],
	field: Omit<INodeProperties, 'displayOptions'>,
): INodeProperties {
	return { ...field, displayOptions: { show: { resource: [resource], operation: operations } } };
}

const callOperations: INodeProperties = {
	displayName: 'Operation',
	name: 'operation',
	type: 'options',
	noDataExpression: true,
	displayOptions: { show: { resource: ['call'] } },
	options: [
		operation('Ask Caller', 'ask', 'Ask the caller', 'Say a question and wait for the answer'),
		operation('Get', 'get', 'Get a call', 'See a call and the tools that it used'),
		operation('Get Transcript', 'getTranscript', 'Get a transcript', 'Read what was said'),
		operation('Hang Up', 'hangUp', 'Hang up', 'End a call'),
		operation('Say to Caller', 'say', 'Say something to the caller', 'Have the agent say something'),
		operation('Start', 'start', 'Start a call', 'Have an agent call somebody'),
		operation('Transfer', 'transfer', 'Transfer a call', 'Hand the caller on'),
	],
	default: 'say',
};

const runOperations: INodeProperties = {
	displayName: 'Operation',
	name: 'operation',
	type: 'options',
	noDataExpression: true,
	displayOptions: { show: { resource: ['toolRun'] } },
	options: [
		operation('Answer', 'answer', 'Answer a tool run', 'Give the answer that was to come later'),
		operation('Send Progress', 'progress', 'Send progress', 'Tell the caller that it goes on'),
	],
	default: 'answer',
};

const audioOperations: INodeProperties = {
	displayName: 'Operation',
	name: 'operation',
	type: 'options',
	noDataExpression: true,
	displayOptions: { show: { resource: ['audio'] } },
	options: [
		operation('Synthesise', 'synthesise', 'Synthesise speech', 'Make sound of a text'),
		operation('Transcribe', 'transcribe', 'Transcribe sound', 'Make text of a sound file'),
	],
	default: 'synthesise',
};

const startFields: INodeProperties[] = [
	only('call', ['start'], {
		displayName: 'To', name: 'to', type: 'string', default: '', required: true,
		placeholder: 'e.g. tel:+442079460142',
		description: 'Whom to call: sip:…, sips:… or tel:…',
	}),
	only('call', ['start'], {
		displayName: 'Agent', name: 'agent', type: 'string', default: '',
		placeholder: 'e.g. receptionist',
		description: 'Who talks; empty: the default agent',
	}),
	only('call', ['start'], {
		displayName: 'Options', name: 'options', type: 'collection', default: {},
		placeholder: 'Add option',
		options: [
			{
				displayName: 'Answering Machine', name: 'answering_machine', type: 'options', default: 'ignore',
				options: [
					{ name: 'Go On', value: 'go_on', description: 'Listen for one, and talk to it' },
					{ name: 'Hang Up', value: 'hang_up' },
					{ name: 'Ignore', value: 'ignore', description: "Don't listen for one; speak at once" },
					{ name: 'Leave a Message', value: 'leave_message' },
				],
				description: 'What to do when a machine answers',
			},
			{
				displayName: 'First Words', name: 'greeting', type: 'string', default: '',
				description: "What is said first; empty: the agent's own greeting",
			},
			{
				displayName: 'From', name: 'from', type: 'string', default: '',
				description: 'As whom to call: a sip: or tel: URI',
			},
			{
				displayName: 'Message', name: 'message', type: 'string', default: '',
				description: 'What a machine is told',
			},
			{
				displayName: 'Ring Timeout in Seconds', name: 'ring_timeout_s', type: 'number', default: 45,
				typeOptions: { minValue: 1, maxValue: 180 },
				description: 'How long to let it ring',
			},
		],
	}),
];

const callFields: INodeProperties[] = [
	only('call', ['ask', 'get', 'getTranscript', 'hangUp', 'say', 'transfer'], {
		displayName: 'Call ID', name: 'callId', type: 'string', required: true,
		default: '={{ $json.call_id }}',
		description: 'The call; what Parley sends to a tool names it call_id',
	}),
	only('call', ['ask', 'say'], {
		displayName: 'Text', name: 'text', type: 'string', default: '', required: true,
		typeOptions: { rows: 2 },
		description: 'What the agent says',
	}),
	only('call', ['say'], {
		displayName: 'Interrupt', name: 'interrupt', type: 'boolean', default: false,
		description: 'Whether it takes the place of what is being said',
	}),
	only('call', ['ask'], {
		displayName: 'Wait in Seconds', name: 'timeoutS', type: 'number', default: 30,
		typeOptions: { minValue: 1, maxValue: 120 },
		description: 'How long the caller has to answer',
	}),
	only('call', ['transfer'], {
		displayName: 'Target', name: 'target', type: 'string', default: '', required: true,
		placeholder: 'e.g. sip:reception@example.com',
		description: 'A number or a SIP address',
	}),
];

const runFields: INodeProperties[] = [
	only('toolRun', ['answer', 'progress'], {
		displayName: 'Run ID', name: 'runId', type: 'string', required: true,
		default: "={{ $('Parley Tool').first().json.run_id }}",
		description: 'The run; the Parley Tool trigger hands it on as run_id',
	}),
	only('toolRun', ['answer'], {
		displayName: 'Succeeded', name: 'succeeded', type: 'boolean', default: true,
		description: 'Whether the tool did what it was asked',
	}),
	{
		displayName: 'Result', name: 'result', type: 'json', default: '{}',
		displayOptions: { show: { resource: ['toolRun'], operation: ['answer'], succeeded: [true] } },
		description: 'What the model is told',
	},
	{
		displayName: 'Error Code', name: 'errorCode', type: 'string', default: 'failed',
		displayOptions: { show: { resource: ['toolRun'], operation: ['answer'], succeeded: [false] } },
		description: 'A word for what went wrong, such as slot_taken',
	},
	{
		displayName: 'Error Message', name: 'errorMessage', type: 'string', default: '',
		displayOptions: { show: { resource: ['toolRun'], operation: ['answer'], succeeded: [false] } },
		description: 'A sentence for the model',
	},
	only('toolRun', ['answer', 'progress'], {
		displayName: 'Say', name: 'say', type: 'string', default: '',
		description: 'What the caller hears; an answer may leave it to the model',
	}),
];

const audioFields: INodeProperties[] = [
	only('audio', ['synthesise'], {
		displayName: 'Text', name: 'input', type: 'string', default: '', required: true,
		typeOptions: { rows: 2 },
		description: 'What to say',
	}),
	only('audio', ['synthesise'], {
		displayName: 'Voice', name: 'voice', type: 'string', default: 'alloy',
		description: "A voice of the engine, or a name of OpenAI's",
	}),
	only('audio', ['synthesise'], {
		displayName: 'Format', name: 'format', type: 'options', default: 'mp3',
		options: ['aac', 'flac', 'mp3', 'opus', 'pcm', 'wav'].map((value) => ({
			name: value.toUpperCase(),
			value,
		})),
		description: 'The kind of file',
	}),
	only('audio', ['synthesise'], {
		displayName: 'Model', name: 'model', type: 'string', default: 'tts-1',
		description: 'An engine of Parley or one of its models',
	}),
	only('audio', ['transcribe'], {
		displayName: 'Model', name: 'model', type: 'string', default: 'whisper-1',
		description: 'An engine of Parley or one of its models',
	}),
	only('audio', ['transcribe'], {
		displayName: 'Language', name: 'language', type: 'string', default: '',
		placeholder: 'e.g. en',
		description: 'What is spoken; empty: the engine finds out',
	}),
	only('audio', ['synthesise', 'transcribe'], {
		displayName: 'Binary Field', name: 'binaryField', type: 'string', default: 'data', required: true,
		description: 'The field of the item that holds the sound file',
	}),
];

export const parleyProperties: INodeProperties[] = [
	{
		displayName: 'Resource',
		name: 'resource',
		type: 'options',
		noDataExpression: true,
		options: [
			{ name: 'Audio', value: 'audio' },
			{ name: 'Call', value: 'call' },
			{ name: 'Tool Run', value: 'toolRun' },
		],
		default: 'call',
	},
	callOperations,
	runOperations,
	audioOperations,
	...startFields,
	...callFields,
	...runFields,
	...audioFields,
];
