// tsc compiles; n8n also wants the icons where the compiled nodes look for them.
import { cpSync } from 'node:fs';

cpSync('icons', `${process.argv[2] ?? 'dist'}/icons`, { recursive: true });
