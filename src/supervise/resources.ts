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

function openGroups({ cgroup }: SupervisorSettings, journal: Journal): Groups | undefined {
  if (cgroup === 'none') return undefined;
  if (cgroup !== 'auto') return new Groups(cgroup);
  const own = delegatedGroup();
  if (own === undefined) return undefined;
  try {
    return new Groups(own);
  } catch (error) {
    journal.tell({ event: 'no-cgroup', error: (error as Error).message });
    return undefined;
  }
}
