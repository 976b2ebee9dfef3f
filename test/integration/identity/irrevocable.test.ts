// A drop of privileges that did not happen is a failed start, whatever the system calls said: C10.

import { describe, expect, test } from 'vitest';
import { hasFork } from '../../support/engine.js';
import { node } from '../../support/node.js';
import { inline, launch } from '../../support/program.js';
import { isRoot } from '../../support/root.js';

/**
 * Runs a command with system calls that say 0 and do nothing: a seccomp(2) filter, by number.
 * SECBIT_NO_SETUID_FIXUP leaves a user who is not root the capabilities.
 */
const PRETENDING = `
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
machine = os.uname().machine
numbers = {'x86_64': {'setresuid': 117, 'setresgid': 119, 'capset': 126},
           'aarch64': {'setresuid': 147, 'setresgid': 149, 'capset': 91}}[machine]
code = struct.pack('HBBI', 0x20, 0, 0, 0)
for name in sys.argv[1].split(','):
    code += struct.pack('HBBI', 0x15, 0, 1, numbers[name]) + struct.pack('HBBI', 0x06, 0, 0, 0x00050000)
code += struct.pack('HBBI', 0x06, 0, 0, 0x7fff0000)
class Program(ctypes.Structure):
    _fields_ = [('length', ctypes.c_ushort), ('filter', ctypes.c_char_p)]
program = Program(len(code) // 8, code)
if 'capset' in sys.argv[1]:
    assert libc.prctl(28, 4, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(program), 0, 0) == 0
os.execv(sys.argv[2], sys.argv[2:])
`;

const TRY = `
  try { daemonize({ keepFds: [3], USER }); report('a daemon'); } catch (error) { report(error.message); }
  process.exit(0);
`;

describe('C10: a drop that the kernel did not do', () => {
  test.skipIf(!isRoot || !hasFork).each([
    ['setresuid', "user: 'nobody'", 'the user was not changed'],
    ['setresgid', "group: 'nogroup'", 'the group was not changed'],
    ['capset', "user: 'nobody'", 'the process could become root again'],
  ])('is found: %s', async (call, user, message) => {
    const words = ['-c', PRETENDING, call, node, ...inline(TRY.replace('USER', user))];
    const { reports } = await launch('python3', words).ended;
    expect(reports).toEqual([message]);
  });
});
