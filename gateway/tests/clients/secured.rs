//! Clients that log in over TLS, with a certificate that signs itself.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;

use crate::client::{Client, Mode};
use crate::log::PreparedLog;

const PASSWORD: &str = "a secret: or two";

/// The files of a secured gateway.
struct Secrets {
    directory: TempDir,
}

impl Secrets {
    fn new() -> Self {
        let secrets = Self { directory: tempfile::tempdir().unwrap() };
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        secrets.write("certificate.pem", &certificate.pem());
        secrets.write("key.pem", &key.serialize_pem());
        secrets.write("users", &format!("# name:password\nreader:{PASSWORD}\n"));
        secrets
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let mut file = std::fs::File::create(self.path(name)).unwrap();
        file.set_permissions(std::fs::Permissions::from_mode(0o600)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    /// What the gateway is told.
    fn settings(&self) -> String {
        let [certificate, key, users] = ["certificate.pem", "key.pem", "users"].map(|name| self.path(name));
        format!(
            "[kafka.tls]\ncertificates = {certificate:?}\nkey = {key:?}\n[kafka.sasl]\nusers = {users:?}\n"
        )
    }
}

/// What a client is told.
fn login(authority: &Path, password: &str) -> Vec<String> {
    let authority = authority.display();
    let settings = [
        "security.protocol=SASL_SSL",
        "sasl.mechanisms=PLAIN",
        "sasl.username=reader",
        &format!("sasl.password={password}"),
        &format!("ssl.ca.location={authority}"),
    ];
    settings.map(str::to_owned).to_vec()
}

/// Goal: whoever knows the password and the certificate reads everything, assigned and in a group; with a wrong password
/// a client gets nothing and gives up; from a certificate that it does not know it turns away.
fn reads_over_tls_with_a_login(client: Client) {
    let Some(installed) = client.find() else { return };
    let (secrets, stranger) = (Secrets::new(), Secrets::new());
    let log = PreparedLog::open_with(&secrets.settings());
    let certificate = secrets.path("certificate.pem");

    let installed = installed.with_settings(&login(&certificate, PASSWORD));
    for mode in [Mode::Assign, Mode::Group("secured")] {
        let mut reader = installed.start(&log.gateway, mode, 0).remove(0);
        reader.read_until_quiet();
        log.assert_is(std::mem::take(&mut reader.records), client);
    }

    let installed = installed.with_settings(&login(&certificate, "wrong"));
    let mut refused = installed.start(&log.gateway, Mode::Assign, 0).remove(0);
    let complaint = refused.read_to_refusal();
    // kcat is asked to be quiet, and only says that it does not get through.
    assert!(client == Client::Kcat || complaint.to_lowercase().contains("authentication"), "{complaint}");
    assert!(refused.records.is_empty());
    assert!(outcome(&log, "login_failed") > 0);

    let before = outcome(&log, "handshake_failed");
    let installed = installed.with_settings(&login(&stranger.path("certificate.pem"), PASSWORD));
    let mut mistrusting = installed.start(&log.gateway, Mode::Assign, 0).remove(0);
    crate::harness::eventually("a client turns away from a certificate that it does not know", || {
        mistrusting.take();
        (outcome(&log, "handshake_failed") > before).then_some(())
    });
    assert!(mistrusting.records.is_empty());
}

/// Connections that ended so.
fn outcome(log: &PreparedLog, outcome: &str) -> u64 {
    let label = format!("outcome=\"{outcome}\"");
    let text = log.gateway.get("/metrics");
    let lines: Vec<_> = text.lines().filter(|line| line.contains(&label)).collect();
    crate::harness::sum_of_metric(&lines.join("\n"), "pulsegate_kafka_connections_total")
}

#[test]
fn kcat_reads_over_tls_with_a_login() {
    reads_over_tls_with_a_login(Client::Kcat);
}

#[test]
fn confluent_kafka_reads_over_tls_with_a_login() {
    reads_over_tls_with_a_login(Client::ConfluentKafka);
}
