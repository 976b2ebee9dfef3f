// inspector: a session from before the midpoint evaluates, lists properties and reports console calls.
import inspector from 'node:inspector';
import { Session } from 'node:inspector/promises';

globalThis.subject = { answer: 42, list: [1, 2, 3] };
const session = new Session();
session.connect();
await session.post('Runtime.enable');
const { result } = await session.post('Runtime.evaluate', { expression: 'subject' });
const seen = [];
session.on('Runtime.consoleAPICalled', ({ params }) => seen.push(params.args.map((arg) => arg.value)));
await globalThis.midpoint?.();
const properties = await session.post('Runtime.getProperties', { objectId: result.objectId, ownProperties: true });
console.log(properties.result.filter((property) => property.enumerable).map((property) => property.name));
const promise = await session.post('Runtime.evaluate', {
  expression: 'new Promise((resolve) => setTimeout(resolve, 5, subject.answer * 2))',
  awaitPromise: true,
});
const thrown = await session.post('Runtime.evaluate', { expression: 'nope()' });
console.log(promise.result.value, thrown.exceptionDetails.exception.className, seen.length);
session.disconnect();
const plain = new inspector.Session();
plain.connect();
plain.post('Schema.getDomains', (error, { domains }) => console.log(error, domains.length > 3));
console.log(inspector.url());
