//! Heartbeats over TCP: for senders whose network loses or blocks UDP. The same frames, each behind its length.
//!
//! ```text
//!   connection ─▶ u32 length, big-endian ─▶ frame ─▶ codec ─▶ mailbox of each node's shard (handoff.rs)
//! ```
//!
//! It runs on the control thread and owns no node: whatever arrives is passed on, as foreign heartbeats are between
//! shards. A mailbox that is full makes the connection wait, so TCP's own flow control reaches the sender, and nothing
//! is dropped. A frame that is refused is counted and skipped; a length that no frame can have ends the connection,
//! because nothing after it can be trusted. While there are connections, shards can see whether this thread runs
//! (`peers.rs`): if it does not, their nodes' heartbeats wait here.
//!
//! Nothing is answered yet: acks are specified in `codec/WIRE.md` and refused by name.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use pulsegate_codec::limits::FRAME_BYTES_MAX;
use pulsegate_codec::{Batch, Decoder, RejectReason};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::counters::{Cell, CounterPage, Tally};
use crate::handoff::{Description, Dispatch, Mailbox, Parcel};
use crate::io::Clock;
use crate::peers::Peers;

/// Connections at a time; a further one is closed at once and counted.
pub const CONNECTIONS_MAX: usize = 4_096;

/// A connection that sends nothing for this long is closed: its sender is gone, or will connect again.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(120);

/// How long a connection waits before it looks at a full mailbox again.
pub const FULL_WAIT: Duration = Duration::from_millis(1);

/// Wait after the system refused a connection (out of file descriptors, say).
pub const ACCEPT_RETRY_WAIT: Duration = Duration::from_millis(100);

/// How often the thread shows that it runs, while there are connections.
pub const PRESENCE_INTERVAL: Duration = Duration::from_millis(50);

/// The way from here to the shards.
#[derive(Debug)]
pub struct Passage {
    /// One a shard, in their order.
    pub mailboxes: Arc<[Mailbox]>,
    /// Where shards see how this thread does.
    pub peers: Peers,
    /// Says when it is to run again.
    pub clock: Clock,
}

/// What all connections share; one thread, so a borrow never meets another across an await.
#[derive(Debug)]
struct Reception {
    decoder: Decoder,
    dispatch: Dispatch,
    tally: Tally,
    page: Arc<CounterPage>,
    connections: usize,
    peers: Peers,
    /// The first connection is there.
    is_needed: Rc<Notify>,
}

/// Accepts connections until the task is dropped. Numbers go to `page`.
pub async fn serve(listener: TcpListener, passage: Passage, page: Arc<CounterPage>) {
    let reception = Rc::new(RefCell::new(Reception {
        decoder: Decoder::new(),
        dispatch: Dispatch::new(passage.mailboxes),
        tally: Tally::default(),
        page,
        connections: 0,
        peers: passage.peers,
        is_needed: Rc::default(),
    }));
    tokio::join!(accept(listener, &reception), show_presence(&reception, passage.clock));
}

/// Shows, again and again, that this thread runs, for as long as somebody depends on it.
async fn show_presence(reception: &RefCell<Reception>, clock: Clock) {
    let is_needed = Rc::clone(&reception.borrow().is_needed);
    loop {
        if reception.borrow().connections == 0 {
            reception.borrow().peers.note_due(None);
            is_needed.notified().await;
        }
        reception.borrow().peers.note_due(Some(clock.now() + PRESENCE_INTERVAL));
        tokio::time::sleep(PRESENCE_INTERVAL).await;
    }
}

async fn accept(listener: TcpListener, reception: &Rc<RefCell<Reception>>) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a TCP connection could not be taken; trying again");
                tokio::time::sleep(ACCEPT_RETRY_WAIT).await;
                continue;
            }
        };
        if reception.borrow_mut().admits() {
            tokio::task::spawn_local(connection(stream, Rc::clone(reception)));
        }
    }
}

