// An app in a container: what a Dockerfile and a manifest of Kubernetes both say of it.

import { existsSync, readFileSync } from '../../builtin/fs.js';
import { join, relative } from '../../builtin/path.js';
import { refuse, type UnitFacts } from './facts.js';
import { limitWords } from './shell.js';

/** Where the project is in the image. */
export const HOME = '/app';

export interface Container {
  /** Process 1 and its arguments. */
  command: string[];
  cwd: string;
  env: Record<string, string>;
  /** The directory of its control socket. */
  control: string;
  ports: number[];
}

/** @throws what a container cannot keep of the app, by name */
export function containerOf(facts: UnitFacts, manager: string): Container {
  const { app, name, env, umask } = facts;
  const no = (what: string, advice: string) => refuse(manager, what, advice);
  if (app.log !== undefined)
    no(`log: ${app.log}`, 'a container’s log is its standard output; leave it out');
  if (app.pidfile !== undefined)
    no(`pidfile: ${app.pidfile}`, 'in a container it is process 1; leave it out');
  if ((app.dependsOn ?? []).length > 0)
    no(
      `dependsOn: ${app.dependsOn!.join(', ')}`,
      'containers start on their own; have the program wait for what it needs',
    );
  const path = imagePath(facts, manager);
  if (!/^[\w.-]+$/.test(name)) no(`the name ${name}`, 'it takes letters, digits and _ . - alone');
  const control = `/run/${name}`;
  const moved = inImage(facts.project, path);
  const variables = Object.entries(env).map(([key, value]) => [key, moved(value)]);
  return {
    command: [
      ...umaskWords(umask, name),
      ...limitWords(facts),
      ...program(facts, path, moved, manager),
    ],
    cwd: path(facts.cwd, 'cwd'),
    env: { DOUBLEFORK_CONTROL: `${control}/control.sock`, ...Object.fromEntries(variables) },
    control,
    ports: facts.sockets.map((address) => portOf(address, manager)),
  };
}

/** sh(1) becomes the program, which is process 1 then. */
const umaskWords = (umask: number | undefined, name: string) =>
  umask === undefined
    ? []
    : ['/bin/sh', '-c', `umask 0${umask.toString(8).padStart(3, '0')}; exec "$@"`, name];

/** Where a path of the project is in the image. */
function imagePath({ project }: UnitFacts, manager: string) {
  return (path: string, key: string): string => {
    const below = relative(project, path);
    if (below !== '..' && !below.startsWith('../')) return join(HOME, below);
    return refuse(
      manager,
      `${key} ${path}`,
      `it is outside of ${project}, which is what the image has`,
    );
  };
}

/** A word that is a path of the project, or its URL, as the image has it. */
const inImage = (project: string, path: (path: string, key: string) => string) => {
  const scheme = 'file://';
  return (word: string): string => {
    const [front, rest] = word.startsWith(scheme)
      ? [scheme, word.slice(scheme.length)]
      : ['', word];
    return rest === project || rest.startsWith(`${project}/`) ? front + path(rest, 'args') : word;
  };
};

function program(
  { command, supervised, self, project, app }: UnitFacts,
  path: (path: string, key: string) => string,
  moved: (word: string) => string,
  manager: string,
): string[] {
  if (supervised) {
    needDoublefork(project, manager);
    const words = command.slice(self.length);
    const config = words.indexOf('--config') + 1;
    // Its user is that of the container.
    const user = words.indexOf('--user');
    return [
      ...['node', `${HOME}/node_modules/doublefork/dist/cli/doublefork.cjs`],
      ...words
        .map((word, index) => (index === config ? path(word, 'the config file') : word))
        .filter((_, index) => user < 0 || (index !== user && index !== user + 1)),
    ];
  }
  const [first, ...rest] = command;
  if (first !== process.execPath) return [moved(first!), ...rest.map(moved)];
  // What Node itself takes, and its script: of it, not of its arguments, is known that it is a file.
  const script = rest.length - app.args.length - 1;
  if (script >= 0 && rest[script]!.startsWith('/')) path(rest[script]!, 'program');
  return ['node', ...rest.map(moved)];
}

/** The supervisor must be in the image, too. */
function needDoublefork(project: string, manager: string): void {
  const file = join(project, 'package.json');
  const { dependencies = {} } = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {};
  if (Object.hasOwn(dependencies, 'doublefork')) return;
  refuse(
    manager,
    'its supervision',
    `doublefork is its supervisor, and is not among the dependencies of ${file}: npm install doublefork`,
  );
}

/** Of a container only ports are reached. */
export function portOf(address: string, manager: string): number {
  if (/^127\.|^\[::1\]|^\/|^@/.test(address)) {
    refuse(
      manager,
      `--socket ${address}`,
      'nothing outside of the container reaches it; give a port',
    );
  }
  return Number(address.slice(address.lastIndexOf(':') + 1));
}
