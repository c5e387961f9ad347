//! What publication answers, in the words of the admin port.

use pulsegate_engine::publication::{GuardScope, HoldStatus, Selector, Silence};
use pulsegate_engine::{Publication, Timestamp};
use tokio::sync::oneshot;

use super::{Ask, HoldView, SelectorView, SilenceView};
use crate::io::clock::WallOffset;

/// Does what is asked, unless the asker has given up.
pub fn answer(ask: Ask, publication: &mut Publication, now: Timestamp, wall: WallOffset) {
    match ask {
        Ask::Silence { selector, time, comment, answer } => give(answer, || {
            let id = publication.silence(selector, now + time, &comment, now)?;
            let made = publication.silences().iter().find(|silence| silence.id == id);
            Ok(silence_view(made.expect("it was just made"), wall))
        }),
        Ask::Silences(answer) => give(answer, || {
            publication.silences().iter().map(|silence| silence_view(silence, wall)).collect()
        }),
        Ask::EndSilence(id, answer) => give(answer, || publication.end_silence(id, now)),
        Ask::Holds(answer) => {
            give(answer, || publication.holds().map(|hold| hold_view(hold, wall)).collect());
        }
        Ask::Release(zone, answer) => give(answer, || publication.release(zone.as_deref(), now)),
    }
}

fn give<Answer>(asker: oneshot::Sender<Answer>, work: impl FnOnce() -> Answer) {
    if !asker.is_closed() {
        // Both are on one thread, so nobody gives up between the look and this.
        let _ = asker.send(work());
    }
}

fn silence_view(silence: &Silence, wall: WallOffset) -> SilenceView {
    SilenceView {
        id: silence.id.0,
        selector: match &silence.selector {
            Selector::Node(name) => SelectorView::Node(name.to_string()),
            Selector::Zone(zone) => SelectorView::Zone(zone.to_string()),
            Selector::Label { key, value } => {
                SelectorView::Label { key: key.to_string(), value: value.to_string() }
            }
        },
        comment: silence.comment.to_string(),
        from_unix_us: wall.unix_us(silence.from),
        until_unix_us: wall.unix_us(silence.until),
        silenced: silence.silenced,
    }
}

fn hold_view(hold: HoldStatus, wall: WallOffset) -> HoldView {
    let (scope, name) = match hold.scope {
        GuardScope::Gateway => ("gateway", None),
        GuardScope::Shard(shard) => ("shard", Some(shard.to_string())),
        GuardScope::Zone(zone) => ("zone", Some(zone.into())),
    };
    HoldView {
        scope,
        name,
        alive: hold.alive,
        suspect: hold.suspect,
        failed: hold.failed,
        held: hold.held,
        since_unix_us: wall.unix_us(hold.since),
        until_unix_us: wall.unix_us(hold.until),
    }
}
