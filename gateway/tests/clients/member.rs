//! A consumer in a process of its own, and what it has printed.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::Duration;

use crate::client::Client;
use crate::harness::{eventually, pause};
use crate::log::Record;

/// How long a consumer that has read must be silent to count as done.
const QUIET: Duration = Duration::from_secs(1);
const STEP: Duration = Duration::from_millis(20);

/// A consumer that runs.
pub struct Member {
    client: Client,
    child: Child,
    lines: Receiver<String>,
    /// What it has printed and was looked at.
    pub records: Vec<Record>,
}

impl Member {
    /// Starts the command.
    pub fn start(client: Client, mut command: Command) -> Self {
        pulsegate::io::child::end_with_parent(&mut command);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { client, child, lines, records: Vec::new() }
    }

    /// Takes what has been printed. Returns false when the process has ended and nothing is left.
    pub fn take(&mut self) -> bool {
        loop {
            match self.lines.try_recv() {
                Ok(line) => self.records.push(self.client.record(&line)),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    /// Reads until at least one record came and then none for [`QUIET`].
    pub fn read_until_quiet(&mut self) {
        let (mut seen, mut quiet) = (0, Duration::ZERO);
        eventually("the consumer has read everything", || {
            let goes_on = self.take();
            assert!(goes_on, "{} ended by itself: {}", self.client.name(), self.complaint());
            quiet = if self.records.len() == seen { quiet + STEP } else { Duration::ZERO };
            seen = self.records.len();
            if seen > 0 && quiet >= QUIET {
                return Some(());
            }
            pause(STEP);
            None
        });
    }

    /// Reads until the process ends by itself, in good order.
    pub fn read_to_exit(&mut self) {
        eventually("the consumer has ended", || (!self.take()).then_some(()));
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{} ended with {status}: {}", self.client.name(), self.complaint());
    }

    /// Reads until the process gives up by itself. Returns its complaint.
    pub fn read_to_refusal(&mut self) -> String {
        eventually("the consumer has given up", || (!self.take()).then_some(()));
        let status = self.child.wait().unwrap();
        let complaint = self.complaint();
        assert!(!status.success(), "{} ended with {status}: {complaint}", self.client.name());
        complaint
    }

    /// SIGKILL: it cannot say goodbye to its group.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        while self.take() {
            pause(STEP);
        }
    }

    fn complaint(&mut self) -> String {
        let _ = self.child.kill();
        let mut text = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            let _ = stderr.read_to_string(&mut text);
        }
        text
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
