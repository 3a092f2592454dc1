// n8n's own rules for community nodes, those for n8n Cloud included.
import { config } from '@n8n/node-cli/eslint';

export default config;
