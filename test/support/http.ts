// One request, whose answer is JSON.

import { type RequestOptions, request } from 'node:http';

// biome-ignore lint/suspicious/noExplicitAny: each test knows what its own server says
export function getJson(options: RequestOptions): Promise<any> {
  return new Promise((resolve, reject) => {
    const get = request(options, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (data) => {
        text += data;
      });
      response.on('error', reject).on('end', () => resolve(JSON.parse(text)));
    });
    get.on('error', reject).end();
  });
}
