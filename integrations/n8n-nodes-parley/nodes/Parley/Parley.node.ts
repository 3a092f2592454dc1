// What a workflow can do with Parley: make and steer calls, answer tool runs, speak and hear.
import type {
	IExecuteFunctions,
	INodeExecutionData,
	INodeType,
	INodeTypeDescription,
} from 'n8n-workflow';
import { NodeConnectionTypes, NodeOperationError } from 'n8n-workflow';

import { operations } from './operations';
import { parleyProperties } from './properties';

// As an agent's tool n8n would call it parleyTool, which is the name of our trigger.
// eslint-disable-next-line @n8n/community-nodes/node-usable-as-tool
export class Parley implements INodeType {
	description: INodeTypeDescription = {
		displayName: 'Parley',
		name: 'parley',
		icon: { light: 'file:../../icons/parley.svg', dark: 'file:../../icons/parley.dark.svg' },
		group: ['output'],
		version: 1,
		subtitle: '={{$parameter["operation"] + ": " + $parameter["resource"]}}',
		description: 'Make and steer calls, answer tool runs, synthesise and transcribe',
		defaults: { name: 'Parley' },
		inputs: [NodeConnectionTypes.Main],
		outputs: [NodeConnectionTypes.Main],
		credentials: [{ name: 'parleyApi', required: true }],
		properties: parleyProperties,
	};

	async execute(this: IExecuteFunctions): Promise<INodeExecutionData[][]> {
		const made: INodeExecutionData[] = [];
		for (let item = 0; item < this.getInputData().length; item++) {
			try {
				made.push({ ...(await run(this, item)), pairedItem: { item } });
			} catch (error) {
				// It is one of n8n's own already.
				// eslint-disable-next-line @n8n/community-nodes/require-node-api-error
				if (!this.continueOnFail()) throw error;
				const { message, description } = error as { message: string; description?: string };
				made.push({ json: { error: message, about: description ?? '' }, pairedItem: { item } });
			}
		}
		return [made];
	}
}

async function run(context: IExecuteFunctions, item: number): Promise<INodeExecutionData> {
	const resource = context.getNodeParameter('resource', item) as string;
	const operation = context.getNodeParameter('operation', item) as string;
	const work = operations[`${resource}.${operation}`];
	if (work === undefined) {
		const message = `Parley has no operation ${operation} of the resource ${resource}.`;
		throw new NodeOperationError(context.getNode(), message, { itemIndex: item });
	}
	return await work(context, item);
}
