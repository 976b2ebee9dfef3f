// crypto: pbkdf2, scrypt and hkdf, running on the threadpool at the midpoint.
import { hkdf, pbkdf2, pbkdf2Sync, scrypt, scryptSync } from 'node:crypto';
import { promisify } from 'node:util';

const derivations = [
  promisify(pbkdf2)('password', 'salt', 40_000, 32, 'sha512'),
  promisify(scrypt)('password', 'salt', 32, { N: 2 ** 13 }),
  promisify(hkdf)('sha256', 'key', 'salt', 'info', 32),
  promisify(pbkdf2)('password', 'pepper', 20_000, 16, 'sha256'),
  promisify(scrypt)('password', 'pepper', 16, { N: 2 ** 12 }),
];
await globalThis.midpoint?.();
for (const key of await Promise.all(derivations)) console.log(Buffer.from(key).toString('hex'));
console.log(pbkdf2Sync('password', 'salt', 1000, 16, 'sha1').toString('hex'));
console.log(scryptSync('password', 'salt', 16, { N: 1024 }).toString('hex'));
