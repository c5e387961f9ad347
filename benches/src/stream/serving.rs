//! How fast kcat is served: by the gateway, and by Apache Kafka from the same records.

use std::fs;
use std::io::Read;
use std::process::{Command, Stdio};

use pulsegate::gateway::EVENTS_TOPIC;
use pulsegate::io::Clock;

/// What one pass of kcat over all records took.
#[derive(Clone, Copy, Debug)]
pub struct Pass {
    /// Records a second, from the first that kcat prints to the last. Its start is left out: librdkafka 2.0 waits half a
    /// second in it, or does not, depending on which of its threads hears of the broker first.
    pub records_a_second: f64,
    /// Processor time of the server a record, in microseconds.
    pub server_cpu_us: f64,
}

/// Why kcat cannot be run.
#[must_use]
pub fn why_no_kcat() -> Option<String> {
    let version = kcat().arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status();
    version.err().map(|error| format!("there is no kcat ({error})"))
}

/// Lets kcat read all `count` records of a server, and measures.
///
/// # Errors
/// If kcat fails, or its process cannot be started.
pub fn read_all(server: &str, process_id: u32, count: u64) -> Result<Pass, Box<dyn std::error::Error>> {
    let clock = Clock::new();
    let cpu_began = cpu_us(process_id)?;
    let mut command = kcat();
    command.args(["-b", server, "-C", "-t", EVENTS_TOPIC, "-o", "beginning", "-q", "-c", &count.to_string()]);
    // One byte a record: what kcat writes is counted here.
    let mut child = command.args(["-f", "."]).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut stdout = child.stdout.take().ok_or("kcat has no output")?;
    let (mut buffer, mut printed, mut first) = ([0; 65_536], 0, None);
    let mut last = clock.now();
    loop {
        let bytes = stdout.read(&mut buffer)?;
        if bytes == 0 {
            break;
        }
        printed += bytes as u64;
        last = clock.now();
        first.get_or_insert((last, printed));
    }
    let status = child.wait()?;
    let Some((first, printed_at_first)) = first.filter(|_| status.success() && printed == count) else {
        return Err(
            format!("kcat from {server} ended with {status} after {printed} of {count} records").into()
        );
    };
    let cpu = cpu_us(process_id)? - cpu_began;
    #[expect(clippy::cast_precision_loss, reason = "some hundred thousand records")]
    let (count, timed) = (count as f64, (printed - printed_at_first) as f64);
    Ok(Pass { records_a_second: timed / last.since(first).as_secs_f64(), server_cpu_us: cpu / count })
}

/// The distribution's kcat with the distribution's library: cargo lets its children find the librdkafka that was built
/// here first.
fn kcat() -> Command {
    let mut command = Command::new("kcat");
    command.env_remove("LD_LIBRARY_PATH");
    command
}

/// Processor time of a process so far, in microseconds, from `/proc/<id>/stat` (proc_pid_stat(5), fields 14 and 15).
fn cpu_us(process_id: u32) -> std::io::Result<f64> {
    let text = fs::read_to_string(format!("/proc/{process_id}/stat"))?;
    // The name of the program may hold spaces and parentheses.
    let fields = text.rsplit(')').next().unwrap_or_default();
    let ticks: f64 =
        fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
    Ok(ticks * US_PER_TICK)
}

/// `USER_HZ` is 100 on every Linux that there is.
const US_PER_TICK: f64 = 10_000.0;
