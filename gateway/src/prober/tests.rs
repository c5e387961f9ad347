//! Probes against listeners on loopback.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

/// Runs on one thread with local tasks, as the control thread does.
fn on_control_thread<Output>(future: impl Future<Output = Output>) -> Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, future)
}

/// A server that gives this answer to everybody; its port.
async fn server(answer: &'static str) -> u16 {
    let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::task::spawn_local(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 512];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    port
}

async fn is_answered(target: &str, reach: ProbeReach, counters: &ProbeCounters) -> bool {
    let target = ProbeTarget::parse(target).unwrap();
    let time_left = Duration::from_millis(400);
    let request = ProbeRequest {
        node_id: NodeId(1),
        target,
        source: LOOPBACK,
        time_left,
        patience: time_left,
        first_wait: Duration::ZERO,
    };
    ask(&request, reach, counters).await
}

#[test]
fn targets_are_read_or_refused() {
    let http = |host: &str, port, path: &str| {
        Some(ProbeTarget::Http { host: host.to_owned(), port, path: path.to_owned() })
    };
    let tcp = |host: &str, port| Some(ProbeTarget::Tcp { host: host.to_owned(), port });
    assert_eq!(ProbeTarget::parse("tcp://10.0.0.1:80"), tcp("10.0.0.1", 80));
    assert_eq!(ProbeTarget::parse("tcp://[::1]:80"), tcp("::1", 80));
    assert_eq!(ProbeTarget::parse("http://db:8080/health?x=1"), http("db", 8080, "/health?x=1"));
    assert_eq!(ProbeTarget::parse("http://db:8080"), http("db", 8080, "/"));
    for bad in [
        "",
        "tcp://",
        "tcp://:80",
        "tcp://a:0",
        "tcp://a:65536",
        "tcp://a",
        "https://a:1/",
        "http://a:1/ b",
        "http://u@a:1/",
    ] {
        assert_eq!(ProbeTarget::parse(bad), None, "{bad}");
    }
}

#[test]
fn a_port_that_takes_connections_answers_and_a_closed_one_does_not() {
    on_control_thread(async {
        let counters = ProbeCounters::default();
        let port = server("").await;
        assert!(is_answered(&format!("tcp://127.0.0.1:{port}"), ProbeReach::SameHost, &counters).await);
        let closed = TcpListener::bind((LOOPBACK, 0)).await.unwrap().local_addr().unwrap().port();
        assert!(!is_answered(&format!("tcp://127.0.0.1:{closed}"), ProbeReach::SameHost, &counters).await);
        assert_eq!(counters.tries.load(Ordering::Relaxed), 1 + u64::from(TRIES_MAX));
    });
}

#[test]
fn a_url_answers_with_its_status_and_whoever_says_nothing_or_nonsense_does_not() {
    on_control_thread(async {
        let counters = ProbeCounters::default();
        let healthy = server("HTTP/1.1 204 No Content\r\n\r\n").await;
        assert!(is_answered(&format!("http://localhost:{healthy}/up"), ProbeReach::Any, &counters).await);
        for sick in ["HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n", "hello", ""] {
            let port = server(sick).await;
            assert!(!is_answered(&format!("http://127.0.0.1:{port}/"), ProbeReach::Any, &counters).await);
        }
    });
}

#[test]
fn nobody_but_the_node_itself_is_asked_unless_told_otherwise() {
    on_control_thread(async {
        let counters = ProbeCounters::default();
        let port = server("").await;
        let elsewhere = format!("tcp://127.0.0.2:{port}");
        assert!(!is_answered(&elsewhere, ProbeReach::SameHost, &counters).await);
        assert!(!is_answered(&format!("tcp://127.0.0.1:{port}"), ProbeReach::Off, &counters).await);
        assert_eq!(counters.refused_target.load(Ordering::Relaxed), 2);
        assert_eq!(counters.tries.load(Ordering::Relaxed), 2, "a refused target is not tried again");
    });
}
