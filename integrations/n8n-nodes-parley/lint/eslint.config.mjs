// The two sets of rules that n8n has for community nodes. What scripts/test-n8n lints with is n8n's
// whole configuration; it comes with n8n, 500 MB.
import community from '@n8n/eslint-plugin-community-nodes';
import * as parser from '@typescript-eslint/parser';
import base from 'eslint-plugin-n8n-nodes-base';

const written = (files, kind, off = []) => ({
	files,
	plugins: { 'n8n-nodes-base': base },
	rules: {
		...base.configs[kind].rules,
		...Object.fromEntries(off.map((rule) => [`n8n-nodes-base/${rule}`, 'off'])),
	},
});

export default [
	{ ignores: ['dist/', 'lint/', 'test/', 'scripts/', 'types/'] },
	{
		files: ['**/*.ts', 'package.json'],
		languageOptions: { parser, parserOptions: { extraFileExtensions: ['.json'] } },
		linterOptions: { reportUnusedDisableDirectives: 'error' },
		...community.configs.recommended,
	},
	written(['package.json'], 'community'),
	// Those that are off are so in n8n's own configuration: they are older than it.
	written(['credentials/**/*.ts'], 'credentials', [
		'cred-class-field-documentation-url-miscased',
		'cred-class-field-type-options-password-missing',
	]),
	written(['nodes/**/*.ts'], 'nodes', [
		'node-class-description-inputs-wrong-regular-node',
		'node-class-description-outputs-wrong',
		'node-param-type-options-max-value-present',
	]),
];
