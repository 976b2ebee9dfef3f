// A container of runc, as Docker sets one up: namespaces, capabilities, and its default seccomp profile.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { temporaryFolder } from '../folder.js';
import { killQuietly, status, until } from '../processes.js';
import { launch } from '../program.js';
import { endWithTest } from './ending.js';
import { COPY, enter, PATH, PREPARE, perform, type World, type WorldVariables } from './world.js';

/** Those that Docker leaves to root. */
const CAPABILITIES = (
  'CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE ' +
  'SYS_CHROOT KILL AUDIT_WRITE'
)
  .split(' ')
  .map((name) => `CAP_${name}`);

/** What Docker's default profile denies a process with these capabilities. */
const DENIED = (
  'acct add_key bpf clock_adjtime clock_settime create_module delete_module fanotify_init finit_module fsconfig fsmount fsopen ' +
  'fspick get_kernel_syms get_mempolicy init_module io_uring_enter io_uring_register io_uring_setup ioperm iopl kcmp ' +
  'kexec_file_load kexec_load keyctl lookup_dcookie mbind migrate_pages mount mount_setattr move_mount move_pages ' +
  'nfsservctl open_by_handle_at open_tree perf_event_open pidfd_getfd pivot_root process_madvise query_module quotactl ' +
  'quotactl_fd reboot request_key set_mempolicy setdomainname sethostname setns settimeofday swapoff swapon _sysctl sysfs ' +
  'syslog umount2 unshare uselib userfaultfd ustat vhangup vserver'
).split(' ');

const ALLOW = 'SCMP_ACT_ALLOW';
const DENY = { action: 'SCMP_ACT_ERRNO', errnoRet: 1 };
/** CLONE_NEWNS and all others that make a namespace. */
const NAMESPACES = 0x7e_02_00_00;

/** By what it denies; Docker itself lists what it allows, so that this is as strict for what there is today. */
const SECCOMP = {
  defaultAction: ALLOW,
  architectures: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32'],
  syscalls: [
    { names: DENIED, ...DENY },
    // The C library then takes clone(2), whose flags can be looked at.
    { names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: 38 },
    ...[...Array(32).keys()]
      .map((bit) => 2 ** bit)
      .filter((flag) => flag & NAMESPACES)
      .map((flag) => ({
        names: ['clone'],
        ...DENY,
        args: [{ index: 0, value: flag, valueTwo: flag, op: 'SCMP_CMP_MASKED_EQ' }],
      })),
    // AF_VSOCK.
    { names: ['socket'], ...DENY, args: [{ index: 0, value: 40, op: 'SCMP_CMP_EQ' }] },
    // Of Linux alone, and no other than the usual: ADDR_NO_RANDOMIZE, for instance, is none.
    {
      names: ['personality'],
      ...DENY,
      args: [{ index: 0, value: 0x0040000, valueTwo: 0x0040000, op: 'SCMP_CMP_MASKED_EQ' }],
    },
  ],
};

/** Runs a program as process 1 of a container named `app`. */
export async function bootContainer(
  variables: WorldVariables,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<World> {
  const bundle = temporaryFolder();
  mkdirSync(join(bundle, 'rootfs'));
  spawnSync('runc', ['spec'], { cwd: bundle });
  const file = join(bundle, 'config.json');
  const config = JSON.parse(readFileSync(file, 'utf8'));
  config.root = { path: 'rootfs', readonly: false };
  Object.assign(config.process, { terminal: false, args, cwd: '/' });
  config.process.env = Object.entries({ PATH, ...env }).map(([name, value]) => `${name}=${value}`);
  for (const set of Object.keys(config.process.capabilities)) {
    if (set !== 'ambient' && set !== 'inheritable') config.process.capabilities[set] = CAPABILITIES;
  }
  config.mounts = config.mounts.filter(
    ({ destination }: { destination: string }) => !/^.sys/.test(destination),
  );
  config.linux.namespaces = config.linux.namespaces.filter(
    ({ type }: { type: string }) => type !== 'cgroup',
  );
  for (const name of ['resources', 'maskedPaths', 'readonlyPaths']) delete config.linux[name];
  config.linux.cgroupsPath = `/doublefork-${process.pid}`;
  config.linux.seccomp = SECCOMP;
  writeFileSync(file, JSON.stringify(config));
  const running = launch(
    'unshare',
    [
      ...['--mount', '--propagation', 'private', 'bash', '-ec'],
      `${PREPARE}
      mount -t tmpfs -o mode=755 tmpfs /run; mkdir /run/lock
      ${COPY}
      mount --rbind / ${bundle}/rootfs
      cd ${bundle}; exec runc run app`,
    ],
    { env: { ...variables, ROOT: '', PATH }, cwd: '/' },
  );
  const admin = (line: string) =>
    perform('nsenter', [
      '-t',
      String(running.pid),
      '-m',
      '--',
      'env',
      `PATH=${PATH}`,
      'bash',
      '-c',
      line,
    ]);
  let console = '';
  void running.ended.then(({ stdout, stderr }) => {
    console = stdout + stderr;
  });
  endWithTest(async () => {
    // With its control group. Whoever ends runc alone leaves the container.
    await admin('runc delete --force app');
    killQuietly(running.pid);
    await running.exited;
  });
  let init = 0;
  await until(async () => {
    const { stdout } = await admin('runc state app');
    const state = stdout === '' ? { status: '', pid: 0 } : JSON.parse(stdout);
    init = state.pid;
    if (console !== '') throw new Error(`runc: ${console}`);
    return state.status === 'running';
  }, 'the container runs');
  expect(status(init, 'Seccomp'), 'the mode of seccomp(2): filtered').toBe('2');
  return {
    init,
    sh: (line) => enter(init, line),
    admin,
    get console() {
      return console;
    },
    ended: running.exited,
  };
}
