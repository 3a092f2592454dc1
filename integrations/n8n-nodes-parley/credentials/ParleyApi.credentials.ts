// Where Parley is, the key for it, and the secret that its requests are signed with.
import type {
	ICredentialDataDecryptedObject,
	ICredentialTestRequest,
	ICredentialType,
	IHttpRequestOptions,
	Icon,
	INodeProperties,
} from 'n8n-workflow';

export class ParleyApi implements ICredentialType {
	name = 'parleyApi';

	displayName = 'Parley API';

	icon: Icon = { light: 'file:../icons/parley.svg', dark: 'file:../icons/parley.dark.svg' };

	documentationUrl = 'https://github.com/parley-voice/parley/blob/main/docs/guides/n8n.md';

	properties: INodeProperties[] = [
		{
			displayName: 'Base URL',
			name: 'baseUrl',
			type: 'string',
			default: 'http://127.0.0.1:7860',
			required: true,
			description: 'Where n8n reaches Parley, without /v1',
		},
		{
			displayName: 'API Key',
			name: 'apiKey',
			type: 'string',
			typeOptions: { password: true },
			default: '',
			description: 'A key with the scopes calls, tools, webhooks, speech and transcribe; outbound to call people',
		},
		{
			displayName: 'Signing Secret',
			name: 'signingSecret',
			type: 'string',
			typeOptions: { password: true },
			default: '',
			description: 'What Parley signs its requests to tools with: PARLEY_TOOL_SECRET, or the secret of the tenant',
		},
	];

	// A Parley that lets everybody in from this machine needs no key, and wouldn't read an empty one.
	authenticate = async (
		credentials: ICredentialDataDecryptedObject,
		request: IHttpRequestOptions,
	): Promise<IHttpRequestOptions> => {
		if (!credentials.apiKey) return request;
		const headers = { ...request.headers, Authorization: `Bearer ${String(credentials.apiKey)}` };
		return { ...request, headers };
	};

	test: ICredentialTestRequest = {
		request: {
			baseURL: '={{$credentials.baseUrl.trim().replace(/\\/+$/, "").replace(/\\/v1$/, "")}}',
			url: '/v1/models',
		},
	};
}
