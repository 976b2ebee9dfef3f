// A Dockerfile, whose process 1 is the program.

import { existsSync } from '../../builtin/fs.js';
import { join } from '../../builtin/path.js';
import { containerOf, HOME } from './container.js';
import { refuse, seconds, signature, type UnitFacts, type UnitFile } from './facts.js';

/** A day, which is as long as for ever. */
const FOREVER = 86_400;

/** A word: in double quotes there are variables. */
const inQuotes = (text: string) =>
  /^[\w/.-]+$/.test(text) ? text : `"${text.replaceAll(/["\\$]/g, '\\$&')}"`;

export function docker(facts: UnitFacts): UnitFile[] {
  const { name, app, stop } = facts;
  if (app.envFile !== undefined) {
    refuse(
      'docker',
      `envFile: ${app.envFile}`,
      'what is in an image can be read by all who have it; leave it out, and give docker run --env-file',
    );
  }
  const { command, cwd, env, control, ports } = containerOf(facts, 'docker');
  if (Object.values(env).some((value) => value.includes('\n'))) {
    refuse('docker', 'a line break in env', 'have the program read it from a file');
  }
  const installs = needsPackages(facts);
  const user = app.user ?? 'node';
  const owner = [user, ...(app.group === undefined ? [] : [app.group])].join(':');
  const version = process.versions.node.split('.', 1)[0];
  const grace = seconds(stop.grace, FOREVER);
  const lines = [
    signature(name),
    `# docker build -t ${name} . && docker run --stop-timeout ${grace} --restart on-failure ${ports.map((port) => `-p ${port}:${port} `).join('')}${name}`,
    ...(installs
      ? [
          '',
          '# With a compiler, for packages that have none for this system.',
          `FROM node:${version} AS packages`,
          `WORKDIR ${HOME}`,
          'COPY package.json package-lock.json ./',
          'RUN npm ci --omit=dev',
        ]
      : []),
    '',
    '# A .dockerignore with these makes it quicker.',
    `FROM node:${version}-slim AS files`,
    `WORKDIR ${HOME}`,
    'COPY . .',
    'RUN rm -rf node_modules .git .env',
    '',
    `FROM node:${version}-slim`,
    ...makeUser(app.user, app.group),
    `RUN install -d -o ${user} ${app.group === undefined ? '' : `-g ${app.group} `}${control}`,
    `COPY --from=files ${HOME} ${HOME}`,
    ...(installs ? [`COPY --from=packages ${HOME}/node_modules ${HOME}/node_modules`] : []),
    `WORKDIR ${inQuotes(cwd)}`,
    ...Object.entries({ NODE_ENV: 'production', ...env }).map(
      ([key, value]) => `ENV ${key}=${inQuotes(value)}`,
    ),
    `USER ${owner}`,
    ...ports.map((port) => `EXPOSE ${port}`),
    `STOPSIGNAL ${/^\d+$/.test(stop.signal) ? '' : 'SIG'}${stop.signal}`,
    ...healthLines(facts),
    `CMD ${JSON.stringify(command)}`,
  ];
  return [{ file: 'Dockerfile', text: `${lines.join('\n')}\n` }];
}

/** @throws if they are not known exactly */
function needsPackages({ project }: UnitFacts): boolean {
  if (!existsSync(join(project, 'package.json'))) return false;
  if (existsSync(join(project, 'package-lock.json'))) return true;
  return refuse(
    'docker',
    'the packages',
    `npm ci reads package-lock.json, which is not in ${project}: npm install --package-lock-only`,
  );
}

/** Of a number none is needed; node is in the image. */
function makeUser(user: string | undefined, group: string | undefined): string[] {
  const isName = (word: string | undefined) => word !== undefined && !/^\d+$/.test(word);
  return [
    ...(isName(group) ? [`RUN getent group ${group} || groupadd --system ${group}`] : []),
    ...(isName(user) ? [`RUN getent passwd ${user} || useradd --system ${user}`] : []),
  ];
}

/** By Node, since the image has no curl. */
function healthLines({ health, timeout }: UnitFacts): string[] {
  if (health === undefined) return [];
  const ask = `fetch('http://127.0.0.1:${health}/livez').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))`;
  return [
    `HEALTHCHECK --interval=10s --timeout=5s --start-period=${Math.ceil(timeout / 1000)}s CMD ${JSON.stringify(['node', '-e', ask])}`,
  ];
}
