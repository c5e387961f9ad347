//! The webhook sink over TLS: it delivers to whom its authority has signed for, and to nobody else.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::Value;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::endpoint::{Endpoint, Reply};
use crate::fleet::Fleet;
use crate::harness::{Gateway, eventually};
use crate::webhook::{assert_all_taken, settings_for, up_to_date};

/// Those who sign, in a test.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// The certificate of the authority, as a file.
    fn file(&self, directory: &Path) -> PathBuf {
        let path = directory.join("authority.pem");
        std::fs::write(&path, self.0.pem()).unwrap();
        path
    }

    /// What an endpoint of this name needs.
    fn server(&self, name: &str) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let chain = vec![CertificateDer::from(certificate.der().to_vec())];
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        Arc::new(builder.with_single_cert(chain, key).unwrap())
    }
}

/// Goal: over TLS as without: every event is taken, in order, through errors and connections that break.
#[test]
fn events_arrive_where_the_authority_has_signed() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new("ours");
    let endpoint = Endpoint::start_encrypted(authority.server("localhost"), |number, _| match number % 7 {
        1 => Reply::Cut,
        3 => Reply::TakeAndCut,
        5 => Reply::Status(503, "Retry-After: 0\r\n"),
        _ => Reply::Status(204, ""),
    });
    let url = format!("https://localhost:{}/hook", endpoint.port);
    let keys = format!("ca-file = {:?}", authority.file(directory.path()));
    let gateway = Gateway::start(directory.path(), &settings_for(&url, &keys));
    Fleet::new(&gateway).beat(0..50, 1);
    up_to_date(&gateway, 51);
    assert!(gateway.metric("pulsegate_sink_retries_total") > 10);
    assert_eq!(gateway.metric("pulsegate_sink_dead_letters_total"), 0);
    assert!(gateway.stop().success());
    let copies = assert_all_taken(directory.path(), &endpoint.taken());
    assert!(copies > 0, "an answer that was lost makes a copy");
}

/// Goal: an endpoint that another authority has signed for, or for another name, gets nothing, not even the credentials; the message says what is wrong and which keys to look at. Tries go on; where their number is
/// bounded the event is a dead letter after so many.
#[test]
fn nothing_is_sent_to_an_endpoint_that_cannot_prove_itself() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let take = |_: usize, _: &_| Reply::Status(204, "");
    for (endpoint, complaint) in [
        (Endpoint::start_encrypted(other.server("localhost"), take), "UnknownIssuer"),
        (Endpoint::start_encrypted(ours.server("elsewhere.example"), take), "not valid for name"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("token"), "Bearer hunter2\n").unwrap();
        let url = format!("https://localhost:{}/hook", endpoint.port);
        let settings = |attempts_max: u32| {
            let keys = format!(
                "types = [\"gateway_started\"]\nattempts-max = {attempts_max}\nauthorization-file = {:?}\nca-file = {:?}",
                directory.path().join("token"),
                ours.file(directory.path())
            );
            settings_for(&url, &keys)
        };
        let gateway = Gateway::start(directory.path(), &settings(0));
        eventually("it is tried again", || {
            (gateway.metric("pulsegate_sink_retries_total") >= 10).then_some(())
        });
        assert_eq!(gateway.metric("pulsegate_sink_delivered_total"), 0);
        assert!(gateway.metric("pulsegate_sink_lag_events") > 0);
        assert!(gateway.stop().success());

        let gateway = Gateway::start(directory.path(), &settings(3));
        eventually("both starts are dead letters", || {
            (gateway.metric("pulsegate_sink_dead_letters_total") == 2).then_some(())
        });
        assert!(gateway.stop().success());
        assert!(endpoint.requests().is_empty(), "{:?}", endpoint.requests());
        let letters = std::fs::read_to_string(directory.path().join("sinks/pager.dead.jsonl")).unwrap();
        let letter: Value = serde_json::from_str(letters.lines().next().unwrap()).unwrap();
        assert!(letter["answer"].as_str().unwrap().contains(complaint), "{letter}");
        let log = std::fs::read_to_string(directory.path().join("gateway.log")).unwrap();
        assert!(log.contains(complaint) && log.contains("ca-file") && log.contains("pager"), "{log}");
        assert!(!log.contains("hunter2") && !letters.contains("hunter2"));
    }
}
