// The three things of n8n-workflow that the compiled nodes need at run time.
class NodeError extends Error {
	constructor(node, error, options = {}) {
		super(options.message ?? error.message ?? String(error));
		Object.assign(this, { node, description: options.description, context: { itemIndex: options.itemIndex } });
	}
}

class NodeApiError extends NodeError {
	constructor(node, error, options = {}) {
		super(node, error, options);
		this.httpCode = options.httpCode ?? null;
	}
}

class NodeOperationError extends NodeError {}

module.exports = { NodeConnectionTypes: { Main: 'main' }, NodeApiError, NodeOperationError };
