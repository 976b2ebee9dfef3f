import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { forkSupport } from 'doublefork';
import { expect, test } from 'vitest';
import { node, root } from '../support/node.js';
import { MARK, marked, until } from '../support/processes.js';
import { execute, run } from '../support/program.js';

const readme = readFileSync(join(root, 'README.md'), 'utf8');

function blocks(language: string): string[] {
  return [...readme.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, 'gms'))].map(
    ([, text]) => text!,
  );
}

/** Below those that the kernel gives to whoever asks for any, such as a test that runs at the same time. */
async function freePort(): Promise<number> {
  const port = 10_000 + Math.floor(Math.random() * 20_000);
  const server = createServer();
  const isFree = await new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false)).listen(port, () => resolve(true));
  });
  if (!isFree) return await freePort();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

test('the program of the README runs, and ends, as the README says', async () => {
  const [program, job, ...otherPrograms] = blocks('js');
  const [install, commands, ...more] = blocks('sh');
  // What is in the registry is another version.
  expect(install).toBe('npm install doublefork\n');
  const development = more.at(-1);
  expect(otherPrograms).toEqual([]);
  const name = /^\/\/ (\S+\.mjs)\n/.exec(program!)![1]!;

  // Inside of the checkout, where 'doublefork' is the package itself.
  mkdirSync(join(root, 'build'), { recursive: true });
  const folder = mkdtempSync(join(root, 'build', 'readme-'));
  try {
    const port = String(await freePort());
    writeFileSync(join(folder, name), program!.replaceAll('8080', port));
    const { code, stdout, stderr } = await execute(
      'bash',
      ['-ec', commands!.replaceAll('8080', port)],
      { cwd: folder, env: { PATH: `${dirname(node)}:${process.env.PATH}` } },
    );
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Hello from \d+\n$/);
    await until(
      () => marked(process.env[MARK]!).every((pid) => pid === process.pid),
      'end of the daemon',
    );
    expect(readFileSync(join(folder, 'hello.log'), 'utf8')).toBe('GET /\n');

    const { supported } = forkSupport();
    writeFileSync(join(folder, 'job.mjs'), job!);
    const summed = await execute(node, ['job.mjs'], { cwd: folder });
    if (supported) expect(summed).toMatchObject({ code: 0, stdout: '499999500000\n', stderr: '' });
    else expect(summed.stderr).toContain('ENOTSUP');
  } finally {
    rmSync(folder, { recursive: true });
  }

  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const named = [...development!.matchAll(/npm (\w+)/g)].map(([, script]) => script!);
  expect(named).toEqual(['start', 'stop', 'test']);
  for (const script of named) expect(scripts).toHaveProperty(script);
});

test('every link of the README and the documentation leads to a file', () => {
  const pages = [
    'README.md',
    ...readdirSync(join(root, 'docs'))
      .filter((name) => !name.endsWith('.png'))
      .map((name) => `docs/${name}`),
  ];
  for (const page of pages) {
    const text = readFileSync(join(root, page), 'utf8');
    for (const [, link] of text.matchAll(/\]\((?!https?:)([^)#]+)(#[^)]*)?\)/g)) {
      expect(
        () => readFileSync(join(root, dirname(page), link!)),
        `${link} in ${page}`,
      ).not.toThrow();
    }
  }
});

test('docs/posix.md names every function that there is, docs/daemonize.md every option', async () => {
  const { stderr, reports } = await run(`
    report(Object.keys(posix).filter((name) => typeof posix[name] === 'function'));
    try { daemonize({ '': 0 }); } catch (error) { report(error.message); }
  `);
  expect(stderr).toBe('');
  const [functions, error] = reports;
  const posix = readFileSync(join(root, 'docs/posix.md'), 'utf8');
  expect(functions.filter((name: string) => !posix.includes(`\`${name}`))).toEqual([]);
  const daemonize = readFileSync(join(root, 'docs/daemonize.md'), 'utf8');
  const options: string[] = error.slice(error.indexOf('Known are: ') + 11).split(', ');
  expect(options.length).toBeGreaterThan(15);
  expect(options.filter((name) => !daemonize.includes(`\`${name}\``))).toEqual([]);
});
