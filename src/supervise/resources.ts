// What a supervisor has open beside its workers.

import { delegatedGroup, Groups } from './cgroup.js';
import { ControlSocket } from './control.js';
import { keepYoungGenerationSmall, letYoungGenerationGrow } from './heap.js';
import { Journal } from './journal.js';
import type { SupervisorSettings } from './options.js';
import { ProgramChannels } from './program-channel.js';
import { SelfPipe } from './self-pipe.js';
import { handledSignals } from './signals.js';

export class Resources implements Disposable {
  readonly journal: Journal;
  readonly control: ControlSocket | undefined;
  readonly groups: Groups | undefined;
  /** Of the programs that the workers run; undefined: they are this one. */
  readonly channels: ProgramChannels | undefined;
  readonly signals: SelfPipe;

  /** @throws what opening the log, the control socket and the group does, with nothing changed */
  constructor(settings: SupervisorSettings, reopen: NodeJS.Signals) {
    this.journal = new Journal(settings.log);
    try {
      this.control = openControl(settings, this.journal);
      this.groups = openGroups(settings, this.journal);
      this.channels = openChannels(settings, this.control);
      this.signals = new SelfPipe(handledSignals(reopen));
    } catch (error) {
      this.channels?.[Symbol.dispose]();
      this.groups?.[Symbol.dispose]();
      this.control?.[Symbol.dispose]();
      this.journal[Symbol.dispose]();
      throw error;
    }
    keepYoungGenerationSmall();
  }

  /** In a worker: closes its copies. What they stand for is the supervisor's. */
  release(): void {
    this.groups?.release();
    letYoungGenerationGrow();
    this.signals.close();
    this.control?.release();
    this.journal[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    letYoungGenerationGrow();
    this.signals.close();
    this.channels?.[Symbol.dispose]();
    this.groups?.[Symbol.dispose]();
    this.control?.[Symbol.dispose]();
    this.journal[Symbol.dispose]();
  }
}

/** One that was offered and cannot be had, as when another supervisor has it, need not be. */
function openControl({ control }: SupervisorSettings, journal: Journal): ControlSocket | undefined {
  if (control === undefined) return undefined;
  try {
    return new ControlSocket(control.path, control.directory);
  } catch (error) {
    if (!control.offered) throw error;
    journal.tell({ event: 'no-control', error: (error as Error).message });
    return undefined;
  }
}

function openChannels(
  { exec, words, control }: SupervisorSettings,
  opened: ControlSocket | undefined,
): ProgramChannels | undefined {
  if (exec === undefined) return undefined;
  return new ProgramChannels(words, control?.path, opened !== undefined);
}

function openGroups(
  { cgroup, resources }: SupervisorSettings,
  journal: Journal,
): Groups | undefined {
  const { group: limits } = resources;
  const unenforced = (error: string) => {
    const files = limits.map(([file]) => file).join(', ');
    if (limits.length > 0)
      journal.tell({ event: 'no-limits', error: `${files} are not enforced: ${error}` });
  };
  const own = cgroup === 'auto' ? delegatedGroup() : cgroup === 'none' ? undefined : cgroup;
  if (own === undefined) {
    unenforced('workers have no control groups of their own (see the option cgroup)');
    return undefined;
  }
  try {
    const groups = new Groups(own, limits);
    if (groups.problem !== undefined) unenforced(groups.problem);
    return groups;
  } catch (error) {
    if (cgroup !== 'auto') throw error;
    unenforced((error as Error).message);
    journal.tell({ event: 'no-cgroup', error: (error as Error).message });
    return undefined;
  }
}
