// v8: hot loops compiled in the background while the midpoint comes: primes, matrices, strings, regexps.
function primes(limit) {
  const sieve = new Uint8Array(limit);
  let count = 0;
  for (let number = 2; number < limit; number++) {
    if (sieve[number]) continue;
    count++;
    for (let multiple = number * 2; multiple < limit; multiple += number) sieve[multiple] = 1;
  }
  return count;
}

function multiply(size) {
  const matrix = Array.from({ length: size }, (_, row) => Array.from({ length: size }, (_, column) => row ^ column));
  let trace = 0;
  for (let row = 0; row < size; row++)
    for (let inner = 0; inner < size; inner++) trace += matrix[row][inner] * matrix[inner][row];
  return trace;
}

function words(count) {
  let text = '';
  for (let index = 0; index < count; index++) text += `w${(index * 7919) % 97} `;
  return text.match(/w(\d)\1 /g).length + text.replaceAll(/w9\d? /g, '').split(' ').length;
}

const results = [primes(200_000), multiply(120), words(20_000)];
const later = new Promise((resolve) => setImmediate(() => resolve(primes(300_000))));
await globalThis.midpoint?.();
results.push(primes(500_000), multiply(200), words(40_000), await later);
console.log(results.join(' '));
