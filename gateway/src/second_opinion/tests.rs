//! The inquiries of one shard, by hand and by the clock.

use super::*;

const NODE: NodeId = NodeId(0x0a00_0000_0000_0001);

/// What an answer gives.
const PATIENCE: Duration = Duration::from_secs(2);

/// When pongs arrive, in milliseconds.
const NOW: u64 = 4_100;

fn at(milliseconds: u64) -> Timestamp {
    Timestamp::from_milliseconds(milliseconds)
}

fn home() -> SocketAddr {
    "10.0.0.7:4000".parse().unwrap()
}

/// The node, where it was last heard.
fn node() -> (NodeId, Option<SocketAddr>) {
    (NODE, Some(home()))
}

/// All questions that are due, with their times, when time goes by in steps of a millisecond.
fn questions(inquiries: &mut Inquiries, from: u64, to: u64) -> Vec<(u64, Question)> {
    let times = from..=to;
    times
        .flat_map(|now| {
            std::iter::from_fn(|| inquiries.take_due(at(now)))
                .map(|question| (now, question))
                .collect::<Vec<_>>()
        })
        .collect()
}

fn answer_to(question: &Question) -> [u8; PING_BYTES] {
    Ping::parse(&question.datagram).unwrap().pong().to_bytes()
}

#[test]
fn a_silent_node_is_asked_three_times_and_the_last_answer_still_has_time() {
    let mut inquiries = Inquiries::default();
    inquiries.begin(node(), at(3_000), at(5_000), PATIENCE);
    let asked = questions(&mut inquiries, 3_000, 10_000);
    let times: Vec<u64> = asked.iter().map(|(time, _)| *time).collect();
    assert_eq!(times, [3_000, 3_500, 4_000]);
    assert!(asked.iter().all(|(_, question)| question.address == home()));
    assert_eq!(inquiries.on_pong(&answer_to(&asked[2].1), at(NOW)), Some(NODE));
}

#[test]
fn an_answer_counts_once_and_the_node_is_asked_again_in_the_time_that_it_gives() {
    let mut inquiries = Inquiries::default();
    inquiries.begin(node(), at(3_000), at(5_000), PATIENCE);
    let question = inquiries.take_due(at(3_000)).unwrap();
    let pong = answer_to(&question);
    assert_eq!(inquiries.on_pong(&pong, at(NOW)), Some(NODE));
    assert_eq!(inquiries.on_pong(&pong, at(NOW)), None, "the copy of an answer is no second one");
    let asked = questions(&mut inquiries, NOW, 9_000);
    assert_eq!(asked.iter().map(|(time, _)| *time).collect::<Vec<_>>(), [4_600, 5_100, 5_600]);
    assert!(asked.iter().all(|(_, again)| again.datagram != question.datagram));
    let counted = InquiryCounters { pings: 4, answers: 1, pongs_unasked: 1, ..InquiryCounters::default() };
    assert_eq!(*inquiries.counters(), counted);
}

#[test]
fn only_the_pong_to_the_open_question_counts() {
    let mut inquiries = Inquiries::default();
    inquiries.begin(node(), at(3_000), at(5_000), PATIENCE);
    let earlier = inquiries.take_due(at(3_000)).unwrap();
    inquiries.begin(node(), at(6_000), at(8_000), PATIENCE);
    let question = inquiries.take_due(at(6_000)).unwrap();
    assert_ne!(earlier.datagram, question.datagram, "each inquiry has a nonce of its own");
    let guessed = Ping { kind: PingKind::Pong, node_id: NODE, nonce: 7 }.to_bytes();
    for invented in [&question.datagram[..], &answer_to(&earlier), &guessed, b"PO"] {
        assert_eq!(inquiries.on_pong(invented, at(NOW)), None);
    }
    assert_eq!(inquiries.counters().pongs_unasked, 4);
    assert_eq!(inquiries.on_pong(&answer_to(&question), at(NOW)), Some(NODE));
}

#[test]
fn a_node_that_was_heard_or_judged_is_asked_no_more() {
    let mut inquiries = Inquiries::default();
    inquiries.begin(node(), at(3_000), at(5_000), PATIENCE);
    let question = inquiries.take_due(at(3_000)).unwrap();
    inquiries.end(NODE);
    assert_eq!(questions(&mut inquiries, 3_000, 6_000), []);
    assert_eq!(inquiries.on_pong(&answer_to(&question), at(NOW)), None);
}

#[test]
fn a_node_is_asked_where_it_was_heard_and_nowhere_if_that_is_not_known() {
    let mut inquiries = Inquiries::default();
    let moved = "10.0.0.8:4001".parse().unwrap();
    assert!(inquiries.begin((NODE, Some(moved)), at(1), at(5), PATIENCE));
    assert_eq!(inquiries.take_due(at(1)).unwrap().address, moved);
    assert!(!inquiries.begin((NODE, None), at(2), at(5), PATIENCE));
    assert_eq!(inquiries.next_due(), None);
    assert_eq!(inquiries.counters().skipped_without_address, 1);
}

#[test]
fn a_mass_of_silent_nodes_is_asked_up_to_the_bound_and_counted_beyond() {
    let nodes = INQUIRIES_OPEN_MAX as u64 + 5;
    let mut inquiries = Inquiries::default();
    for node in 0..nodes {
        inquiries.begin((NodeId(node), Some(home())), at(3_000), at(5_000), PATIENCE);
    }
    assert_eq!(questions(&mut inquiries, 3_000, 3_000).len(), INQUIRIES_OPEN_MAX);
    assert_eq!(inquiries.counters().skipped_for_load, 5);
    inquiries.end(NodeId(0));
    inquiries.begin((NodeId(nodes - 1), Some(home())), at(3_001), at(5_000), PATIENCE);
    assert_eq!(questions(&mut inquiries, 3_001, 3_001).len(), 1, "room is given back");
}
