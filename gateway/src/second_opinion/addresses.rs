//! Where the nodes of a shard were last heard, by their places in the engine's table.
//!
//! A node has one place while the engine knows it, so there are never more addresses than places, and those of nodes that the
//! engine dropped, told or untold, give way by themselves. Each address carries its node's id, so that a place's
//! next node is not asked where the one before lived. Memory comes in pages, as nodes describe themselves: nothing is ever
//! moved, so no descriptor waits for a large table to grow.

use std::net::SocketAddr;

use pulsegate_codec::NodeId;

/// Places of one page: 10 KiB.
const PLACES_PER_PAGE: usize = 256;

type Page = Box<[Option<(NodeId, SocketAddr)>]>;

/// The addresses. By default there is no place, and nothing is remembered.
#[derive(Debug, Default)]
pub struct Addresses {
    pages: Box<[Option<Page>]>,
}

impl Addresses {
    /// No address yet, of nodes in places below `places`.
    #[must_use]
    pub fn new(places: usize) -> Self {
        Self { pages: vec![None; places.div_ceil(PLACES_PER_PAGE)].into() }
    }

    /// The node in this place was heard from there.
    pub fn note(&mut self, place: usize, node_id: NodeId, address: SocketAddr) {
        if let Some(page) = self.pages.get_mut(place / PLACES_PER_PAGE) {
            let page = page.get_or_insert_with(|| vec![None; PLACES_PER_PAGE].into());
            page[place % PLACES_PER_PAGE] = Some((node_id, address));
        }
    }

    /// Where the node in this place was last heard; `None` if it never told.
    #[must_use]
    pub fn of(&self, place: usize, node_id: NodeId) -> Option<SocketAddr> {
        let page = self.pages.get(place / PLACES_PER_PAGE)?.as_ref()?;
        page[place % PLACES_PER_PAGE].filter(|&(noted, _)| noted == node_id).map(|(_, address)| address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: NodeId = NodeId(7);

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 7], port))
    }

    #[test]
    fn the_latest_address_of_the_node_in_a_place_is_known() {
        let mut addresses = Addresses::new(2 * PLACES_PER_PAGE);
        let last = 2 * PLACES_PER_PAGE - 1;
        assert_eq!(addresses.of(last, NODE), None);
        addresses.note(last, NODE, address(1));
        addresses.note(last, NODE, address(2));
        assert_eq!((addresses.of(last, NODE), addresses.of(0, NODE)), (Some(address(2)), None));
    }

    /// Goal: who takes the place of a node that is gone is not asked where that one lived.
    #[test]
    fn a_place_gives_no_node_the_address_of_another() {
        let mut addresses = Addresses::new(1);
        addresses.note(0, NODE, address(1));
        assert_eq!(addresses.of(0, NodeId(8)), None);
        addresses.note(0, NodeId(8), address(2));
        assert_eq!((addresses.of(0, NODE), addresses.of(0, NodeId(8))), (None, Some(address(2))));
    }

    #[test]
    fn without_places_nothing_is_remembered() {
        let mut addresses = Addresses::default();
        addresses.note(0, NODE, address(1));
        assert_eq!(addresses.of(0, NODE), None);
    }
}
