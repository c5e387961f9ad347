//! A real gateway process for tests: its own data directory, free ports, and an end with the test.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use pulsegate::data_dir::{self, Endpoints};
use pulsegate::gateway::EVENTS_TOPIC;
use pulsegate_codec::encode::Compression;
use pulsegate_codec::event::Event;
use pulsegate_codec::{
    BatchEncoder, Departure, DepartureReason, Heartbeat, Incarnation, NodeDescriptor, NodeId, SenderId,
    Sequence,
};
use pulsegate_loadgen::RunOptions;
use pulsegate_stream::LogReader;
use serde_json::Value;

/// Longest wait for anything, in steps of [`STEP`]. A loaded machine is slow; a stuck gateway must still fail the test.
const STEPS_MAX: u32 = 3_000;
const STEP: Duration = Duration::from_millis(10);

/// Settings of a test gateway: fast timeouts, small files.
pub const FAST: &str =
    "[detector]\ninterval-ms = 100\ninterval-ms-min = 100\n[registry]\nnodes-max = 20_000\n";

/// A gateway in a process of its own.
pub struct Gateway {
    child: Child,
    data_dir: PathBuf,
    endpoints: Endpoints,
}

/// Free ports below those that the system hands out by itself: nobody takes them while a gateway that had them is dead.
pub fn quiet_addresses<const COUNT: usize>() -> [SocketAddr; COUNT] {
    static TRIED: AtomicU32 = AtomicU32::new(0);
    [(); COUNT].map(|()| {
        // Relaxed: tests of this process only must not try the same.
        let mut steps = std::iter::repeat_with(|| TRIED.fetch_add(1, Ordering::Relaxed)).take(10_000);
        let address = |step: u32| {
            let port = 20_000 + (std::process::id() * 64 + step) % 10_000;
            SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).unwrap()))
        };
        let is_free =
            |address: &SocketAddr| TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok();
        steps.by_ref().map(address).find(is_free).expect("a free port between 20000 and 30000")
    })
}

/// The path of the program under test.
pub fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_pulsegate"))
}

/// The command that runs a gateway in `data_dir` with these settings (TOML), which are written there.
pub fn serve(data_dir: &Path, settings: &str) -> Command {
    let config = data_dir.join("config.toml");
    File::create(&config).unwrap().write_all(settings.as_bytes()).unwrap();
    let mut command = program();
    command.args(["serve", "--config"]).arg(&config).arg("--data-dir").arg(data_dir);
    command
}

/// Waits until `ready` gives something; the wait is bounded.
pub fn eventually<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    for _ in 0..STEPS_MAX {
        if let Some(value) = ready() {
            return value;
        }
        pause(STEP);
    }
    panic!("{what}: not within {:?}", STEP * STEPS_MAX);
}

/// Lets a real process do something. Tests of pure code never wait.
#[expect(clippy::disallowed_methods, reason = "a test of another process has nothing else to wait for")]
pub fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

impl Gateway {
    /// Starts a gateway with free loopback ports and these further settings (TOML) in `data_dir`.
    pub fn start(data_dir: &Path, settings: &str) -> Self {
        Self::start_at(data_dir, "127.0.0.1:0", settings)
    }

    /// Starts a gateway at these addresses: heartbeats, admin, Kafka. Those of [`quiet_addresses`] can be used again.
    pub fn start_with(data_dir: &Path, addresses: [SocketAddr; 3], settings: &str) -> Self {
        let [heartbeats, admin, kafka] = addresses.map(|address| address.to_string());
        Self::start_on(data_dir, [&heartbeats, &admin, &kafka], settings)
    }

    /// The same with another address for heartbeats.
    pub fn start_at(data_dir: &Path, heartbeats: &str, settings: &str) -> Self {
        Self::start_on(data_dir, [heartbeats, "127.0.0.1:0", "127.0.0.1:0"], settings)
    }

    fn start_on(data_dir: &Path, [heartbeats, admin, kafka]: [&str; 3], settings: &str) -> Self {
        let text = format!(
            "{settings}\n[listen]\nheartbeats = \"{heartbeats}\"\nadmin = \"{admin}\"\nkafka = \"{kafka}\"\n"
        );
        Self::spawn(data_dir, &mut serve(data_dir, &text))
    }

