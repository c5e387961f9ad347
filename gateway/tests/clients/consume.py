"""Prints what a Python client of Kafka reads: `partition offset key value`, a line a record.

consume.py LIBRARY SERVER TOPIC GROUP COUNT PARTITIONS [NAME=VALUE...]
    LIBRARY     confluent-kafka, kafka-python or aiokafka
    GROUP       name of the consumer group; "-" to assign all partitions from their beginning instead
    COUNT       end after so many records, having committed them; 0 to go on until killed
    NAME=VALUE  settings of librdkafka (confluent-kafka)
"""

import asyncio
import sys

SESSION_TIMEOUT_MS = 6000
library, server, topic, group, count, partitions = sys.argv[1:7]
settings_given = dict(setting.split("=", 1) for setting in sys.argv[7:])
count, partitions = int(count), range(int(partitions))
in_group = group != "-"
left = count if count else sys.maxsize


def show(partition, offset, key, value):
    global left
    left -= 1
    sys.stdout.buffer.write(b"%d %d %b %b\n" % (partition, offset, key or b"-", value or b"-"))
    sys.stdout.buffer.flush()


def confluent_kafka():
    from confluent_kafka import Consumer, KafkaError, TopicPartition

    def on_error(error):
        # By itself the library would try again for ever.
        if error.code() == KafkaError._AUTHENTICATION:
            sys.exit(str(error))

    consumer = Consumer({
        "bootstrap.servers": server,
        "group.id": group,
        "auto.offset.reset": "earliest",
        "session.timeout.ms": SESSION_TIMEOUT_MS,
        "enable.auto.commit": False,
        "error_cb": on_error,
        **settings_given,
    })
    if in_group:
        consumer.subscribe([topic])
    else:
        consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    while left:
        message = consumer.poll(1)
        if message is None:
            continue
        if message.error():
            sys.exit(str(message.error()))
        show(message.partition(), message.offset(), message.key(), message.value())
    if in_group:
        consumer.commit(asynchronous=False)
    consumer.close()


def kafka_python():
    from kafka import KafkaConsumer, TopicPartition

    settings = {"bootstrap_servers": server, "auto_offset_reset": "earliest", "enable_auto_commit": False}
    if in_group:
        consumer = KafkaConsumer(topic, group_id=group, session_timeout_ms=SESSION_TIMEOUT_MS,
                                 heartbeat_interval_ms=1000, **settings)
    else:
        consumer = KafkaConsumer(group_id=None, **settings)
        consumer.assign([TopicPartition(topic, partition) for partition in partitions])
        consumer.seek_to_beginning()
    while left:
        for messages in consumer.poll(timeout_ms=1000, max_records=min(left, 500)).values():
            for message in messages:
                show(message.partition, message.offset, message.key, message.value)
    if in_group:
        consumer.commit()
    consumer.close()


async def aiokafka():
    from aiokafka import AIOKafkaConsumer, TopicPartition

    settings = {"bootstrap_servers": server, "auto_offset_reset": "earliest", "enable_auto_commit": False}
    if in_group:
        consumer = AIOKafkaConsumer(topic, group_id=group, session_timeout_ms=SESSION_TIMEOUT_MS,
                                    heartbeat_interval_ms=1000, **settings)
    else:
        consumer = AIOKafkaConsumer(group_id=None, **settings)
    await consumer.start()
    if not in_group:
        consumer.assign([TopicPartition(topic, partition) for partition in partitions])
        await consumer.seek_to_beginning()
    while left:
        fetched = await consumer.getmany(timeout_ms=1000, max_records=min(left, 500))
        for messages in fetched.values():
            for message in messages:
                show(message.partition, message.offset, message.key, message.value)
    if in_group:
        await consumer.commit()
    await consumer.stop()


if library == "confluent-kafka":
    confluent_kafka()
elif library == "kafka-python":
    kafka_python()
else:
    asyncio.run(aiokafka())
