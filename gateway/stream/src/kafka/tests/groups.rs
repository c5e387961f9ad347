//! What administrators ask about groups: answered truly, in turns, and only as far as there is memory.

use super::*;
use crate::kafka::wire::Reader;

/// A group as it is described: error, name, state, and the metadata of each member.
type Described = (i16, String, String, Vec<Vec<u8>>);

/// `None` if the connection ends.
async fn describe(client: &mut Client, names: &[&str]) -> Option<Vec<Described>> {
    let names = names.iter();
    let response = client
        .try_ask(15, 0, false, |writer| writer.array(names, |writer, name| writer.string(name)))
        .await?;
    let mut reader = Reader::new(&response, false);
    let groups = reader.array(1, |reader| {
        let (error, name) = (reader.int16()?, reader.string()?.to_owned());
        let state = reader.string()?.to_owned();
        let (_protocol_type, _protocol) = (reader.string()?, reader.string()?);
        let members = reader.array(1, |reader| {
            let (_id, _client_id, _host) = (reader.string()?, reader.string()?, reader.string()?);
            let metadata = reader.bytes()?.to_vec();
            reader.bytes().map(|_assignment| metadata)
        })?;
        Ok((error, name, state, members))
    });
    reader.finish().unwrap();
    Some(groups.unwrap())
}

/// Names and states, of groups that are in one of these states.
async fn list(client: &mut Client, states: &[&str]) -> Vec<(String, String)> {
    let states = states.iter();
    let response = client
        .ask(16, 4, true, |writer| {
            writer.array(states, |writer, state| writer.string(state));
            writer.tags();
        })
        .await;
    let mut reader = Reader::new(&response, true);
    reader.tags().unwrap();
    assert_eq!((reader.int32(), reader.int16()), (Ok(0), Ok(0)));
    let groups = reader.array(1, |reader| {
        let (name, protocol_type) = (reader.string()?.to_owned(), reader.string()?.to_owned());
        assert_eq!(protocol_type, "consumer");
        let state = reader.string()?.to_owned();
        reader.tags().map(|()| (name, state))
    });
    reader.tags().unwrap();
    reader.finish().unwrap();
    groups.unwrap()
}

