// The compiled nodes; PARLEY_NODES_DIST says where they are.
import { createRequire } from 'node:module';
import { resolve } from 'node:path';

const require = createRequire(import.meta.url);
const dist = resolve(process.env.PARLEY_NODES_DIST ?? 'dist');

export const { Parley } = require(`${dist}/nodes/Parley/Parley.node.js`);
export const { ParleyTool } = require(`${dist}/nodes/ParleyTool/ParleyTool.node.js`);
export const { ParleyCallEvent } = require(`${dist}/nodes/ParleyCallEvent/ParleyCallEvent.node.js`);
export const { ParleyApi } = require(`${dist}/credentials/ParleyApi.credentials.js`);
export const { sign, verify } = require(`${dist}/nodes/shared/signature.js`);
