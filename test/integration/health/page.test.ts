// The status page in a real browser: Debian's Chromium, without a screen.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { killQuietly, until } from '../../support/processes.js';
import { start } from '../../support/program.js';

const CHROMIUM = '/usr/bin/chromium';
const TOKEN = 'a token for the tests alone';

const isThere = existsSync(CHROMIUM);
if (!isThere) console.log(`Not tested, the status page: there is no ${CHROMIUM}`);

/** What ends with the test: before it is looked whether processes are left, and so not by onTestFinished(). */
const ends: (() => unknown)[] = [];
const atEnd = (end: () => unknown) => void ends.push(end);
afterEach(async () => {
  for (let end = ends.pop(); end !== undefined; end = ends.pop()) await end();
});

/** A family with a status page, and what its supervisor is. */
async function family(options = '', workers = 2): Promise<{ url: string; supervisor: number }> {
  const running = start(`
    process.argv[1] = 'shop.mjs';
    const { health } = await import('doublefork/health');
    const endpoint = health({ port: 0, cache: 0, interval: 200, ${options} });
    const worker = doublefork.supervise({ workers: ${workers}, log: 'none' });
    worker.signal.addEventListener('abort', () => process.exit());
    endpoint.check('itself', () => true);
    if (worker.id === 1 && worker.generation === 1) report([endpoint.address.port, process.ppid]);
    setInterval(() => {}, 1e6);
  `);
  const [port, supervisor] = (await running.report()) as [number, number];
  atEnd(async () => {
    killQuietly(supervisor, 'SIGTERM');
    await running.ended;
  });
  return { url: `http://127.0.0.1:${port}/`, supervisor };
}

let browser: Browser;
beforeAll(async () => {
  if (isThere) {
    const args = ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'];
    browser = await chromium.launch({ executablePath: CHROMIUM, args });
  }
}, 60_000);
afterAll(() => browser?.close());

/** What went wrong in it is an error of the test. */
async function open(url: string, options: object = {}): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 1100, height: 900 }, ...options });
  const page = await context.newPage();
  const problems: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(message.text());
  });
  page.on('pageerror', (error) => problems.push(error.message));
  atEnd(async () => {
    await context.close();
    expect(problems).toEqual([]);
  });
  await page.goto(url);
  return page;
}

const row = (page: Page, worker: number) => page.locator('tbody tr').nth(worker - 1);
const cell = (page: Page, worker: number, label: string) =>
  row(page, worker).locator(`[data-label="${label}"]`);

