// Runs a workflow when something happens in a call: started, a turn, a tool used, ended.
import type {
	IDataObject,
	IHookFunctions,
	INodeType,
	INodeTypeDescription,
	IWebhookFunctions,
	IWebhookResponseData,
} from 'n8n-workflow';
import { NodeConnectionTypes } from 'n8n-workflow';

import { signedBody } from '../shared/incoming';
import { ask, order } from '../shared/server';

interface Registration {
	id: string;
	url: string;
	secret: string;
}

export class ParleyCallEvent implements INodeType {
	description: INodeTypeDescription = {
		displayName: 'Parley Call Event',
		name: 'parleyCallEvent',
		icon: { light: 'file:../../icons/parley.svg', dark: 'file:../../icons/parley.dark.svg' },
		group: ['trigger'],
		version: 1,
		subtitle: '={{$parameter["events"].join(", ")}}',
		description: 'Runs the workflow when something happens in a call of Parley',
		defaults: { name: 'Parley Call Event' },
		inputs: [],
		outputs: [NodeConnectionTypes.Main],
		credentials: [{ name: 'parleyApi', required: true }],
		webhooks: [
			{ name: 'default', httpMethod: 'POST', path: 'call-event', responseMode: 'onReceived' },
		],
		properties: [
			{
				displayName: 'Events',
				name: 'events',
				type: 'multiOptions',
				required: true,
				default: ['call_ended'],
				options: [
					{ name: 'Call Ended', value: 'call_ended', description: 'A call is over' },
					{ name: 'Call Started', value: 'call_started', description: 'An agent took a call' },
					{ name: 'Call Transferred', value: 'call_transferred', description: 'A caller was handed on' },
					{ name: 'Tool Used', value: 'tool_ended', description: 'A tool has answered or failed' },
					{ name: 'Turn', value: 'turn_ended', description: 'The agent has answered' },
				],
				description: 'What the workflow is to hear of',
			},
			{
				displayName: 'Agent',
				name: 'agent',
				type: 'string',
				default: '',
				placeholder: 'e.g. receptionist',
				description: 'Only calls of this agent; empty: of every agent',
			},
		],
	};

	webhookMethods = {
		default: {
			async checkExists(this: IHookFunctions): Promise<boolean> {
				const known = remembered(this.getWorkflowStaticData('node'));
				const url = this.getNodeWebhookUrl('default');
				const listed = await ask<{ data: Registration[] }>(this, 'GET', '/v1/webhooks');
				const ours = listed.data.filter((each) => each.url === url);
				if (ours.some((each) => each.id === known?.id)) return true;
				// Left from an activation whose secret is lost: nothing that it sends can be checked.
				for (const each of ours) await order(this, 'DELETE', `/v1/webhooks/${each.id}`);
				return false;
			},

			async create(this: IHookFunctions): Promise<boolean> {
				const body = {
					url: this.getNodeWebhookUrl('default'),
					events: this.getNodeParameter('events') as string[],
				};
				const made = await ask<Registration>(this, 'POST', '/v1/webhooks', { body });
				// n8n keeps it with the workflow, for every process that may take a delivery.
				Object.assign(this.getWorkflowStaticData('node'), { id: made.id, secret: made.secret });
				return true;
			},

			async delete(this: IHookFunctions): Promise<boolean> {
				const data = this.getWorkflowStaticData('node');
				const known = remembered(data);
				delete data.id;
				delete data.secret;
				if (known === undefined) return true;
				const listed = await ask<{ data: Registration[] }>(this, 'GET', '/v1/webhooks');
				if (listed.data.some((each) => each.id === known.id)) {
					await order(this, 'DELETE', `/v1/webhooks/${known.id}`);
				}
				return true;
			},
		},
	};

	async webhook(this: IWebhookFunctions): Promise<IWebhookResponseData> {
		const known = remembered(this.getWorkflowStaticData('node'));
		const event = signedBody(this, known?.secret ?? '');
		if (event === undefined) return { noWebhookResponse: true };
		const agent = String(this.getNodeParameter('agent', ''));
		const events = this.getNodeParameter('events') as string[];
		const isWanted = events.includes(String(event.event)) && (!agent || event.agent === agent);
		return isWanted
			? { workflowData: [this.helpers.returnJsonArray([event])] }
			: { webhookResponse: { ok: true, ignored: true } };
	}
}

function remembered(data: IDataObject): { id: string; secret: string } | undefined {
	const { id, secret } = data;
	return typeof id === 'string' && typeof secret === 'string' ? { id, secret } : undefined;
}
