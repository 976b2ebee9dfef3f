// dns: localhost through getaddrinfo on the threadpool, in flight at the midpoint; service names.
import dns from 'node:dns';
import { lookup, lookupService } from 'node:dns/promises';

const pending = lookup('localhost', { family: 4 });
const called = new Promise((resolve) => {
  dns.lookup('127.0.0.1', (error, address, family) => resolve([error, address, family]));
});
await globalThis.midpoint?.();
console.log(await pending);
console.log(...(await called));
console.log((await lookup('localhost', { all: true, family: 4 })).map(({ address }) => address).join());
console.log((await lookupService('127.0.0.1', 80)).service);
try {
  dns.lookupService('not an address', 80, () => console.log('never'));
} catch (error) {
  console.log(error.code);
}
console.log(dns.getDefaultResultOrder());
