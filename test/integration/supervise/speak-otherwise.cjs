// Preloaded: has a keeper and its images say what this release does not know, beside what they say.

const fs = require('node:fs');
const { writeSync } = fs;

const UNKNOWN = [
  '{"v":2,"word":"warm","order":"warm","by":[1,2]}',
  'not of this protocol',
  '{"v":7}',
  'null',
  '',
].join('\n');

fs.writeSync = (fd, data, ...others) => {
  const text = Buffer.isBuffer(data) ? data.toString() : '';
  if (!text.startsWith('{"v":1,')) return writeSync(fd, data, ...others);
  writeSync(fd, `${UNKNOWN}${text.replace('{"v":1,', '{"v":9,"more":true,')}`);
  return data.length;
};