describe.skipIf(!isThere)('the status page', () => {
  test('shows workers, and within a second that one was killed and started again', async () => {
    const { url } = await family();
    const page = await open(url);
    await page.getByText('● 2 of 2 workers ready').waitFor();
    await expect.poll(() => page.locator('canvas').count()).toBe(3);
    const pid = Number(await cell(page, 2, 'Pid').textContent());
    const killedAt = performance.now();
    process.kill(pid, 'SIGKILL');
    await page.locator('.exits li').getByText('killed by SIGKILL').waitFor();
    await page.waitForFunction(
      `document.querySelector('tbody tr:nth-child(2) [data-label=Pid]').textContent !== '${pid}'`,
    );
    expect(performance.now() - killedAt).toBeLessThan(1000);
    expect(await cell(page, 2, 'Restarts').textContent()).toBe('1');
    expect(await page.locator('.log').textContent()).toContain('worker 2');
    // There is no token: nothing can be done.
    expect(await page.getByRole('button', { name: 'Reload' }).count()).toBe(0);
    expect(await page.locator('#unlock').isVisible()).toBe(false);
  });

  test('recycles, restarts one and scales, by the keyboard alone, once it has the token', async () => {
    const { url } = await family(`token: '${TOKEN}'`);
    const page = await open(url);
    await page.getByText('● 2 of 2 workers ready').waitFor();
    expect(await page.getByRole('button', { name: 'Recycle' }).count()).toBe(0);
    await page.getByLabel('Token for actions').focus();
    await page.keyboard.type(TOKEN);
    await page.keyboard.press('Enter');
    const pids = () => page.locator('tbody [data-label="Pid"]').allTextContents();
    const before = await pids();
    await page.getByRole('button', { name: 'Recycle' }).focus();
    await page.keyboard.press('Enter');
    await expect
      .poll(async () => (await pids()).filter((pid) => before.includes(pid)), { timeout: 10_000 })
      .toEqual([]);
    await page.getByText('● 2 of 2 workers ready').waitFor();
    const [first, second] = await pids();
    await page.getByRole('button', { name: 'Restart worker 2' }).press('Space');
    await expect.poll(async () => (await pids())[1] === second, { timeout: 10_000 }).toBe(false);
    expect((await pids())[0]).toBe(first);
    await page.getByLabel('Workers', { exact: true }).fill('4');
    await page.keyboard.press('Enter');
    await page.getByText('● 4 of 4 workers ready').waitFor();
    expect(await page.locator('tbody tr').count()).toBe(4);
    expect(await page.locator('#answer').textContent()).toBe('');
  });

  test('reloads; the token comes in the fragment, and is gone from the address', async () => {
    const { url } = await family(`token: '${TOKEN}'`);
    const page = await open(`${url}#token=${encodeURIComponent(TOKEN)}`);
    await page.getByRole('button', { name: 'Reload' }).waitFor();
    expect(page.url()).toBe(url);
    const version = page.locator('.facts div', { hasText: 'version' }).first().locator('dd');
    expect(await version.textContent()).toBe('1');
    await page.getByRole('button', { name: 'Reload' }).click();
    await expect.poll(() => version.textContent(), { timeout: 20_000 }).toBe('2');
    await page.getByText('● 2 of 2 workers ready').waitFor();
    expect(await page.locator('#answer').textContent()).toBe('');
  });

  test('asks for the token again when it is wrong', async () => {
    const { url } = await family(`token: '${TOKEN}'`);
    const context = await browser.newContext();
    atEnd(() => context.close());
    const page = await context.newPage();
    await page.goto(`${url}#token=wrong`);
    await page.getByRole('button', { name: 'Recycle' }).click();
    await page.getByText('Not done: the token is wrong').waitFor();
    await page.getByLabel('Token for actions').waitFor();
  });

  test('has landmarks, headings, labels, and no way of telling by colour alone', async () => {
    const { url } = await family(`token: '${TOKEN}'`, 1);
    const page = await open(`${url}#token=${encodeURIComponent(TOKEN)}`);
    await page.getByText('● 1 of 1 worker ready').waitFor();
    for (const role of ['banner', 'main', 'table'] as const)
      expect(await page.getByRole(role).count()).toBe(1);
    expect(await page.getByRole('heading', { level: 1 }).count()).toBe(1);
    expect(await cell(page, 1, 'State').textContent()).toBe('● ready');
    await page.getByRole('img', { name: /^Memory, now \d/ }).waitFor();
    const unnamed = await page.evaluate(`[...document.querySelectorAll('button, input')].filter(
      (it) => !(it.textContent || it.getAttribute('aria-label') || it.labels?.length)).length`);
    expect(unnamed).toBe(0);
    // The first key leads past the head, and each stop can be seen.
    await page.keyboard.press('Tab');
    expect(await page.evaluate('document.activeElement.textContent')).toContain('Skip to');
    const outline = await page.evaluate('getComputedStyle(document.activeElement).outlineStyle');
    expect(outline).toBe('solid');
  });

  test('fits a phone', async () => {
    const { url } = await family();
    const page = await open(url, { viewport: { width: 360, height: 700 }, isMobile: true });
    await page.getByText('● 2 of 2 workers ready').waitFor();
    await page.getByRole('img', { name: /^Memory/ }).waitFor();
    const [wide, seen] = await page.evaluate<[number, number]>(
      '[document.documentElement.scrollWidth, document.documentElement.clientWidth]',
    );
    expect(wide).toBeLessThanOrEqual(seen);
  });

  test('takes up again after the process that serves it was killed', async () => {
    const { url } = await family();
    const context = await browser.newContext();
    atEnd(() => context.close());
    const page = await context.newPage();
    await page.goto(url);
    await page.getByText('● 2 of 2 workers ready').waitFor();
    const { pid } = (await (await fetch(`${url}healthz`)).json()) as { pid: number };
    const service = await serviceOf(pid);
    process.kill(service, 'SIGKILL');
    await page.getByText('Connection lost').waitFor();
    await page.getByText('Live', { exact: true }).waitFor();
    await page.getByText('● 2 of 2 workers ready').waitFor();
  });

  // Not a test of something: `DOUBLEFORK_SCREENSHOTS=docs npx vitest run … -t pictures`.
  test.runIf(process.env.DOUBLEFORK_SCREENSHOTS)('pictures for the docs', async () => {
    const { url } = await family(`token: '${TOKEN}'`, 4);
    for (const colorScheme of ['light', 'dark'] as const) {
      const page = await open(`${url}#token=${encodeURIComponent(TOKEN)}`, {
        colorScheme,
        viewport: { width: 900, height: 620 },
      });
      await page.getByText('● 4 of 4 workers ready').waitFor();
      process.kill(Number(await cell(page, 3, 'Pid').textContent()), 'SIGKILL');
      await page.waitForTimeout(8000);
      const path = join(process.env.DOUBLEFORK_SCREENSHOTS!, `status-page-${colorScheme}.png`);
      await page.screenshot({ path });
    }
    const phone = await open(url, { viewport: { width: 380, height: 760 }, isMobile: true });
    await phone.waitForTimeout(3000);
    await phone.screenshot({
      path: join(process.env.DOUBLEFORK_SCREENSHOTS!, 'status-page-phone.png'),
    });
  });
});

/** The process that serves the page of a supervisor. */
async function serviceOf(supervisor: number): Promise<number> {
  let found: number | undefined;
  await until(() => {
    found = readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .find((pid) => {
        try {
          const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
          const isChild =
            Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === supervisor;
          return (
            isChild && readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('doublefork health')
          );
        } catch {
          return false;
        }
      });
    return found !== undefined;
  }, 'the process that serves the page');
  return found!;
}
