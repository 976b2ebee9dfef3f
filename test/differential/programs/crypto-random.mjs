// crypto: random values have the right shape and do not repeat, with calls in flight at the midpoint.
import { generateKeyPair, randomBytes, randomFill, randomInt, randomUUID } from 'node:crypto';
import { promisify } from 'node:util';

const pair = promisify(generateKeyPair)('ec', { namedCurve: 'P-256' });
const filled = promisify(randomFill)(Buffer.alloc(64));
const uuids = new Set(Array.from({ length: 50 }, () => randomUUID()));
const bytes = randomBytes(16).toString('hex');
await globalThis.midpoint?.();
for (let index = 0; index < 200; index++) uuids.add(randomUUID());
console.log(uuids.size, [...uuids].every((uuid) => /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/.test(uuid)));
console.log((await filled).some((byte) => byte !== 0), bytes !== randomBytes(16).toString('hex'));
const dice = Array.from({ length: 500 }, () => randomInt(1, 7));
console.log(new Set(dice).size, Math.min(...dice), Math.max(...dice));
console.log((await pair).publicKey.asymmetricKeyDetails.namedCurve);
console.log(new Set(Array.from({ length: 100 }, () => Math.random())).size);
