// crypto: hashes and an HMAC fed on both sides of the midpoint.
import { createHash, createHmac, getHashes } from 'node:crypto';

const names = ['md5', 'sha1', 'sha256', 'sha512', 'sha3-256', 'blake2b512', 'ripemd160'];
const available = names.filter((name) => getHashes().includes(name.toLowerCase()) || name === 'ripemd160');
const hashes = available.map((name) => createHash(name).update('before '));
const hmac = createHmac('sha256', 'secret').update('before ');
const xof = createHash('shake256', { outputLength: 24 }).update('before ');
await globalThis.midpoint?.();
for (const [index, hash] of hashes.entries()) {
  const copy = hash.copy();
  console.log(available[index], hash.update('after').digest('hex'), copy.digest('base64url').length);
}
console.log(hmac.update('after').digest('hex'));
console.log(xof.update('after').digest('hex'));
