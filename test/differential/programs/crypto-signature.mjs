// crypto: Ed25519 and RSA signatures with fixed keys; a streaming signature half-way at the midpoint.
import { X509Certificate, createPrivateKey, createPublicKey, createSign, createVerify, sign, verify } from 'node:crypto';
import { certificate, ed25519Key, rsaKey } from './support/identity.mjs';

const edwards = createPrivateKey(ed25519Key);
const rsa = createPrivateKey(rsaKey);
const signer = createSign('sha256').update('one ');
const verifier = createVerify('sha256').update('one ');
await globalThis.midpoint?.();
const message = Buffer.from('message');
const signature = sign(null, message, edwards);
console.log(signature.toString('hex'));
console.log(verify(null, message, createPublicKey(edwards), signature));
console.log(verify(null, Buffer.from('other'), createPublicKey(edwards), signature));
const long = signer.update('two').sign(rsa, 'hex');
console.log(long);
console.log(verifier.update('two').verify(createPublicKey(rsa), long, 'hex'));
console.log(edwards.asymmetricKeyType, rsa.asymmetricKeyDetails);
const x509 = new X509Certificate(certificate);
console.log(x509.subject, x509.subjectAltName, x509.validTo, x509.fingerprint256);