/// Goal: a large description holds at no time more than it has taken of the shared memory and what one turn adds, and
/// others run in between. Method: somebody who runs whenever the server lets others run notes what is left.
#[test]
fn a_large_description_takes_memory_turn_by_turn_and_stops_where_there_is_none() {
    const GROUPS: usize = 40;
    with_port(config(), async |port| {
        let mut client = Client::connect(port.address).await;
        let metadata = vec![b'm'; 60 * 1024];
        let names: Vec<String> = (0..GROUPS).map(|number| format!("group-{number:02}")).collect();
        for name in &names {
            client.join_with(name, &metadata).await;
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let memory = Rc::clone(&port.response_memory);
        let taken = tokio::task::spawn_local(async move {
            let mut taken = vec![0];
            loop {
                let now = limits::RESPONSE_MEMORY_BYTES_MAX - memory.left_bytes();
                if now < taken[taken.len() - 1] {
                    return taken;
                }
                if now > taken[taken.len() - 1] {
                    taken.push(now);
                }
                tokio::task::yield_now().await;
            }
        });
        let described = describe(&mut client, &names).await.unwrap();
        for ((error, name, state, members), expected) in described.iter().zip(&names) {
            assert_eq!((*error, name.as_str(), state.as_str()), (0, *expected, "Stable"));
            assert_eq!(members[..], [&metadata[..]]);
        }
        assert_eq!(described.len(), GROUPS);
        let taken = taken.await.unwrap();
        // Two turns may pass before the observer's comes; the last one may be sent at once.
        let turns_max = 2 * (limits::COMPOSED_BYTES_PER_TURN + 2 * metadata.len());
        assert!(taken.windows(2).all(|pair| pair[1] - pair[0] <= turns_max), "{taken:?}");
        assert!(taken[taken.len() - 1] + turns_max > GROUPS * metadata.len(), "{taken:?}");

        let left = 3 * limits::COMPOSED_BYTES_PER_TURN;
        let _others = port.response_memory.take(limits::RESPONSE_MEMORY_BYTES_MAX - left).await;
        assert!(describe(&mut client, &names).await.is_none());
        assert_eq!(port.counters.connections_starved.load(Ordering::Relaxed), 1);
        assert_eq!(port.response_memory.left_bytes(), left, "what it had taken is back");
        let mut client = Client::connect(port.address).await;
        assert_eq!(describe(&mut client, &names[..2]).await.unwrap().len(), 2);
    });
}

#[test]
fn groups_are_listed_by_state_and_described_by_name() {
    with_port(config(), async |port| {
        let mut client = Client::connect(port.address).await;
        client.join("a").await;
        let stable = [("a".to_owned(), "Stable".to_owned())];
        for states in [&[][..], &["empty", "stable"]] {
            assert_eq!(list(&mut client, states).await, stable);
        }
        assert_eq!(list(&mut client, &["Empty"]).await, []);
        assert_eq!(list(&mut client, &["no such state"]).await, []);
        let described = describe(&mut client, &["nobody", "a", "a", ""]).await.unwrap();
        let dead = |name: &str, error| (error, name.to_owned(), "Dead".to_owned(), Vec::new());
        let stable = (0, "a".to_owned(), "Stable".to_owned(), vec![b"topics".to_vec()]);
        assert_eq!(described, [dead("", 24), stable, dead("nobody", 0)]);
    });
}

/// Goal: a group whose offsets are kept is there for administrators, whether the coordinator never knew it (as after a
/// restart) or has forgotten it; one that has members is not there twice.
#[test]
fn groups_without_members_are_there_as_long_as_their_offsets() {
    with_port(config(), async |port| {
        let mut client = Client::connect(port.address).await;
        assert_eq!(client.commit("away", -1, "", TOPIC, 0, 42).await, 0);
        let (generation, member) = client.join("here").await;
        assert_eq!(client.commit("here", generation, &member, TOPIC, 0, 42).await, 0);
        client.join("without").await;
        let row = |name: &str, state: &str| (name.to_owned(), state.to_owned());
        let mut listed = list(&mut client, &[]).await;
        listed.sort();
        assert_eq!(listed, [row("away", "Empty"), row("here", "Stable"), row("without", "Stable")]);
        assert_eq!(list(&mut client, &["empty"]).await, [row("away", "Empty")]);
        assert_eq!(list(&mut client, &["Stable"]).await, [row("here", "Stable"), row("without", "Stable")]);
        let states = async |client: &mut Client| {
            let described = describe(client, &["away", "here", "without"]).await.unwrap();
            described.into_iter().map(|(error, _, state, _)| (error, state)).collect::<Vec<_>>()
        };
        let expected = ["Empty", "Stable", "Stable"].map(|state| (0, state.to_owned()));
        assert_eq!(states(&mut client).await, expected);
        // The sessions end, and in the end the coordinator forgets the groups.
        for minutes in [1, 120] {
            port.now.set(Duration::from_secs(60 * minutes));
            assert_eq!(client.commit("away", -1, "", TOPIC, 0, 43).await, 0);
            tokio::task::yield_now().await;
        }
        let expected = ["Empty", "Empty", "Dead"].map(|state| (0, state.to_owned()));
        assert_eq!(states(&mut client).await, expected);
        assert_eq!(list(&mut client, &[]).await, [row("away", "Empty"), row("here", "Empty")]);
    });
}

/// Goal: a list that takes more than one turn has every group once.
#[test]
fn a_long_list_is_complete() {
    const GROUPS: usize = limits::GROUPS_PER_TURN + 10;
    with_port(config(), async |port| {
        let mut client = Client::connect(port.address).await;
        let names: Vec<String> = (0..GROUPS).map(|number| format!("group-{number:04}")).collect();
        for name in &names {
            assert_eq!(client.commit(name, -1, "", TOPIC, 0, 1).await, 0);
        }
        client.join(&names[GROUPS / 2]).await;
        let listed = list(&mut client, &[]).await;
        assert_eq!(listed[0], (names[GROUPS / 2].clone(), "Stable".to_owned()));
        let mut found: Vec<String> = listed.into_iter().map(|(name, _)| name).collect();
        found.sort();
        assert_eq!(found, names);
    });
}
