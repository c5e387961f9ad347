//! Random clients against the coordinator.
//!
//! Method: a dozen clients in three groups join, sync, heartbeat, commit, leave, die, and send nonsense, in a random
//! order, while the clock moves by random steps. After each step the coordinator's books must agree with each other.
//! Clients follow the protocol well enough for groups to become stable, which is counted. At the end all fall silent:
//! every request that was not forgotten must have been answered, and nothing may be left. A seed is printed by its
//! failing run.

use super::*;

const CLIENTS: u64 = 12;
const STEPS: u64 = 500;
const SEEDS: u64 = 100;

/// `SplitMix64` (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}

/// What a client knows.
#[derive(Default, Clone)]
struct Client {
    group_id: String,
    instance: Option<String>,
    member_id: String,
    generation: i32,
    leads: Vec<String>,
    must_sync: bool,
    waits_for: Option<RequestToken>,
}

impl Client {
    fn identity(&self) -> MemberOfGeneration {
        MemberOfGeneration {
            group_id: self.group_id.clone(),
            generation: self.generation,
            member_id: self.member_id.clone(),
            group_instance_id: self.instance.clone(),
        }
    }

    fn join_request(&self, random: &mut Random) -> JoinRequest {
        let names: &[&str] =
            if random.one_in(5) { &["roundrobin", "range"] } else { &["range", "roundrobin"] };
        JoinRequest {
            group_id: self.group_id.clone(),
            group_instance_id: self.instance.clone(),
            protocols: protocols(names),
            requires_known_member_id: random.one_in(2),
            supports_skip_assignment: random.one_in(2),
            ..join(&self.member_id)
        }
    }

    fn sync_request(&self, nonce: u64) -> GroupRequest {
        let assigned = |id: &String| (id.clone(), nonce.to_string().into());
        GroupRequest::Sync(SyncRequest {
            member: self.identity(),
            protocol_type: None,
            protocol: None,
            assignments: self.leads.iter().map(assigned).collect(),
        })
    }

    /// Learns from a response as a real client does.
    fn learn(&mut self, response: &GroupResponse) {
        let error = match response {
            GroupResponse::Join(join) => {
                self.member_id.clone_from(&join.member_id);
                if join.error == GroupErrorCode::None {
                    self.generation = join.generation;
                    self.must_sync = true;
                    let leads = join.leader == join.member_id && !join.skip_assignment;
                    let members = join.members.iter().filter(|_| leads);
                    self.leads = members.map(|member| member.member_id.clone()).collect();
                }
                join.error
            }
            GroupResponse::Sync(sync) => {
                self.must_sync = false;
                sync.error
            }
            GroupResponse::Heartbeat(error) | GroupResponse::OffsetCommitCheck(error) => *error,
            GroupResponse::Leave(_) => GroupErrorCode::UnknownMemberId,
        };
        match error {
            GroupErrorCode::UnknownMemberId | GroupErrorCode::FencedInstanceId => self.start_anew(),
            GroupErrorCode::RebalanceInProgress | GroupErrorCode::IllegalGeneration => self.generation = -1,
            _ => {}
        }
    }

    fn start_anew(&mut self) {
        let (group_id, instance) = (self.group_id.clone(), self.instance.clone());
        *self = Self { group_id, instance, generation: -1, ..Self::default() };
    }
}

/// One run.
struct Run {
    server: Server,
    random: Random,
    clients: Vec<Client>,
    forgotten: Vec<RequestToken>,
    /// Whose assignments each generation got.
    leaders: BTreeMap<(String, i32), Bytes>,
    stable_heartbeats: u64,
}

impl Run {
    fn new(seed: u64) -> Self {
        let client = |number: u64| Client {
            group_id: format!("group-{}", number % 3),
            instance: number.is_multiple_of(4).then(|| format!("instance-{number}")),
            generation: -1,
            ..Client::default()
        };
        Self {
            server: Server::new(),
            random: Random(seed),
            clients: (0..CLIENTS).map(client).collect(),
            forgotten: Vec::new(),
            leaders: BTreeMap::new(),
            stable_heartbeats: 0,
        }
    }

    fn step(&mut self, number: u64) {
        let index = usize::try_from(self.random.below(CLIENTS)).unwrap();
        self.act(index, number);
        let ms = if self.random.one_in(50) { 40_000 } else { self.random.below(300) };
        self.server.pass(ms);
        for index in 0..self.clients.len() {
            self.read_answer(index);
        }
        check_books(&self.server.coordinator);
    }

    fn act(&mut self, index: usize, number: u64) {
        let client = self.clients[index].clone();
        if let Some(token) = client.waits_for {
            if self.random.one_in(20) {
                self.server.coordinator.forget(token);
                self.forgotten.push(token);
                self.clients[index].waits_for = None;
            }
            return;
        }
        if self.random.one_in(30) {
            // Killed and started again.
            self.clients[index].start_anew();
            return;
        }
        let request = match self.random.below(20) {
            0 => GroupRequest::Leave(LeaveRequest {
                group_id: client.group_id.clone(),
                members: vec![LeavingMember {
                    member_id: client.member_id.clone(),
                    group_instance_id: client.instance.clone(),
                }],
            }),
            1 => GroupRequest::Heartbeat(MemberOfGeneration {
                generation: i32::try_from(self.random.below(9)).unwrap() - 1,
                ..client.identity()
            }),
            2 => GroupRequest::OffsetCommitCheck(client.identity()),
            3 => client.sync_request(number),
            4 => GroupRequest::Join(client.join_request(&mut self.random)),
            _ if client.generation < 0 => GroupRequest::Join(client.join_request(&mut self.random)),
            _ if client.must_sync => client.sync_request(number),
            _ => GroupRequest::Heartbeat(client.identity()),
        };
        let expected = self.expected_heartbeat(&request);
        let token = self.server.send(request);
        if let Some(expected) = expected {
            assert_eq!(self.server.answers[&token], GroupResponse::Heartbeat(expected));
        }
        self.clients[index].waits_for = Some(token);
    }

