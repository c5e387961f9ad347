//! A client of a few requests, in the versions that the tests name.

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::kafka::wire::{Reader, Writer};
use crate::record_batch::BatchHeader;

pub(super) struct Client {
    stream: Box<dyn Duplex>,
}

/// A stream, plain or encrypted.
trait Duplex: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Duplex for S {}

/// The answer about the one partition that was asked for.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) error: i16,
    pub(super) committed_offset: i64,
    /// Of the records, from the offset asked for on.
    pub(super) offsets: Vec<u64>,
    /// As they came.
    pub(super) batches: Vec<u8>,
}

impl Client {
    pub(super) async fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap())
    }

    pub(super) fn over(stream: impl AsyncRead + AsyncWrite + Unpin + 'static) -> Self {
        Self { stream: Box::new(stream) }
    }

    /// Sends bytes, returns the response without its length; `None` if the connection ends.
    pub(super) async fn raw(&mut self, frame: &[u8]) -> Option<Vec<u8>> {
        self.stream.write_all(frame).await.ok()?;
        self.stream.flush().await.ok()?;
        let length = self.stream.read_u32().await.ok()?;
        let mut response = vec![0; length as usize];
        self.stream.read_exact(&mut response).await.ok()?;
        Some(response)
    }

    /// Asks, and is answered.
    pub(super) async fn ask(
        &mut self,
        key: i16,
        version: i16,
        is_flexible: bool,
        body: impl FnOnce(&mut Writer),
    ) -> Vec<u8> {
        self.try_ask(key, version, is_flexible, body).await.expect("an answer")
    }

    /// Asks; a request begins as a response does but for the key and version before the correlation id. `None` if the
    /// connection ends.
    pub(super) async fn try_ask(
        &mut self,
        key: i16,
        version: i16,
        is_flexible: bool,
        body: impl FnOnce(&mut Writer),
    ) -> Option<Vec<u8>> {
        let mut writer = Writer::new(0, is_flexible, false);
        writer.int16(-1); // Client id.
        writer.tags();
        body(&mut writer);
        let rest = writer.finish();
        let length = u32::try_from(rest.len()).unwrap();
        let frame =
            [&length.to_be_bytes(), &key.to_be_bytes()[..], &version.to_be_bytes(), &rest[4..]].concat();
        Some(self.raw(&frame).await?[4..].to_vec())
    }

    pub(super) async fn fetch(
        &mut self,
        version: i16,
        topic: &str,
        partition: i32,
        offset: u64,
        wait_ms: i32,
        bytes_max: i32,
    ) -> Fetched {
        let is_flexible = version >= 12;
        let response = self
            .ask(1, version, is_flexible, |writer| {
                for number in [-1, wait_ms, 1, i32::MAX] {
                    writer.int32(number);
                }
                writer.int8(0);
                if version >= 7 {
                    writer.int32(0);
                    writer.int32(-1);
                }
                writer.array([topic], |writer, topic| {
                    writer.string(topic);
                    writer.array([partition], |writer, partition| {
                        writer.int32(partition);
                        if version >= 9 {
                            writer.int32(-1);
                        }
                        writer.int64(offset.cast_signed());
                        if version >= 12 {
                            writer.int32(-1);
                        }
                        if version >= 5 {
                            writer.int64(-1);
                        }
                        writer.int32(bytes_max);
                        writer.tags();
                    });
                    writer.tags();
                });
                if version >= 7 {
                    writer.array([(); 0], |_, ()| {});
                }
                if version >= 11 {
                    writer.string("");
                }
                writer.tags();
            })
            .await;
        read_fetched(&response, version, offset)
    }

    /// Joins a new group as its only member, leads it, and syncs.
    pub(super) async fn join(&mut self, group: &str) -> (i32, String) {
        self.join_with(group, b"topics").await
    }

    pub(super) async fn join_with(&mut self, group: &str, metadata: &[u8]) -> (i32, String) {
        let mut member = String::new();
        loop {
            let response = self
                .ask(11, 5, false, |writer| {
                    writer.string(group);
                    writer.int32(10_000);
                    writer.int32(10_000);
                    writer.string(&member);
                    writer.nullable_string(None);
                    writer.string("consumer");
                    writer.array(["range"], |writer, name| {
                        writer.string(name);
                        writer.bytes(metadata);
                    });
                })
                .await;
            let mut reader = Reader::new(&response, false);
            let _throttle = reader.int32().unwrap();
            let (error, generation) = (reader.int16().unwrap(), reader.int32().unwrap());
            let (_protocol, leader) = (reader.string().unwrap(), reader.string().unwrap());
            member = reader.string().unwrap().to_owned();
            if error == 0 {
                assert_eq!(leader, member);
                self.sync(group, generation, &member).await;
                return (generation, member);
            }
            assert_eq!(error, 79, "the member is given its id first");
        }
    }

    async fn sync(&mut self, group: &str, generation: i32, member: &str) {
        let response = self
            .ask(14, 3, false, |writer| {
                writer.string(group);
                writer.int32(generation);
                writer.string(member);
                writer.nullable_string(None);
                writer.array([member], |writer, member| {
                    writer.string(member);
                    writer.bytes(b"all of it");
                });
            })
            .await;
        let mut reader = Reader::new(&response, false);
        let _throttle = reader.int32().unwrap();
        assert_eq!((reader.int16(), reader.bytes()), (Ok(0), Ok(&b"all of it"[..])));
    }

    /// Commits an offset. Returns the error of the partition.
    pub(super) async fn commit(
        &mut self,
        group: &str,
        generation: i32,
        member: &str,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> i16 {
        let response = self
            .ask(8, 5, false, |writer| {
                writer.string(group);
                writer.int32(generation);
                writer.string(member);
                writer.array([topic], |writer, topic| {
                    writer.string(topic);
                    writer.array([partition], |writer, partition| {
                        writer.int32(partition);
                        writer.int64(offset);
                        writer.nullable_string(None);
                    });
                });
            })
            .await;
        i16::from_be_bytes([response[response.len() - 2], response[response.len() - 1]])
    }

    /// The committed offset; -1 if there is none.
    pub(super) async fn committed(&mut self, group: &str, topic: &str, partition: i32) -> i64 {
        let response = self
            .ask(9, 1, false, |writer| {
                writer.string(group);
                writer.array([topic], |writer, topic| {
                    writer.string(topic);
                    writer.array([partition], Writer::int32);
                });
            })
            .await;
        let mut reader = Reader::new(&response, false);
        let offsets = reader.array(2, |reader| {
            reader.string()?;
            reader.array(4, |reader| {
                reader.int32()?;
                let offset = reader.int64()?;
                reader.nullable_string()?;
                assert_eq!(reader.int16(), Ok(0));
                Ok(offset)
            })
        });
        offsets.unwrap()[0][0]
    }
}

