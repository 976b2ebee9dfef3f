// node:path for the bundles: see fs.ts.

export const { delimiter, dirname, extname, isAbsolute, join, relative, resolve } =
  process.getBuiltinModule('node:path');
