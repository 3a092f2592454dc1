// What is set on a Parley Tool. Parley reads these very names when it looks for tools.
import type { INodeProperties } from 'n8n-workflow';

const EXAMPLE_SCHEMA = `{
  "type": "object",
  "properties": {
    "day": { "type": "string", "description": "A date as YYYY-MM-DD" }
  },
  "required": ["day"],
  "additionalProperties": false
}`;

const options: INodeProperties[] = [
	{
		displayName: 'Changes Something',
		name: 'changes',
		type: 'boolean',
		default: false,
		description: 'Whether it books, sends or deletes: it is then tried again only where that is safe',
	},
	{
		displayName: 'Confirm First',
		name: 'confirms',
		type: 'boolean',
		default: false,
		description: 'Whether the caller must agree to the details before it runs',
	},
	{
		displayName: 'Filler',
		name: 'filler',
		type: 'string',
		default: '',
		placeholder: 'e.g. One moment, I am looking that up.',
		description: "What is said when it takes longer; empty: one of the agent's own sentences",
	},
	{
		displayName: 'Time Limit in Seconds',
		name: 'timeoutS',
		type: 'number',
		typeOptions: { minValue: 1, maxValue: 120 },
		default: 10,
		description: "How long Parley waits; the workflow's own Timeout should be shorter",
	},
	{
		displayName: 'When Interrupted',
		name: 'onInterruption',
		type: 'options',
		default: 'cancel',
		options: [
			{
				name: 'Stop Waiting',
				value: 'cancel',
				description: 'The answer is not waited for; n8n finishes the run all the same',
			},
			{ name: 'Let It Finish', value: 'finish', description: 'The answer still counts' },
		],
		description: 'What happens when the caller begins to speak meanwhile',
	},
];

export const toolProperties: INodeProperties[] = [
	{
		displayName:
			'Publish the workflow with the tag <b>parley-tool</b>, and list the tool in the YAML of an agent',
		name: 'notice',
		type: 'notice',
		default: '',
	},
	{
		displayName: 'Name',
		name: 'name',
		type: 'string',
		default: '',
		required: true,
		placeholder: 'e.g. book_appointment',
		description: 'The name that the model uses: letters, digits and underscores',
	},
	{
		displayName: 'Description',
		name: 'description',
		type: 'string',
		typeOptions: { rows: 3 },
		default: '',
		required: true,
		placeholder: 'e.g. Book an appointment at a free time.',
		description: 'What it does and when to use it, for the model',
	},
	{
		displayName: 'Parameters',
		name: 'parametersSchema',
		type: 'json',
		default: EXAMPLE_SCHEMA,
		description: 'A JSON Schema of type object. The values arrive as $JSON.args.',
	},
	{
		displayName: 'Answer',
		name: 'answer',
		type: 'options',
		default: 'lastNode',
		options: [
			{
				name: 'With the Last Node',
				value: 'lastNode',
				description: 'What the last node gives: {"ok": true, "result": …} or {"ok": false, "error": …}',
			},
			{
				name: 'Later',
				value: 'later',
				description: 'With the Parley node and its operation Answer of the resource Tool Run',
			},
		],
		description: 'How Parley gets the answer',
	},
	{
		displayName: 'Say Meanwhile',
		name: 'sayMeanwhile',
		type: 'string',
		default: '',
		displayOptions: { show: { answer: ['later'] } },
		placeholder: 'e.g. I am asking my colleague, that takes a moment.',
		description: 'What the caller hears at once',
	},
	{
		displayName: 'Options',
		name: 'options',
		type: 'collection',
		placeholder: 'Add option',
		default: {},
		options,
	},
];
