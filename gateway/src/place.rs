//! An event's place among all that this gateway ever told: which of two is newer, whatever partition or topic they are in.

use pulsegate_codec::event::Event;
use pulsegate_stream::Record;

/// Epoch, then number.
pub type Place = (u64, u64);

/// That of an event.
#[must_use]
pub const fn place_of_event(event: &Event) -> Place {
    (event.epoch, event.gateway_sequence)
}

/// That of a record, by its id; also one without a value has it. `None` if the gateway did not write it.
#[must_use]
pub fn place_of_record(record: &Record) -> Option<Place> {
    place_of_id(std::str::from_utf8(record.header("ce_id")?).ok()?)
}

/// Epoch and number out of `<gateway>/<epoch>/<number>`.
fn place_of_id(id: &str) -> Option<Place> {
    let (rest, number) = id.rsplit_once('/')?;
    let (_, epoch) = rest.rsplit_once('/')?;
    Some((epoch.parse().ok()?, number.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use pulsegate_codec::event::{EventId, EventType, ValueFormat};

    use super::*;

    #[test]
    fn the_place_of_a_record_is_that_of_its_event() {
        let id = EventId { gateway: "gw/1".to_owned(), epoch: 3, gateway_sequence: 14 };
        let event = Event::new(EventType::Joined, id, 1);
        assert_eq!(place_of_event(&event), (3, 14));
        assert_eq!(place_of_record(&Record::from(event.to_record(ValueFormat::Json))), Some((3, 14)));
        assert_eq!(place_of_record(&Record::default()), None);
        assert_eq!([place_of_id("gw/3"), place_of_id("gw/3/x")], [None, None]);
    }
}
