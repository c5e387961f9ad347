//! Goal: messages are taken apart as the kernel built them, and nonsense does no harm.

use proptest::prelude::*;

use super::*;

fn control_message(level: libc::c_int, kind: libc::c_int, value: libc::c_int) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend((CONTROL_HEADER_BYTES + 4).to_ne_bytes());
    bytes.extend(level.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value.to_ne_bytes());
    bytes.resize(bytes.len().next_multiple_of(CONTROL_ALIGNMENT), 0);
    bytes
}

fn split(message: Message<'_>) -> (Vec<(Vec<u8>, bool)>, Reaped) {
    let mut datagrams = Vec::new();
    let mut reaped = Reaped::default();
    message
        .split(&mut reaped, &mut |datagram| datagrams.push((datagram.payload.to_vec(), datagram.truncated)));
    (datagrams, reaped)
}

#[test]
fn train_is_split_at_the_segment_size_and_its_last_datagram_may_be_shorter() {
    let control = control_message(libc::SOL_UDP, libc::UDP_GRO, 4);
    let message = Message { name: &[], control: &control, payload: b"aaaabbbbcc", truncated: false };
    let (datagrams, reaped) = split(message);
    assert_eq!(datagrams, [(b"aaaa".to_vec(), false), (b"bbbb".to_vec(), false), (b"cc".to_vec(), false)]);
    assert_eq!((reaped.datagrams, reaped.buffers, reaped.payload_bytes), (3, 1, 10));
}

#[test]
fn only_the_last_datagram_of_a_cut_train_is_truncated() {
    let control = control_message(libc::SOL_UDP, libc::UDP_GRO, 4);
    let message = Message { name: &[], control: &control, payload: b"aaaabb", truncated: true };
    let (datagrams, reaped) = split(message);
    assert_eq!(datagrams, [(b"aaaa".to_vec(), false), (b"bb".to_vec(), true)]);
    assert_eq!(reaped.truncated, 1);
}

#[test]
fn empty_datagram_is_one_datagram() {
    let (datagrams, reaped) = split(Message { name: &[], control: &[], payload: b"", truncated: false });
    assert_eq!((datagrams.len(), reaped.datagrams), (1, 1));
}

#[test]
fn segment_size_is_found_behind_other_control_messages() {
    let mut control = control_message(libc::SOL_SOCKET, libc::SO_RXQ_OVFL, 9);
    control.extend(control_message(libc::SOL_UDP, libc::UDP_GRO, 1_400));
    assert_eq!(segment_bytes(&control), 1_400);
}

#[test]
fn addresses_of_both_families_are_read() {
    let mut name = FAMILY_V4.to_ne_bytes().to_vec();
    name.extend(7_400_u16.to_be_bytes());
    name.extend([192, 0, 2, 7]);
    name.extend([0; 8]);
    assert_eq!(source_address(&name), "192.0.2.7:7400".parse().unwrap());

    let mut name = FAMILY_V6.to_ne_bytes().to_vec();
    name.extend(7_400_u16.to_be_bytes());
    name.extend([0; 4]);
    name.extend("2001:db8::7".parse::<Ipv6Addr>().unwrap().octets());
    name.extend([0; 4]);
    assert_eq!(source_address(&name), "[2001:db8::7]:7400".parse().unwrap());
}

proptest! {
    /// Method: whatever stands in the control area, every payload byte is handed over once, in order.
    #[test]
    fn nonsense_in_control_and_name_loses_no_payload(
        name in proptest::collection::vec(any::<u8>(), 0..40),
        control in proptest::collection::vec(any::<u8>(), 0..80),
        payload in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let (datagrams, reaped) =
            split(Message { name: &name, control: &control, payload: &payload, truncated: false });
        let joined: Vec<u8> = datagrams.iter().flat_map(|(payload, _)| payload.clone()).collect();
        prop_assert_eq!(joined, payload);
        prop_assert_eq!(reaped.datagrams, datagrams.len() as u64);
    }
}
