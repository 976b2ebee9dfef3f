// crypto: AES-GCM, AES-CBC and ChaCha20 half-way through at the midpoint; a wrong tag fails.
import { createCipheriv, createDecipheriv } from 'node:crypto';

const key = Buffer.alloc(32, 'k');
const iv = Buffer.alloc(12, 'i');
const gcm = createCipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from('header'));
const cbc = createCipheriv('aes-256-cbc', key, Buffer.alloc(16, 'v'));
const chacha = createCipheriv('chacha20-poly1305', key, iv, { authTagLength: 16 });
const started = [gcm, cbc, chacha].map((cipher) => cipher.update('before the midpoint, '));
await globalThis.midpoint?.();
const sealed = [gcm, cbc, chacha].map((cipher, index) =>
  Buffer.concat([started[index], cipher.update('after the midpoint'), cipher.final()]),
);
for (const text of sealed) console.log(text.toString('base64'));
console.log(gcm.getAuthTag().toString('hex'), chacha.getAuthTag().toString('hex'));
const open = (tag) => {
  const decipher = createDecipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from('header')).setAuthTag(tag);
  return decipher.update(sealed[0], null, 'utf8') + decipher.final('utf8');
};
console.log(open(gcm.getAuthTag()));
try {
  open(Buffer.alloc(16));
} catch (error) {
  console.log(error.message);
}
