// crypto: WebCrypto digests, HMAC, AES and HKDF pending at the midpoint.
import { webcrypto } from 'node:crypto';

const { subtle } = webcrypto;
const hex = (data) => Buffer.from(data).toString('hex');
const secret = Buffer.alloc(32, 's');
const encoder = new TextEncoder();
const hmacKey = await subtle.importKey('raw', secret, { name: 'HMAC', hash: 'SHA-256' }, true, ['sign', 'verify']);
const aesKey = await subtle.importKey('raw', secret, 'AES-GCM', false, ['encrypt', 'decrypt']);
const baseKey = await subtle.importKey('raw', secret, 'HKDF', false, ['deriveBits']);
const pending = [
  subtle.digest('SHA-512', encoder.encode('digest')),
  subtle.sign('HMAC', hmacKey, encoder.encode('sign')),
  subtle.encrypt({ name: 'AES-GCM', iv: Buffer.alloc(12) }, aesKey, encoder.encode('encrypt')),
  subtle.deriveBits({ name: 'HKDF', hash: 'SHA-256', salt: secret, info: secret }, baseKey, 256),
];
await globalThis.midpoint?.();
const [digest, signature, sealed, bits] = await Promise.all(pending);
for (const data of [digest, signature, sealed, bits]) console.log(hex(data));
console.log(await subtle.verify('HMAC', hmacKey, signature, encoder.encode('sign')));
const opened = await subtle.decrypt({ name: 'AES-GCM', iv: Buffer.alloc(12) }, aesKey, sealed);
console.log(new TextDecoder().decode(opened), (await subtle.exportKey('jwk', hmacKey)).alg);
const refused = await subtle.exportKey('raw', aesKey).catch((error) => error.name);
console.log(refused);
