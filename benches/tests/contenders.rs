//! Goal: every contender takes every heartbeat of a load, so that a figure is never that of a receiver which cheats.
//! Method: a small load at a low rate, judged by counts alone.

use pulsegate::io::{ReceiverConfig, ReceiverKind, probe};
use pulsegate_benches::contenders::Contender;
use pulsegate_benches::contenders::bare::Bare;
use pulsegate_benches::contenders::gateway::Gateway;
use pulsegate_benches::contenders::tokio_plain::TokioPlain;
use pulsegate_benches::contenders::tokio_uring::TokioUring;
use pulsegate_benches::fleet::Fleet;
use pulsegate_benches::load::{Load, LoadConfig};
use pulsegate_benches::round::{self, Placement};
use pulsegate_codec::Compression;

fn check(contender: &dyn Contender, keeps_state: bool) {
    for (heartbeats_per_frame, compression) in [(1, Compression::Off), (8, Compression::Zstd { level: 1 })] {
        let fleet = Fleet::new(5_000);
        let config =
            LoadConfig { heartbeats_per_frame, compression, frame_count: 2_000, frames_per_second: 20_000 };
        let load = Load::build(&fleet, &config);
        let measured = round::run(contender, &load, Placement::Anywhere);
        assert_eq!((measured.sent.datagrams, measured.lost()), (2_000, 0), "{}", contender.name());
        let heartbeats = if keeps_state { load.heartbeat_count() } else { 0 };
        assert_eq!(measured.outcome.heartbeats, heartbeats, "{}", contender.name());
    }
}

#[test]
fn every_contender_takes_every_heartbeat() {
    let config = ReceiverConfig::default();
    for kind in [ReceiverKind::Recvmmsg, ReceiverKind::IoUring] {
        if kind == ReceiverKind::IoUring
            && let Err(refusal) = probe::io_uring()
        {
            println!("skipped with io_uring: {refusal}");
            continue;
        }
        check(&Bare { name: kind.label(), kind, config: config.clone() }, false);
        check(&Gateway { name: kind.label(), kind, config: config.clone() }, true);
    }
    check(&TokioPlain, true);
    if probe::io_uring().is_ok() {
        check(&TokioUring, true);
    }
}
