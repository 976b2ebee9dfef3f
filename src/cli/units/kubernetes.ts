// A Deployment, and a Service if its ports are known.

import { packageOf } from '../../config/parse.js';
import { type Container, containerOf } from './container.js';
import { refuse, seconds, signature, type UnitFacts, type UnitFile } from './facts.js';

/** A day, which is as long as for ever. */
const FOREVER = 86_400;

/** How long it goes on serving while others still hear of it as an endpoint, in s. */
const LEAVING = 5;

/** Of the user node in the images of Node. */
const NODE = 1000;

export function kubernetes(facts: UnitFacts): UnitFile[] {
  const { name, app, image, stop, supervised } = facts;
  const no = (what: string, advice: string) => refuse('kubernetes', what, advice);
  if (image === undefined) throw new Error('kubernetes needs the name of an image: give --image');
  if (!/^[a-z]([-a-z\d]{0,61}[a-z\d])?$/.test(name)) {
    no(`the name ${name}`, 'it takes small letters, digits and - alone, 63 at most');
  }
  if (supervised && app.envFile !== undefined) {
    no(
      `envFile: ${app.envFile}`,
      'its supervisor would read it in the image, in which secrets do not belong; leave it out, and add the variables to the manifest',
    );
  }
  const container = containerOf(facts, 'kubernetes');
  const labels = { 'app.kubernetes.io/name': name };
  const deployment = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, labels },
    spec: {
      replicas: 1,
      selector: { matchLabels: labels },
      // One that serves is there at any time.
      strategy: { rollingUpdate: { maxUnavailable: 0 } },
      template: {
        metadata: { labels },
        spec: {
          automountServiceAccountToken: false,
          terminationGracePeriodSeconds:
            seconds(stop.grace, FOREVER) + (container.ports.length > 0 ? LEAVING : 0),
          securityContext: {
            runAsNonRoot: app.user !== '0',
            ...{ runAsUser: idOf('user', app.user) ?? NODE },
            ...{ runAsGroup: idOf('group', app.group) ?? idOf('user', app.user) ?? NODE },
            seccompProfile: { type: 'RuntimeDefault' },
          },
          containers: [containerSpec(facts, container)],
          volumes: [
            { name: 'control', emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } },
            { name: 'tmp', emptyDir: {} },
          ],
        },
      },
    },
  };
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, labels },
    spec: {
      selector: labels,
      ports: container.ports.map((port) => ({
        ...{ name: portName(port), port, targetPort: portName(port) },
      })),
    },
  };
  const { stringify } = packageOf<typeof import('yaml')>('yaml');
  const documents = [deployment, ...(container.ports.length > 0 ? [service] : [])].map((each) =>
    stringify(each, { aliasDuplicateObjects: false, lineWidth: 0 }),
  );
  const head = [signature(name), ...remarks(facts, container).map((line) => `# - ${line}`)];
  return [{ file: `${name}.yaml`, text: `${head.join('\n')}\n${documents.join('---\n')}` }];
}

const portName = (port: number) => `port-${port}`;

/** By number: Kubernetes does not read the users of an image. */
function idOf(key: 'user' | 'group', word: string | undefined): number | undefined {
  if (word === undefined) return undefined;
  if (/^\d+$/.test(word)) return Number(word);
  return refuse(
    'kubernetes',
    `${key}: ${word}`,
    key === 'user'
      ? 'it knows numbers alone; give that of the image by --user'
      : 'it knows numbers alone; leave it out, or give that of the image in the config',
  );
}

function containerSpec(facts: UnitFacts, { command, cwd, env, control, ports }: Container) {
  const { name, image, app } = facts;
  return {
    name,
    image,
    command: command.map(literal),
    workingDir: cwd,
    env: Object.entries(env).map(([key, value]) => ({ name: key, value: literal(value) })),
    // What env says goes before it.
    ...(app.envFile === undefined ? {} : { envFrom: [{ secretRef: { name: `${name}-env` } }] }),
    ...(ports.length === 0
      ? {}
      : { ports: ports.map((port) => ({ name: portName(port), containerPort: port })) }),
    ...probes(facts, ports),
    ...(ports.length === 0
      ? {}
      : { lifecycle: { preStop: { exec: { command: ['sleep', String(LEAVING)] } } } }),
    ...resources(facts),
    securityContext: {
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
      readOnlyRootFilesystem: true,
    },
    volumeMounts: [
      { name: 'control', mountPath: control },
      { name: 'tmp', mountPath: '/tmp' },
    ],
  };
}

/** $(NAME) would be a variable, and $$ is one $. */
const literal = (text: string) => text.replaceAll('$', '$$$$');

function probes({ health, timeout }: UnitFacts, [port]: number[]) {
  const ask =
    health === undefined
      ? port && (() => ({ tcpSocket: { port } }))
      : (path: string) => ({ httpGet: { path, port: health } });
  if (!ask) return {};
  return {
    // As long as it may take to become ready; the others begin after it.
    startupProbe: {
      ...ask('/readyz'),
      ...{ periodSeconds: 1, timeoutSeconds: 5, failureThreshold: Math.ceil(timeout / 1000) },
    },
    readinessProbe: { ...ask('/readyz'), periodSeconds: 5, timeoutSeconds: 5 },
    livenessProbe: { ...ask('/livez'), periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 3 },
  };
}

function resources({ memory, cpu }: UnitFacts) {
  if (memory === undefined && cpu === undefined) return {};
  const some = {
    ...(cpu === undefined ? {} : { cpu }),
    ...(memory === undefined ? {} : { memory }),
  };
  // More of a processor is only slower when there is none, more memory ends somebody.
  return { resources: { requests: some, ...(memory === undefined ? {} : { limits: { memory } }) } };
}

/** What it is to be known beside, or is not known. */
function remarks({ app, name, stop, health, memory, cpu }: UnitFacts, { ports }: Container) {
  const secret = `node -p 'JSON.stringify({ apiVersion: "v1", kind: "Secret", metadata: { name: "${name}-env" }, stringData: util.parseEnv(fs.readFileSync(process.argv[1], "utf8")) })' ${app.envFile} | kubectl apply -f -`;
  return [
    'The image is to be one that doublefork unit --type docker describes: the project is in /app.',
    'It writes to /tmp alone; what else it writes to is to be a volume.',
    ...(stop.signal === 'TERM'
      ? []
      : [`It is stopped by SIG${stop.signal} if the image says so: STOPSIGNAL.`]),
    ...(app.envFile === undefined ? [] : [`Variables come from a Secret: ${secret}`]),
    ...(ports.length === 0
      ? ['It has no Service: which ports it has is not known here; give --socket.']
      : []),
    ...(health === undefined
      ? [
          ports.length === 0
            ? 'Nothing is known of when it is ready, or lives: give --health, or --socket.'
            : 'That a port answers is all that is known of when it is ready, or lives: give --health.',
        ]
      : ["For its probes: health({ host: '0.0.0.0' })."]),
    ...(memory === undefined || cpu === undefined
      ? [
          `How much it needs is not known here: measure (doublefork top), and give ${[...(memory === undefined ? ['--memory'] : []), ...(cpu === undefined ? ['--cpu'] : [])].join(' and ')}.`,
        ]
      : []),
  ];
}