    /// What a heartbeat must be answered with, by the coordinator's books.
    fn expected_heartbeat(&mut self, request: &GroupRequest) -> Option<GroupErrorCode> {
        let GroupRequest::Heartbeat(asking) = request else { return None };
        let Some(entry) = self.server.coordinator.groups.get(&asking.group_id) else {
            return Some(GroupErrorCode::UnknownMemberId);
        };
        let instance = asking.group_instance_id.as_deref();
        let holder = instance.and_then(|instance| entry.group.member_of_instance(instance));
        Some(match entry.group.members.get(&asking.member_id) {
            None if holder.is_some() => GroupErrorCode::FencedInstanceId,
            None => GroupErrorCode::UnknownMemberId,
            Some(_) if asking.generation != entry.group.generation => GroupErrorCode::IllegalGeneration,
            Some(_) if entry.group.state == GroupState::PreparingRebalance => {
                GroupErrorCode::RebalanceInProgress
            }
            Some(_) => {
                self.stable_heartbeats += u64::from(entry.group.state == GroupState::Stable);
                GroupErrorCode::None
            }
        })
    }

    fn read_answer(&mut self, index: usize) {
        let client = &mut self.clients[index];
        let Some(token) = client.waits_for else { return };
        let Some(response) = self.server.answers.get(&token) else { return };
        if let GroupResponse::Sync(sync) = response
            && sync.error == GroupErrorCode::None
            && !sync.assignment.is_empty()
        {
            let key = (client.group_id.clone(), client.generation);
            let leader = self.leaders.entry(key).or_insert_with(|| sync.assignment.clone());
            assert_eq!(*leader, sync.assignment, "two leaders in one generation");
        }
        client.learn(response);
        client.waits_for = None;
    }

    /// Everybody falls silent, for longer than any timeout.
    fn end(&mut self) {
        self.server.pass(3 * 60 * 60 * 1_000);
        for token in &self.forgotten {
            assert!(!self.server.answers.contains_key(token), "{token:?} was forgotten and answered");
        }
        let answered = self.server.answers.len() + self.forgotten.len();
        assert_eq!(answered, usize::try_from(self.server.next_token).unwrap());
        let coordinator = &self.server.coordinator;
        assert_eq!((coordinator.groups(), coordinator.parked_requests(), coordinator.held_bytes), (0, 0, 0));
        assert_eq!(coordinator.next_deadline(), None);
    }
}

/// The coordinator's books agree with each other.
fn check_books(coordinator: &GroupCoordinator) {
    let mut parked = BTreeMap::new();
    let mut held_bytes = 0;
    let mut deadlines = BTreeSet::new();
    for (group_id, entry) in &coordinator.groups {
        let group = &entry.group;
        let (state, members) = (group.state, &group.members);
        assert_ne!(state, GroupState::Dead);
        assert!(state != GroupState::Empty || members.is_empty());
        assert!(!members.is_empty() || matches!(state, GroupState::Empty | GroupState::PreparingRebalance));
        assert_eq!(group.leader.is_some(), !members.is_empty());
        assert!(group.leader.iter().all(|leader| members.contains_key(leader)));
        if matches!(state, GroupState::CompletingRebalance | GroupState::Stable) {
            let protocol = group.protocol.as_ref().unwrap();
            assert!(members.values().all(|member| member.supports(protocol)));
        }
        for (id, member) in members {
            assert_eq!(*id, member.id);
            let (Parked::Join(token) | Parked::Sync(token)) = member.parked else { continue };
            let joins = matches!(member.parked, Parked::Join(_));
            let where_it_may =
                if joins { GroupState::PreparingRebalance } else { GroupState::CompletingRebalance };
            assert_eq!(state, where_it_may);
            parked.insert(token, group_id.clone());
        }
        held_bytes += group.held_bytes() + group_id.len();
        deadlines.insert((group.deadline(&coordinator.config).unwrap(), group_id.clone()));
    }
    assert_eq!(parked, coordinator.parked);
    assert_eq!(held_bytes, coordinator.held_bytes);
    assert_eq!(deadlines, coordinator.deadlines);
}

#[test]
fn books_agree_and_every_request_is_answered_once_whatever_clients_do() {
    let mut stable_heartbeats = 0;
    let mut led_generations = 0;
    for seed in 0..SEEDS {
        println!("seed {seed}");
        let mut run = Run::new(seed);
        for number in 1..=STEPS {
            run.step(number);
        }
        run.end();
        stable_heartbeats += run.stable_heartbeats;
        led_generations += run.leaders.len();
    }
    // The clients do not only quarrel.
    assert!(stable_heartbeats > 10 * SEEDS, "{stable_heartbeats}");
    assert!(led_generations as u64 > SEEDS, "{led_generations}");
}