    /// Starts a gateway by this command, which must name `data_dir`, and waits until it is ready.
    pub fn spawn(data_dir: &Path, command: &mut Command) -> Self {
        let stale = data_dir::read_endpoints(data_dir).ok().map(|endpoints| endpoints.epoch);
        let log = File::options().create(true).append(true).open(data_dir.join("gateway.log")).unwrap();
        pulsegate::io::child::end_with_parent(command);
        let mut child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let endpoints = eventually("the gateway is ready", || {
            if let Some(status) = child.try_wait().unwrap() {
                let log = std::fs::read_to_string(data_dir.join("gateway.log")).unwrap();
                panic!("the gateway ended at once with {status}:\n{log}");
            }
            data_dir::read_endpoints(data_dir).ok().filter(|endpoints| Some(endpoints.epoch) != stale)
        });
        Self { child, data_dir: data_dir.to_path_buf(), endpoints }
    }

    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// The answer to a GET on the admin port.
    pub fn get(&self, path: &str) -> String {
        let (status, body) = self.request("GET", path, "", "");
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// Status and body of the answer to any request on the admin port; `headers` end with a line break each.
    pub fn request(&self, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.endpoints.admin).unwrap();
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n{headers}");
        write!(stream, "{head}Content-Length: {length}\r\n\r\n{body}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").expect("an HTTP answer has a head and a body");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.expect("an HTTP answer has a status"), body.to_owned())
    }

    /// `/v1/status`.
    pub fn status(&self) -> Value {
        serde_json::from_str(&self.get("/v1/status")).unwrap()
    }

    /// One number of `/v1/status`.
    pub fn number(&self, key: &str) -> u64 {
        self.status()[key].as_u64().unwrap_or_else(|| panic!("status has no number {key}"))
    }

    /// A run of the load generator against this gateway: a beat each 200 ms, so that failures take a second.
    pub fn fast_run(&self) -> RunOptions {
        RunOptions {
            gateway: self.endpoints.heartbeats,
            admin: self.endpoints.admin,
            kafka: self.endpoints.kafka,
            nodes: 4_000,
            seconds: 10,
            interval_ms: 200,
            ..RunOptions::default()
        }
    }

    /// The sum of a metric over all its label sets.
    pub fn metric(&self, name: &str) -> u64 {
        sum_of_metric(&self.get("/metrics"), name)
    }

    /// Every event on disk, in the order of each partition.
    pub fn events(&self) -> Vec<Event> {
        events(&self.data_dir)
    }

    /// SIGKILL: no chance to finish anything.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and what the gateway made of it.
    pub fn stop(mut self) -> ExitStatus {
        pulsegate::io::child::ask_to_stop(&self.child).unwrap();
        eventually("the gateway has stopped", || self.child.try_wait().unwrap())
    }

    pub fn process_id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // After `stop` or `kill` it is gone already; after a failed test this ends it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Every event in the log below a data directory.
pub fn events(data_dir: &Path) -> Vec<Event> {
    let mut reader = LogReader::new(&data_dir::stream_dir(data_dir), EVENTS_TOPIC);
    let mut events = Vec::new();
    loop {
        let poll = reader.poll().unwrap();
        events.extend(
            poll.records
                .iter()
                .map(|record| Event::from_json(record.record.value.as_deref().unwrap()).unwrap()),
        );
        if !poll.has_more {
            return events;
        }
    }
}

/// The sum of a metric over all its label sets, in a text of `/metrics`.
pub fn sum_of_metric(text: &str, name: &str) -> u64 {
    let lines = text.lines().filter(|line| {
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with('{') || rest.starts_with(' '))
    });
    let values = lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap());
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts, printed as floats")]
    let sum = values.sum::<f64>() as u64;
    sum
}

/// A sender of small frames, for tests that want to say exactly what is sent.
pub struct Relay {
    socket: UdpSocket,
    encoder: BatchEncoder,
    sequence: u32,
    incarnation: u32,
    probe: String,
    zone: &'static str,
}

impl Relay {
    /// A relay that sends to this gateway.
    pub fn new(name: &str, gateway: &Gateway) -> Self {
        let target = gateway.endpoints().heartbeats;
        let unspecified: IpAddr =
            if target.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
        let socket = UdpSocket::bind((unspecified, 0)).unwrap();
        socket.connect(target).unwrap();
        let encoder = BatchEncoder::new(SenderId::from_name(name), Compression::Off);
        Self { socket, encoder, sequence: 0, incarnation: 1, probe: String::new(), zone: "zone-a" }
    }

    /// The same for nodes in another zone than `zone-a`.
    pub fn in_zone(self, zone: &'static str) -> Self {
        Self { zone, ..self }
    }

    /// One heartbeat of each of these nodes in one frame (of mixed lanes, if theirs are), with the next sequence.
    pub fn beat(&mut self, names: &[&str]) {
        let frame = self.frame(names, false);
        self.socket.send(&frame).unwrap();
    }

    /// Heartbeats with descriptors: the nodes tell their names.
    pub fn introduce(&mut self, names: &[&str]) {
        let frame = self.frame(names, true);
        self.socket.send(&frame).unwrap();
    }

    /// The same as a frame that is not sent.
    pub fn frame(&mut self, names: &[&str], introduces: bool) -> Vec<u8> {
        self.sequence += 1;
        for name in names {
            if introduces {
                self.encoder.descriptor(&NodeDescriptor {
                    name,
                    zone: self.zone,
                    probe: &self.probe,
                    ..NodeDescriptor::default()
                });
            }
            self.encoder.heartbeat(Heartbeat {
                node_id: NodeId::from_name(name),
                sequence: Sequence(self.sequence),
                incarnation: Incarnation(self.incarnation),
                ..Heartbeat::default()
            });
        }
        let mut frame = Vec::new();
        self.encoder.finish(u64::from(self.sequence), 0, &mut frame).unwrap();
        frame
    }

    /// A node's goodbye.
    pub fn leave(&mut self, name: &str) {
        self.encoder.departure(Departure {
            node_id: NodeId::from_name(name),
            incarnation: Incarnation(1),
            sequence: Sequence(self.sequence),
            reason: DepartureReason::Shutdown,
            expected_return_ms: 0,
        });
        let frame = self.frame(&[], false);
        self.socket.send(&frame).unwrap();
    }

    /// Nodes that are introduced from now on name this as what to ask when they fall silent.
    pub fn name_probe(&mut self, probe: String) {
        self.probe = probe;
    }

    /// Lets nodes that beat from now on be in this run of theirs: a greater one than before is a restart.
    pub const fn set_incarnation(&mut self, incarnation: u32) {
        self.incarnation = incarnation;
    }

    /// Lets the next frame carry this sequence: the nodes were counted by another relay meanwhile.
    pub fn skip_to(&mut self, sequence: u32) {
        self.sequence = sequence - 1;
    }
}

/// Memory of a process that is in RAM.
pub fn resident_bytes(process_id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process_id}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
}
