//! The port behind TLS and logins: who may be here is served as anybody is on an open port, who may not gets nothing.

use std::net::SocketAddr;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::*;

/// Those who sign, in a test.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
struct Identity {
    certificate: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn sign(&self, name: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    fn tls(&self, clients: Option<&Self>) -> Tls {
        let server = self.sign("localhost");
        let clients = clients.map(|authority| authority.0.pem());
        Tls::from_pem(
            server.certificate.as_bytes(),
            server.key.as_bytes(),
            clients.as_deref().map(str::as_bytes),
        )
        .unwrap()
    }

    async fn connect(&self, address: SocketAddr, client: Option<&Identity>) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
        let config = match client {
            None => builder.with_no_client_auth(),
            Some(client) => {
                let certificate = CertificateDer::from_pem_slice(client.certificate.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(client.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(vec![certificate], key).unwrap()
            }
        };
        let stream = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
    }
}

fn users() -> Option<Users> {
    Some(Users::parse("reader:right").unwrap())
}

const MESSAGE: &[u8] = b"\0reader\0right";

/// `ApiVersions` 0.
const VERSIONS: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff];

fn frame(key: u8, version: u8, body: &[u8]) -> Vec<u8> {
    let rest = [&[0, key, 0, version, 0, 0, 0, 1, 0xff, 0xff], body].concat();
    [&u32::try_from(rest.len()).unwrap().to_be_bytes(), &rest[..]].concat()
}

fn handshake(version: u8, mechanism: &str) -> Vec<u8> {
    let length = u8::try_from(mechanism.len()).unwrap();
    frame(17, version, &[&[0, length], mechanism.as_bytes()].concat())
}

fn authenticate(version: u8, message: &[u8]) -> Vec<u8> {
    let length = u8::try_from(message.len()).unwrap();
    let body = match version {
        // Flexible: a tag section of the header, a length and one, a tag section.
        2.. => [&[0, length + 1], message, &[0]].concat(),
        _ => [&[0, 0, 0, length], message].concat(),
    };
    frame(36, version, &body)
}

#[test]
fn encrypted_clients_are_served_as_others_are() {
    let authority = Authority::new();
    let security = Security { tls: Some(authority.tls(None)), users: None };
    with_secured_port(config(), security, async |mut port| {
        port.log.append(&records(0..3)).await.unwrap();
        let mut client = Client::over(authority.connect(port.address, None).await);
        assert_eq!(client.fetch(11, TOPIC, 0, 0, 0, 1_000).await.offsets, [0, 1, 2]);
        // One that waits is not kept once its client has gone.
        let mut parked = Client::over(authority.connect(port.address, None).await);
        let waiting =
            tokio::task::spawn_local(async move { parked.fetch(11, TOPIC, 0, 3, 60_000, 1_000).await });
        while port.counters.connections.load(Ordering::Relaxed) < 2 {
            tokio::task::yield_now().await;
        }
        waiting.abort();
        while port.counters.connections.load(Ordering::Relaxed) > 1 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let mut plain = Client::connect(port.address).await;
        assert!(plain.raw(&VERSIONS).await.is_none());
        while port.counters.handshakes_failed.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn clients_without_a_certificate_of_the_authority_get_nothing() {
    let (servers, clients) = (Authority::new(), Authority::new());
    let security = Security { tls: Some(servers.tls(Some(&clients))), users: None };
    with_secured_port(config(), security, async |mut port| {
        port.log.append(&records(0..3)).await.unwrap();
        let known = clients.sign("reader");
        let mut client = Client::over(servers.connect(port.address, Some(&known)).await);
        assert_eq!(client.fetch(11, TOPIC, 0, 0, 0, 1_000).await.offsets, [0, 1, 2]);
        for stranger in [None, Some(servers.sign("reader"))] {
            let mut client = Client::over(servers.connect(port.address, stranger.as_ref()).await);
            assert!(client.raw(&VERSIONS).await.is_none());
        }
    });
}

#[test]
fn files_that_are_no_certificates_and_keys_are_refused_by_name() {
    let authority = Authority::new();
    let (one, other) = (authority.sign("a"), authority.sign("b"));
    let from = |certificate: &str, key: &str, authority: Option<&str>| {
        Tls::from_pem(certificate.as_bytes(), key.as_bytes(), authority.map(str::as_bytes)).unwrap_err()
    };
    assert!(matches!(from("", &one.key, None), TlsFault::NoCertificate));
    assert!(matches!(from(&one.certificate, "nothing", None), TlsFault::Key(_)));
    assert!(matches!(from(&one.certificate, &other.key, None), TlsFault::Pair(_)));
    assert!(matches!(from(&one.certificate, &one.key, Some("")), TlsFault::ClientVerifier(_)));
}

#[test]
fn who_logs_in_is_served() {
    with_secured_port(config(), Security { tls: None, users: users() }, async |mut port| {
        port.log.append(&records(0..3)).await.unwrap();
        for version in 0..=2 {
            let mut client = Client::connect(port.address).await;
            let table = client.raw(&VERSIONS).await.unwrap();
            assert_eq!(table[4..10], [0, 0, 0, 0, 0, 18], "two more than where nobody has to log in");
            let unknown = client.raw(&handshake(1, "SCRAM-SHA-256")).await.unwrap();
            assert_eq!(unknown[4..6], [0, 33]);
            assert_eq!(client.raw(&handshake(1, "PLAIN")).await.unwrap()[4..6], [0, 0]);
            let answer = client.raw(&authenticate(version, MESSAGE)).await.unwrap();
            let start = if version == 2 { 5 } else { 4 };
            assert_eq!(answer[start..start + 2], [0, 0]);
            assert_eq!(client.fetch(11, TOPIC, 0, 0, 0, 1_000).await.offsets, [0, 1, 2]);
        }
        // As librdkafka does towards brokers of 2016: the message without a header, and as bare an answer.
        let mut client = Client::connect(port.address).await;
        assert_eq!(client.raw(&handshake(0, "PLAIN")).await.unwrap()[4..6], [0, 0]);
        let bare = [&[0, 0, 0, u8::try_from(MESSAGE.len()).unwrap()], MESSAGE].concat();
        assert_eq!(client.raw(&bare).await, Some(Vec::new()));
        assert_eq!(client.fetch(11, TOPIC, 0, 0, 0, 1_000).await.offsets, [0, 1, 2]);
    });
}

#[test]
fn a_wrong_password_is_told_and_ends_the_connection() {
    with_secured_port(config(), Security { tls: None, users: users() }, async |port| {
        let mut client = Client::connect(port.address).await;
        client.raw(&handshake(1, "PLAIN")).await.unwrap();
        let answer = client.raw(&authenticate(1, b"\0reader\0wrong")).await.unwrap();
        assert_eq!(answer[4..6], [0, 58]);
        assert!(client.raw(&VERSIONS).await.is_none());
        assert_eq!(port.counters.logins_failed.load(Ordering::Relaxed), 1);
        assert_eq!(port.counters.connections_malformed.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn nothing_but_a_login_is_answered_before_it() {
    with_secured_port(config(), Security { tls: None, users: users() }, async |port| {
        let large = [&20_000_u32.to_be_bytes(), &[0; 20_000][..]].concat();
        let metadata = frame(3, 4, &[0xff, 0xff, 0xff, 0xff, 0]);
        let before_handshake = authenticate(1, MESSAGE);
        for bad in [metadata, before_handshake, frame(36, 9, &[]), large] {
            let mut client = Client::connect(port.address).await;
            client.raw(&VERSIONS).await.unwrap();
            assert!(client.raw(&bad).await.is_none());
        }
        assert_eq!(port.counters.connections_malformed.load(Ordering::Relaxed), 4);
    });
    // Where nobody has to log in, there is nothing to log in to.
    with_port(config(), async |port| {
        let mut client = Client::connect(port.address).await;
        assert!(client.raw(&handshake(1, "PLAIN")).await.is_none());
    });
}

#[test]
fn who_was_served_stays_when_a_crowd_connects() {
    with_port(config(), async |mut port| {
        port.log.append(&records(0..3)).await.unwrap();
        let mut client = Client::connect(port.address).await;
        assert_eq!(client.fetch(11, TOPIC, 0, 0, 0, 1_000).await.offsets, [0, 1, 2]);
        let mut crowd = Vec::new();
        for _ in 0..limits::CONNECTIONS_MAX + 40 {
            crowd.push(TcpStream::connect(port.address).await.unwrap());
            tokio::task::yield_now().await;
        }
        while port.counters.connections_displaced.load(Ordering::Relaxed) < 41 {
            tokio::task::yield_now().await;
        }
        assert_eq!(client.fetch(11, TOPIC, 0, 0, 0, 1_000).await.offsets, [0, 1, 2]);
        assert!(port.counters.connections.load(Ordering::Relaxed) <= limits::CONNECTIONS_MAX as u64);
    });
}
