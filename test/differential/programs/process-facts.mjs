// process: versions, features, configuration, arguments, ids of user and group, a report.
import { fileURLToPath } from 'node:url';
import { getegid, geteuid, getgid, getgroups, getuid } from 'node:process';

const ids = [getuid(), geteuid(), getgid(), getegid(), getgroups().length].join();
await globalThis.midpoint?.();
console.log(process.version, process.versions.v8, process.arch, process.platform, process.release.name);
console.log(process.argv.length, process.argv[1] === fileURLToPath(import.meta.url), process.argv0);
console.log(ids === [getuid(), geteuid(), getgid(), getegid(), getgroups().length].join());
console.log(process.features.inspector, process.config.variables.napi_build_version, process.exitCode);
process.report.excludeNetwork = true;
const report = process.report.getReport();
console.log(report.header.processId === process.pid, report.header.nodejsVersion, report.javascriptStack.message);
console.log(typeof process.getActiveResourcesInfo, process.allowedNodeEnvironmentFlags.has('--max-old-space-size'));
console.log(process.sourceMapsEnabled, process.stdin.isTTY, process.stdout.isTTY, process.stderr.isTTY);
