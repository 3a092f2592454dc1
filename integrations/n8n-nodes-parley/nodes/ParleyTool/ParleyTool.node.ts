// A workflow that begins with this trigger is a tool of Parley's agents.
import type {
	IDataObject,
	INodeType,
	INodeTypeDescription,
	IWebhookFunctions,
	IWebhookResponseData,
} from 'n8n-workflow';
import { NodeConnectionTypes } from 'n8n-workflow';

import { refuse, signedBody } from '../shared/incoming';
import { toolProperties } from './properties';

// Parley looks for tools by itself: what it was told at activation would be lost with its memory.
// eslint-disable-next-line @n8n/community-nodes/webhook-lifecycle-complete
export class ParleyTool implements INodeType {
	description: INodeTypeDescription = {
		displayName: 'Parley Tool',
		name: 'parleyTool',
		icon: { light: 'file:../../icons/parley.svg', dark: 'file:../../icons/parley.dark.svg' },
		group: ['trigger'],
		version: 1,
		subtitle: '={{$parameter["name"]}}',
		description: 'Runs the workflow when an agent of Parley uses it as a tool in a call',
		defaults: { name: 'Parley Tool' },
		inputs: [],
		outputs: [NodeConnectionTypes.Main],
		credentials: [{ name: 'parleyApi', required: true }],
		webhooks: [
			{
				name: 'default',
				httpMethod: 'POST',
				path: 'tool',
				responseMode: '={{$parameter["answer"] === "later" ? "onReceived" : "lastNode"}}',
				responseData: 'firstEntryJson',
			},
		],
		properties: toolProperties,
	};

	async webhook(this: IWebhookFunctions): Promise<IWebhookResponseData> {
		const { signingSecret } = await this.getCredentials<{ signingSecret: string }>('parleyApi');
		const body = signedBody(this, signingSecret);
		if (body === undefined) return { noWebhookResponse: true };
		const fault = faultIn(body, String(this.getNodeParameter('name')));
		if (fault) return refuse(this, 400, fault.code, fault.message);
		const workflowData = [this.helpers.returnJsonArray([body])];
		if (this.getNodeParameter('answer') !== 'later') return { workflowData };
		// By ourselves: n8n would answer 200 with a sentence that is no envelope.
		const say = String(this.getNodeParameter('sayMeanwhile', ''));
		this.getResponseObject()
			.status(202)
			.json({ ok: true, pending: true, ...(say && { say }) });
		return { workflowData, noWebhookResponse: true };
	}
}

function faultIn(body: IDataObject, name: string): { code: string; message: string } | undefined {
	if (body.version !== 1) {
		const message = `This node reads version 1 of the envelope, not ${String(body.version)}.`;
		return { code: 'bad_version', message };
	}
	// The signature doesn't cover the address: what was meant for one tool must not run another.
	if (body.tool !== name) {
		const message = `This workflow is the tool ${name}, and ${String(body.tool)} was asked for.`;
		return { code: 'wrong_tool', message };
	}
	if (typeof body.args !== 'object' || body.args === null || Array.isArray(body.args)) {
		return { code: 'bad_args', message: 'args must be an object.' };
	}
	return undefined;
}
