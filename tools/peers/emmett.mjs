// The work of BenchmarkPeers on Emmett's SQLite store, with its own settings: prints one
// JSON object, work by name, as operations a second, or why it fails.
import { getSQLiteEventStore } from '@event-driven-io/emmett-sqlite';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const seconds = 3;
const dir = mkdtempSync(join(tmpdir(), 'emmett-'));
const fileName = join(dir, 'events.db');
const store = getSQLiteEventStore({ fileName, schema: { autoMigration: 'CreateOrUpdate' } });
const event = (n) => ({ type: 'Measured', data: { n, text: 'x'.repeat(220) } });

async function rate(writers, append) {
  const until = Date.now() + seconds * 1000;
  let done = 0;
  const begin = Date.now();
  await Promise.all(
    Array.from({ length: writers }, async (_, w) => {
      for (let n = 0; Date.now() < until; n++) {
        await append(w, n);
        done++;
      }
    }),
  );
  return (done * 1000) / (Date.now() - begin);
}

const out = {};
async function measure(name, work) {
  try {
    out[name] = await work();
  } catch (e) {
    out[name] = String(e?.message ?? e).split('\n')[0];
  }
}

// appended appends, however often the database says that it is busy: with one writer, too, its
// transaction then and now finds statements of the store's own in progress.
async function appended(stream, events) {
  for (let tries = 1; ; tries++) {
    try {
      return await store.appendToStream(stream, events);
    } catch (e) {
      if (tries === 100 || !/SQLITE_BUSY/.test(e)) throw e;
    }
  }
}

await measure('append, new streams, 1 writer', () => rate(1, (w, n) => appended(`a-${w}-${n}`, [event(n)])));
await measure('append, one hot stream, 1 writer', () => rate(1, (_, n) => appended('hot', [event(n)])));
await measure('load a stream of 10,000 events', async () => {
  for (let n = 0; n < 10_000; n += 500) {
    await appended('long', Array.from({ length: 500 }, (_, i) => event(n + i)));
  }
  const begin = Date.now();
  const { events } = await store.readStream('long');
  if (events.length !== 10_000) throw new Error(`read ${events.length} events`);
  return (events.length * 1000) / (Date.now() - begin);
});
await measure('project 100,000 events into rows', async () => {
  let last;
  for (let s = 0; s < 10_000; s++) {
    ({ lastEventGlobalPosition: last } = await appended(`product-${s}`, Array.from({ length: 10 }, (_, n) => event(n))));
  }
  const consumer = store.consumer();
  let projected = 0;
  consumer.processor({
    processorId: 'rows',
    startFrom: 'BEGINNING',
    stopAfter: (e) => e.metadata.globalPosition === last,
    eachMessage: async (e, { connection }) => {
      if (projected === 0) await connection.command('CREATE TABLE IF NOT EXISTS rows (id TEXT PRIMARY KEY, n INTEGER, text TEXT)');
      if (!e.metadata.streamName.startsWith('product-')) return;
      await connection.command('INSERT INTO rows (id, n, text) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET n = excluded.n, text = excluded.text', [
        e.metadata.streamName,
        e.data.n,
        e.data.text,
      ]);
      projected++;
    },
  });
  const begin = Date.now();
  try {
    await consumer.start();
  } finally {
    await consumer.close();
  }
  if (projected !== 100_000) throw new Error(`projected ${projected} events`);
  return (projected * 1000) / (Date.now() - begin);
});
await measure('append, new streams, 64 writers', () => rate(64, (w, n) => appended(`b-${w}-${n}`, [event(n)])));

console.log(JSON.stringify(out));
rmSync(dir, { recursive: true, force: true });
process.exit(0);
