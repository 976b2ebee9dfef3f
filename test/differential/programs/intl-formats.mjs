// Intl: formatters made before the midpoint, from the ICU data inside the binary.
const when = new Date(Date.UTC(2001, 1, 3, 4, 5, 6));
const date = new Intl.DateTimeFormat('de-DE', { dateStyle: 'full', timeStyle: 'long', timeZone: 'Europe/Berlin' });
const number = new Intl.NumberFormat('en-IN', { style: 'currency', currency: 'INR' });
const plural = new Intl.PluralRules('pl');
const segmenter = new Intl.Segmenter('ja', { granularity: 'word' });
const collator = new Intl.Collator('sv');
await globalThis.midpoint?.();
console.log(date.format(when), when.toISOString());
console.log(number.format(12345678.9), [1, 2, 5, 22].map((count) => plural.select(count)).join());
console.log([...segmenter.segment('守護神は働く')].map(({ segment }) => segment).join('|'));
console.log(['z', 'ö', 'a', 'å'].sort(collator.compare).join(''));
console.log(new Intl.ListFormat('fr').format(['un', 'deux', 'trois']), 'ISTANBUL'.toLocaleLowerCase('tr'));
console.log(new Intl.RelativeTimeFormat('en', { numeric: 'auto' }).format(-1, 'day'), 'ﬁ'.normalize('NFKC'));
