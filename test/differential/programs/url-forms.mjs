// url: the WHATWG parser, search parameters, file URLs, internationalized names, canParse, patterns.
import { URL, URLSearchParams, domainToASCII, domainToUnicode, fileURLToPath, pathToFileURL, urlToHttpOptions } from 'node:url';

const url = new URL('https://us%20er:pä%73s@EXAMPLE.com:0443/a/../b/./ç?q=1&q=2#frag ment');
const parameters = new URLSearchParams([['b', '2'], ['a', '1 & 1']]);
await globalThis.midpoint?.();
url.port = '8080';
url.searchParams.append('later', 'ü');
parameters.sort();
console.log(url, url.href, parameters.toString(), parameters.has('b', '2'));
console.log(domainToASCII('español.com'), domainToUnicode('xn--espaol-zwa.com'));
console.log(fileURLToPath('file:///tmp/a%20b'), pathToFileURL('/tmp/ü#?').href, URL.canParse('no'));
console.log(urlToHttpOptions(new URL('http://a:b@c:1/d?e')));
try {
  new URL('http://[::bad');
} catch (error) {
  console.log(error.code, error.input);
}
if (globalThis.URLPattern) console.log(new URLPattern({ pathname: '/users/:id' }).exec('http://x/users/7').pathname.groups);
