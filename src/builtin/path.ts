// node:path: see fs.ts.

export const { basename, delimiter, dirname, extname, isAbsolute, join, relative, resolve } =
  process.getBuiltinModule('node:path');
