// path, path/posix and path/win32: the same questions, two grammars.
import path from 'node:path';
import posix from 'node:path/posix';
import win32 from 'node:path/win32';

// Experimental features warn with the process id.
process.removeAllListeners('warning');
await globalThis.midpoint?.();
for (const form of [posix, win32]) {
  console.log(form.sep, form.delimiter, form.normalize('/a/./b//c/../d\\e'), form.isAbsolute('c:/x'));
  console.log(form.parse('/home/user/file.tar.gz'), form.format({ dir: '/d', name: 'n', ext: 'e' }));
  console.log(form.relative('/a/b/c', '/a/d'), form.basename('/x/y.txt', '.txt'), form.extname('.rc'));
}
console.log(path === posix, win32.resolve('C:\\a', '..\\b'), path.resolve() === process.cwd());
console.log(path.matchesGlob?.('a/b.txt', 'a/*.txt') ?? 'no matchesGlob');
