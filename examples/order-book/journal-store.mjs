// The book in memory, its commands in a journal, and now and then a snapshot, written by a copy of the process.

import { Journal } from 'doublefork/state';
import { Book } from './book.mjs';

/** A snapshot after so many commands: so many are replayed at most. */
const SNAPSHOT_EVERY = Number(process.env.SNAPSHOT_EVERY ?? 100_000);

/** @param {string} directory */
export function openStore(directory) {
  let book = new Book();
  const journal = Journal.open(directory, {
    restore: (snapshot) => {
      book = Book.of(JSON.parse(snapshot.toString()));
    },
    apply: (record) => book.apply(JSON.parse(record.toString())),
  });
  let since = journal.recovered.records;

  /** @type {Promise<unknown> | undefined} */
  let snapshot;
  function takeSnapshot() {
    since = 0;
    snapshot = journal
      .snapshot(({ write }) => write(JSON.stringify(book.orders)))
      // What was appended is in the journal as before.
      .catch((error) => console.error(`no snapshot: ${error.message}`))
      .finally(() => {
        snapshot = undefined;
      });
  }

  return {
    get orders() {
      return book.orders;
    },
    /** Resolves when the command is durable. @param {import('./book.mjs').Command} command */
    async execute(command) {
      // No await between the two: a snapshot has both or neither.
      const trades = book.apply(command);
      const durable = journal.append(JSON.stringify(command));
      if (++since >= SNAPSHOT_EVERY && snapshot === undefined) takeSnapshot();
      await durable;
      return trades;
    },
    async close() {
      await snapshot;
      await journal.close();
    },
  };
}
