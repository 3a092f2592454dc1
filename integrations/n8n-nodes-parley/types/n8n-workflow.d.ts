// The part of n8n-workflow that the nodes use, for a build that doesn't fetch n8n's packages.
// scripts/test-n8n compiles against the real ones, so this can't say what they don't.
export type GenericValue = string | number | boolean | object | null | undefined;
export interface IDataObject {
	[key: string]: GenericValue | IDataObject | GenericValue[] | IDataObject[];
}
export type JsonObject = { [key: string]: unknown };
export type Icon = `file:${string}` | { light: `file:${string}`; dark: `file:${string}` };
export type IHttpRequestMethods = 'DELETE' | 'GET' | 'PATCH' | 'POST' | 'PUT';

export interface IHttpRequestOptions {
	url: string;
	method?: IHttpRequestMethods;
	headers?: IDataObject;
	body?: GenericValue | Uint8Array;
	encoding?: 'arraybuffer' | 'json' | 'text';
	json?: boolean;
	returnFullResponse?: boolean;
	timeout?: number;
}

export interface INodePropertyOptions {
	name: string;
	value: string | number | boolean;
	action?: string;
	description?: string;
}

export interface INodeProperties {
	displayName: string;
	name: string;
	type: 'boolean' | 'collection' | 'json' | 'multiOptions' | 'notice' | 'number' | 'options' | 'string';
	default: GenericValue;
	description?: string;
	placeholder?: string;
	required?: boolean;
	noDataExpression?: boolean;
	typeOptions?: { password?: boolean; rows?: number; minValue?: number; maxValue?: number };
	options?: Array<INodePropertyOptions | INodeProperties>;
	displayOptions?: { show?: Record<string, GenericValue[]> };
}

export type ICredentialDataDecryptedObject = Record<string, GenericValue>;
export interface ICredentialTestRequest {
	request: { baseURL?: string; url?: string };
}
export interface ICredentialType {
	name: string;
	displayName: string;
	icon?: Icon;
	documentationUrl?: string;
	properties: INodeProperties[];
	authenticate?: (
		credentials: ICredentialDataDecryptedObject,
		request: IHttpRequestOptions,
	) => Promise<IHttpRequestOptions>;
	test?: ICredentialTestRequest;
}

export declare const NodeConnectionTypes: { readonly Main: 'main' };
export interface INodeTypeDescription {
	displayName: string;
	name: string;
	icon?: Icon;
	group: string[];
	version: number;
	subtitle?: string;
	description: string;
	defaults: { name: string };
	inputs: Array<'main'>;
	outputs: Array<'main'>;
	credentials?: Array<{ name: string; required?: boolean }>;
	webhooks?: Array<{
		name: 'default';
		httpMethod: string;
		path: string;
		responseMode?: string;
		responseData?: string;
	}>;
	properties: INodeProperties[];
}

export interface INode {
	name: string;
}
export interface IBinaryData {
	fileName?: string;
	mimeType: string;
}
export interface INodeExecutionData {
	json: IDataObject;
	binary?: Record<string, IBinaryData>;
	pairedItem?: { item: number };
}
export interface IWebhookResponseData {
	workflowData?: INodeExecutionData[][];
	webhookResponse?: unknown;
	noWebhookResponse?: boolean;
}

interface Context {
	getNode(): INode;
	getCredentials<Data extends object>(type: string): Promise<Data>;
	getWorkflowStaticData(type: 'node' | 'global'): IDataObject;
}
interface RequestHelpers {
	httpRequestWithAuthentication(
		this: IExecuteFunctions | IHookFunctions,
		credentials: string,
		request: IHttpRequestOptions,
	): Promise<unknown>;
}

export interface IExecuteFunctions extends Context {
	getInputData(): INodeExecutionData[];
	getNodeParameter(name: string, item: number, fallback?: unknown): GenericValue;
	continueOnFail(): boolean;
	helpers: RequestHelpers & {
		prepareBinaryData(bytes: Buffer, fileName?: string): Promise<IBinaryData>;
		assertBinaryData(item: number, field: string): IBinaryData;
		getBinaryDataBuffer(item: number, field: string): Promise<Buffer>;
	};
}
export interface IHookFunctions extends Context {
	getNodeParameter(name: string, fallback?: unknown): GenericValue;
	getNodeWebhookUrl(name: 'default'): string | undefined;
	helpers: RequestHelpers;
}
export interface IWebhookFunctions extends Context {
	getBodyData(): IDataObject;
	getNodeParameter(name: string, fallback?: unknown): GenericValue;
	getRequestObject(): { headers: Record<string, unknown> };
	getResponseObject(): {
		status(code: number): { json(body: unknown): unknown };
	};
	helpers: { returnJsonArray(data: IDataObject | IDataObject[]): INodeExecutionData[] };
}
export interface INodeType {
	description: INodeTypeDescription;
	execute?(this: IExecuteFunctions): Promise<INodeExecutionData[][]>;
	webhook?(this: IWebhookFunctions): Promise<IWebhookResponseData>;
	webhookMethods?: {
		default: Record<'checkExists' | 'create' | 'delete', (this: IHookFunctions) => Promise<boolean>>;
	};
}

interface ErrorOptions {
	message?: string;
	description?: string;
	httpCode?: string;
	itemIndex?: number;
}
export declare class NodeApiError extends Error {
	constructor(node: INode, error: JsonObject, options?: ErrorOptions);
	description: string | null | undefined;
	httpCode: string | null;
}
export declare class NodeOperationError extends Error {
	constructor(node: INode, error: Error | string, options?: ErrorOptions);
}
