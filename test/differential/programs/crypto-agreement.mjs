// crypto: ECDH, X25519 and classic Diffie-Hellman agree on the same secret with fixed keys.
import { createECDH, createDiffieHellmanGroup, createPrivateKey, createPublicKey, diffieHellman } from 'node:crypto';

const alice = createECDH('secp256k1');
const bob = createECDH('secp256k1');
alice.setPrivateKey('11'.repeat(32), 'hex');
bob.setPrivateKey('22'.repeat(32), 'hex');
const prefix = Buffer.from('302e020100300506032b656e04220420', 'hex');
const curve = (byte) =>
  createPrivateKey({ key: Buffer.concat([prefix, Buffer.alloc(32, byte)]), format: 'der', type: 'pkcs8' });
const [left, right] = [curve(3), curve(4)];
const [first, second] = [createDiffieHellmanGroup('modp14'), createDiffieHellmanGroup('modp14')];
first.generateKeys();
await globalThis.midpoint?.();
second.generateKeys();
console.log(alice.getPublicKey('hex', 'compressed'));
console.log(alice.computeSecret(bob.getPublicKey()).toString('hex'));
console.log(alice.computeSecret(bob.getPublicKey()).equals(bob.computeSecret(alice.getPublicKey())));
const shared = diffieHellman({ privateKey: left, publicKey: createPublicKey(right) });
console.log(shared.toString('hex'));
console.log(shared.equals(diffieHellman({ privateKey: right, publicKey: createPublicKey(left) })));
console.log(first.computeSecret(second.getPublicKey()).equals(second.computeSecret(first.getPublicKey())));