fn read_fetched(response: &[u8], version: i16, offset: u64) -> Fetched {
    let mut reader = Reader::new(response, version >= 12);
    reader.tags().unwrap();
    reader.int32().unwrap();
    if version >= 7 {
        assert_eq!((reader.int16(), reader.int32()), (Ok(0), Ok(0)));
    }
    let mut topics = reader
        .array(2, |reader| {
            reader.string()?;
            let partitions = reader.array(10, |reader| {
                reader.int32()?;
                let (error, committed_offset) = (reader.int16()?, reader.int64()?);
                reader.int64()?;
                if version >= 5 {
                    reader.int64()?;
                }
                assert_eq!(reader.nullable_array(1, |_| Ok(())), Ok(None));
                if version >= 11 {
                    reader.int32()?;
                }
                let batches = reader.bytes()?.to_vec();
                let offsets = offsets_of(&batches, offset);
                reader.tags()?;
                Ok(Fetched { error, committed_offset, offsets, batches })
            })?;
            reader.tags()?;
            Ok(partitions)
        })
        .unwrap();
    reader.tags().unwrap();
    reader.finish().unwrap();
    topics.remove(0).remove(0)
}

fn offsets_of(mut batches: &[u8], from: u64) -> Vec<u64> {
    let mut offsets = Vec::new();
    while !batches.is_empty() {
        let header = BatchHeader::parse(batches).unwrap();
        header.verify(batches, header.base_offset).unwrap();
        offsets.extend((header.base_offset..header.next_offset()).filter(|offset| *offset >= from));
        batches = &batches[header.batch_bytes..];
    }
    offsets
}
