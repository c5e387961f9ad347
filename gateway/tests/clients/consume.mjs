// Prints what kafkajs reads: `partition offset key value`, a line a record.
//
// node consume.mjs SERVER TOPIC GROUP COUNT PARTITIONS
//     GROUP  name of the consumer group; "-" to seek to the beginning of all partitions instead. kafkajs knows only
//            groups, so it is then in one of its own, and what is committed there is not looked at.
//     COUNT  end after so many records, having committed them; 0 to go on until killed

import { createRequire } from "node:module";

// Found by NODE_PATH, which only CommonJS looks at.
const { Kafka, logLevel } = createRequire(import.meta.url)("kafkajs");

const [server, topic, group, count, partitions] = process.argv.slice(2);
const inGroup = group !== "-";
let left = Number(count) || Infinity;

const kafka = new Kafka({ brokers: [server], logLevel: logLevel.ERROR });
const consumer = kafka.consumer({
  groupId: inGroup ? group : `seek-${process.pid}`,
  sessionTimeout: 6000,
  heartbeatInterval: 1000,
});
const next = new Map();
let finish;
const finished = new Promise((resolve) => (finish = resolve));

await consumer.connect();
await consumer.subscribe({ topics: [topic], fromBeginning: true });
await consumer.run({
  autoCommit: false,
  eachMessage: async ({ partition, message }) => {
    if (left === 0) return;
    process.stdout.write(`${partition} ${message.offset} ${message.key ?? "-"} ${message.value ?? "-"}\n`);
    next.set(partition, BigInt(message.offset) + 1n);
    left -= 1;
    if (left === 0) finish();
  },
});
if (!inGroup) {
  for (let partition = 0; partition < Number(partitions); partition++) {
    consumer.seek({ topic, partition, offset: "0" });
  }
}

await finished;
if (inGroup) {
  await consumer.commitOffsets(
    [...next].map(([partition, offset]) => ({ topic, partition, offset: String(offset) })),
  );
}
await consumer.disconnect();
