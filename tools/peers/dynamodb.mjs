// What one append costs on DynamoDB, with the tables that each library documents: requests
// and capacity units of appending the second event to an aggregate, counted on the DynamoDB
// Local that SHOP_DYNAMODB_ENDPOINT names. Prints one JSON object.
import { CreateTableCommand, DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DynamoDBSingleTableEventStorageAdapter } from '@castore/event-storage-adapter-dynamodb';
import adapter from 'event-store-adapter-js';

const client = new DynamoDBClient({
  endpoint: process.env.SHOP_DYNAMODB_ENDPOINT, region: 'us-east-1',
  credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
});

let counted;
client.middlewareStack.add(
  (next) => async (args) => {
    args.input.ReturnConsumedCapacity = 'INDEXES';
    const out = await next(args);
    if (counted) {
      const of = [out.output.ConsumedCapacity ?? []].flat();
      counted.requests++;
      for (const c of of) {
        counted.table += c.Table?.CapacityUnits ?? 0;
        for (const i of Object.values(c.GlobalSecondaryIndexes ?? {})) counted.indexes += i.CapacityUnits;
      }
    }
    return out;
  },
  { step: 'initialize' },
);
async function count(what) {
  counted = { requests: 0, table: 0, indexes: 0 };
  await what();
  const out = counted;
  counted = undefined;
  return out;
}

const run = `p${Date.now()}`;
const key = (name, type) => ({ AttributeName: name, KeyType: type });
async function table(name, [pk, sk], index) {
  const types = Object.fromEntries([pk, sk, ...(index ? index.keys : [])]);
  await client.send(new CreateTableCommand({
    TableName: name, BillingMode: 'PAY_PER_REQUEST',
    AttributeDefinitions: Object.entries(types).map(([AttributeName, AttributeType]) => ({ AttributeName, AttributeType })),
    KeySchema: [key(pk[0], 'HASH'), key(sk[0], 'RANGE')],
    GlobalSecondaryIndexes: index && [{
      IndexName: index.name, Projection: { ProjectionType: index.projection ?? 'ALL' },
      KeySchema: [key(index.keys[0][0], 'HASH'), key(index.keys[1][0], 'RANGE')],
    }],
  }));
}
const text = 'x'.repeat(220);
const out = {};

// @castore: an event a request; an index of initial events
await table(`${run}c`, [['aggregateId', 'S'], ['version', 'N']], {
  name: 'initialEvents', projection: 'KEYS_ONLY', keys: [['eventStoreId', 'S'], ['timestamp', 'S']],
});
const castore = new DynamoDBSingleTableEventStorageAdapter({ tableName: `${run}c`, dynamoDBClient: client });
const event = (version) => ({ aggregateId: 'a', version, type: 'MEASURED', timestamp: new Date().toISOString(), payload: { text } });
out['castore, first event'] = await count(() => castore.pushEvent(event(1), { eventStoreId: 's' }));
out['castore, next event'] = await count(() => castore.pushEvent(event(2), { eventStoreId: 's' }));

// event-store-adapter-js: a transaction over a journal and a snapshot, each with an index
for (const t of ['j', 's']) {
  await table(`${run}${t}`, [['pkey', 'S'], ['skey', 'S']], { name: 'aid', keys: [['aid', 'S'], ['seq_nr', 'N']] });
}
const id = { typeName: 'thing', value: 'a', asString: () => 'thing-a' };
const store = adapter.EventStoreFactory.ofDynamoDB(client, `${run}j`, `${run}s`, 'aid', 'aid', 32, (j) => j, (j) => j);
const happened = (n, isCreated) => ({ typeName: 'Measured', id: `e${n}`, aggregateId: id, sequenceNumber: n, occurredAt: new Date(), isCreated, text });
const thing = { typeName: 'thing', id, sequenceNumber: 1, version: 1, withVersion() { return this; }, updateVersion() { return this; }, text };
out['event-store-adapter-js, first event'] = await count(() => store.persistEventAndSnapshot(happened(1, true), thing));
out['event-store-adapter-js, next event'] = await count(() => store.persistEvent(happened(2, false), 1));

console.log(JSON.stringify(out, null, 1));