/// Reads one connection to its end.
async fn connection(mut stream: TcpStream, reception: Rc<RefCell<Reception>>) {
    let mut frame = Vec::new();
    loop {
        match tokio::time::timeout(IDLE_TIMEOUT, read_frame(&mut stream, &mut frame)).await {
            Err(_elapsed) => {
                reception.borrow_mut().count(Cell::ConnectionsIdle);
                break;
            }
            // The sender is done, or the network is; either way there is nothing more to read.
            Ok(Err(_) | Ok(Incoming::End)) => break,
            Ok(Ok(Incoming::TooLong)) => {
                reception.borrow_mut().reject(RejectReason::TooLong);
                break;
            }
            Ok(Ok(Incoming::Frame)) => {}
        }
        while !reception.borrow().has_room() {
            tokio::time::sleep(FULL_WAIT).await;
        }
        reception.borrow_mut().on_frame(&frame);
    }
    reception.borrow_mut().connections -= 1;
}

/// What came next on a connection.
enum Incoming {
    /// A frame, in the buffer.
    Frame,
    /// The sender closed between two frames.
    End,
    /// A length beyond [`FRAME_BYTES_MAX`].
    TooLong,
}

async fn read_frame(stream: &mut TcpStream, frame: &mut Vec<u8>) -> io::Result<Incoming> {
    let length = match stream.read_u32().await {
        Ok(length) => length as usize,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Incoming::End),
        Err(error) => return Err(error),
    };
    if length > FRAME_BYTES_MAX {
        return Ok(Incoming::TooLong);
    }
    frame.resize(length, 0);
    stream.read_exact(frame).await?;
    Ok(Incoming::Frame)
}

impl Reception {
    fn admits(&mut self) -> bool {
        let admits = self.connections < CONNECTIONS_MAX;
        self.connections += usize::from(admits);
        if self.connections == 1 {
            self.is_needed.notify_one();
        }
        self.count(if admits { Cell::ConnectionsAccepted } else { Cell::ConnectionsRefused });
        admits
    }

    fn count(&mut self, cell: Cell) {
        self.tally.add(cell, 1);
        self.page.store(&self.tally);
    }

    fn reject(&mut self, reason: RejectReason) {
        self.tally.reject(reason);
        self.page.store(&self.tally);
    }

    /// Whether every mailbox has room for the largest frame.
    fn has_room(&self) -> bool {
        let shards = 0..self.dispatch.shard_count();
        shards.into_iter().all(|shard| self.dispatch.mailbox(shard).room() >= PARCELS_PER_FRAME_MAX)
    }

    fn on_frame(&mut self, frame: &[u8]) {
        self.tally.add(Cell::FramesReceivedByTcp, 1);
        self.tally.add(Cell::BytesReceived, frame.len() as u64);
        match self.decoder.decode(frame) {
            Ok(batch) => {
                self.tally.add(Cell::FramesAccepted, 1);
                pass_on(&batch, &mut self.dispatch, &mut self.tally);
                let peers = &self.peers;
                self.dispatch.wake_owners(|owner, mailbox, is_lost| {
                    peers.note_handoff(owner, is_lost);
                    mailbox.owner().wake();
                });
            }
            Err(reason) => self.tally.reject(reason),
        }
        self.page.store(&self.tally);
    }
}

/// Parcels of one frame at most.
const PARCELS_PER_FRAME_MAX: usize = pulsegate_codec::limits::HEARTBEATS_PER_FRAME_MAX
    + pulsegate_codec::limits::DESCRIPTORS_PER_FRAME_MAX
    + pulsegate_codec::limits::DEPARTURES_PER_FRAME_MAX;

// A mailbox that can never have room for a frame would stop every connection for ever.
const _: () = assert!(PARCELS_PER_FRAME_MAX <= crate::handoff::MAILBOX_PARCELS_MAX);

fn pass_on(batch: &Batch<'_>, dispatch: &mut Dispatch, tally: &mut Tally) {
    for heartbeat in batch.heartbeats {
        dispatch.post(
            dispatch.owner(heartbeat.node_id),
            Parcel::Heartbeat(*heartbeat, batch.sender_id),
            tally,
        );
    }
    for descriptor in batch.descriptors() {
        let owner = dispatch.owner(descriptor.node_id());
        dispatch.post(owner, Parcel::Description(Box::new(Description::of(&descriptor, None))), tally);
    }
    for departure in batch.departures() {
        dispatch.post(dispatch.owner(departure.node_id), Parcel::Departure(departure), tally);
    }
}
