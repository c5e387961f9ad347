//! Reading from librdkafka's own test broker, and from nobody.

use super::testing::Broker;
use super::*;

fn connect(broker: &Broker) -> TopicReader {
    TopicReader::connect(&broker.address().to_string(), "numbers", &[]).unwrap()
}

fn numbers(range: std::ops::Range<u32>) -> impl Iterator<Item = Vec<u8>> {
    range.map(|number| number.to_string().into_bytes())
}

/// Everything up to `end`, as (partition, offset, value).
fn read_to(reader: &mut TopicReader, end: &[i64]) -> Vec<(i32, i64, String)> {
    let mut read = Vec::new();
    for _ in 0..100 {
        if reader.has_reached(end) {
            return read;
        }
        if let Some(message) = reader.next(Duration::from_millis(100)).unwrap() {
            let value = String::from_utf8(message.payload().unwrap().to_vec()).unwrap();
            read.push((message.partition(), message.offset(), value));
        }
    }
    panic!("not read to {end:?} within ten seconds: {read:?}");
}

#[test]
fn partitions_are_read_from_their_offsets_to_the_end() {
    let broker = Broker::start("numbers", 2);
    broker.produce(numbers(0..6));
    let mut reader = connect(&broker);
    assert_eq!((reader.first_offsets().unwrap(), reader.end_offsets().unwrap()), (vec![0, 0], vec![3, 3]));
    reader.start(vec![1, 2]).unwrap();
    let mut read = read_to(&mut reader, &[3, 3]);
    read.sort();
    let expected = [(0, 1, "2"), (0, 2, "4"), (1, 2, "5")];
    assert_eq!(read, expected.map(|(partition, offset, value)| (partition, offset, value.to_owned())));
    assert_eq!(reader.next_offsets(), [3, 3]);
}

/// Goal: a broker that comes back is read on from where it was left, without an error.
#[test]
fn a_broker_that_goes_and_comes_back_is_read_on() {
    let broker = Broker::start("numbers", 1);
    broker.produce(numbers(0..3));
    let mut reader = connect(&broker);
    reader.start(vec![0]).unwrap();
    assert_eq!(read_to(&mut reader, &[3]).len(), 3);
    let keeper = broker.disappear();
    assert!(reader.next(Duration::from_millis(500)).unwrap().is_none());
    broker.come_back(keeper);
    broker.produce(numbers(3..5));
    assert_eq!(read_to(&mut reader, &[5]).len(), 2);
}

#[test]
fn an_offset_that_is_not_there_is_an_error_and_nothing_is_skipped() {
    let broker = Broker::start("numbers", 1);
    broker.produce(numbers(0..3));
    let mut reader = connect(&broker);
    reader.start(vec![7]).unwrap();
    let failure = (0..100).find_map(|_| reader.next(Duration::from_millis(100)).err());
    let text = failure.expect("an error within ten seconds").to_string();
    assert!(text.contains("cannot read from 127.0.0.1"), "{text}");
}

#[test]
fn what_cannot_be_read_is_told_in_words() {
    let broker = Broker::start("numbers", 1);
    let fails = |address: &str, settings: &[(&str, &str)]| {
        let settings: Vec<_> =
            settings.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        match TopicReader::connect(address, "numbers", &settings) {
            Ok(_) => panic!("{address} {settings:?} was read"),
            Err(error) => error.to_string(),
        }
    };
    // Port 1 of loopback: nobody listens there.
    let nobody = fails("127.0.0.1:1", &[("socket.connection.setup.timeout.ms", "1000")]);
    assert!(nobody.contains("127.0.0.1:1") && nobody.contains("refused"), "{nobody}");
    let setting = fails(&broker.address().to_string(), &[("no.such.setting", "1")]);
    assert!(setting.contains("no.such.setting"), "{setting}");
}
