// The JSON schema of a config file, made of the table that the check goes by: docs/config.schema.json.

import { KEYS } from './keys.js';

/** @see https://json-schema.org/draft-07 */
export function configSchema(): Record<string, unknown> {
  const properties = Object.fromEntries(
    Object.entries(KEYS).map(([name, { schema, summary }]) => [
      name,
      { description: summary, ...schema },
    ]),
  );
  const app = { type: 'object', properties, additionalProperties: false };
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'doublefork.config.json',
    definitions: { app },
    anyOf: [
      {
        type: 'object',
        properties: {
          $schema: { type: 'string' },
          apps: { type: 'object', additionalProperties: { $ref: '#/definitions/app' } },
        },
        required: ['apps'],
        additionalProperties: false,
      },
      {
        ...app,
        properties: { $schema: { type: 'string' }, ...properties },
        required: ['program'],
      },
    ],
  };
}
