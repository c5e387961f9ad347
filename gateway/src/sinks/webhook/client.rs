//! The HTTP client of one sink: settings, credentials, one request at a time a worker.
//!
//! Redirections are not followed: credentials go to the address in the configuration and nowhere else. Proxies of the
//! environment are not used for the same reason. The value of `Authorization` is never logged; it is read from its file
//! again whenever the endpoint says 401, so a token can be changed without a restart.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body};

use super::answer::{self, Answer};
use super::request;
use crate::config::sinks::{Authorization, WebhookMode, WebhookSink};
use crate::io::Clock;
use crate::sinks::SinkError;
use crate::sinks::feed::Outgoing;

/// Most of an answer's body that is read, so that the connection can be used again.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// Most of an answer's body that is repeated in a message.
const ANSWER_CHARACTERS_MAX: usize = 200;

/// The client; workers share its settings and credentials.
#[derive(Clone, Debug)]
pub(super) struct Client {
    config: Arc<WebhookSink>,
    agent: Agent,
    credentials: Arc<Credentials>,
}

/// The value of `Authorization`; no `Debug` shows it.
struct Credentials(Mutex<Option<String>>);

impl std::fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("(not shown)")
    }
}

impl Client {
    /// Makes a client; reads the credentials and certificates. Connects later.
    pub(super) fn open(config: &WebhookSink) -> Result<Self, SinkError> {
        let credentials = read_authorization(config)?;
        let mut tls = TlsConfig::builder();
        if let Some(path) = &config.ca_file {
            tls = tls.root_certs(read_certificates(config, path)?);
        }
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_global(Some(config.timeout))
            .user_agent(concat!("pulsegate/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls.build())
            .build()
            .new_agent();
        let credentials = Arc::new(Credentials(Mutex::new(credentials)));
        Ok(Self { config: Arc::new(config.clone()), agent, credentials })
    }

    /// Sends these events in one request.
    pub(super) fn post(&self, events: &[Outgoing]) -> Answer {
        let mut request = self.agent.post(&self.config.url);
        for (name, value) in &self.config.headers.0 {
            request = request.header(name, value);
        }
        if let Some(value) = &*self.credentials.0.lock() {
            request = request.header("authorization", value);
        }
        let sent = match (self.config.mode, events) {
            (WebhookMode::Binary, [event]) => {
                for (name, value) in request::binary_headers(&event.record) {
                    request = request.header(name, value);
                }
                request.send(event.record.value.as_deref().unwrap_or_default())
            }
            (WebhookMode::Structured, [event]) => {
                let mut body = Vec::new();
                request::structured(&event.record, &mut body);
                request.header("content-type", "application/cloudevents+json; charset=utf-8").send(&body[..])
            }
            (_, events) => {
                let body = request::batch(events);
                let content_type = "application/cloudevents-batch+json; charset=utf-8";
                request.header("content-type", content_type).send(&body[..])
            }
        };
        match sent {
            Ok(response) => self.understand(response),
            Err(error) => Answer::Later { reason: reason_of(&error), not_before: None },
        }
    }

    fn understand(&self, mut response: ureq::http::Response<Body>) -> Answer {
        let status = response.status();
        let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        let text: String = String::from_utf8_lossy(&body.unwrap_or_default())
            .chars()
            .filter(|character| !character.is_control())
            .take(ANSWER_CHARACTERS_MAX)
            .collect();
        if status.as_u16() == 401 {
            self.read_credentials_again();
        }
        let retry_after = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
        let reason = format!("{status} {text}");
        answer::of_status(status.as_u16(), reason.trim_end().to_owned(), retry_after, Clock::new().unix_us())
    }

    fn read_credentials_again(&self) {
        match read_authorization(&self.config) {
            Ok(credentials) => *self.credentials.0.lock() = credentials,
            Err(error) => tracing::error!(sink = self.config.name, %error, "the old credentials stay in use"),
        }
    }

    /// Waits.
    pub(super) fn pause(&self, duration: Duration) {
        let never = Mutex::new(());
        Condvar::new().wait_for(&mut never.lock(), duration);
    }
}

/// What went wrong, and what to look at if it is the endpoint that could not prove itself.
fn reason_of(error: &ureq::Error) -> String {
    let is_about_tls = match error {
        ureq::Error::Rustls(_) | ureq::Error::Tls(_) => true,
        // So a broken handshake is told.
        ureq::Error::Io(error) => error.kind() == std::io::ErrorKind::InvalidData,
        _ => false,
    };
    if is_about_tls {
        format!(
            "no TLS session: {error}; see that the endpoint speaks TLS, that its certificate is for the host in `url`, \
             and that `ca-file` holds the certificate of those who signed it"
        )
    } else {
        error.to_string()
    }
}

fn read_authorization(config: &WebhookSink) -> Result<Option<String>, SinkError> {
    let (key, value, read) = match &config.authorization {
        Authorization::None => return Ok(None),
        Authorization::File(path) => (
            "authorization-file",
            path.display().to_string(),
            std::fs::read_to_string(path).map_err(|error| error.to_string()),
        ),
        Authorization::Environment(variable) => (
            "authorization-env",
            variable.clone(),
            std::env::var(variable).map_err(|_| "no such variable, or no text".to_owned()),
        ),
    };
    let unreadable = |reason: String| SinkError::Unreadable {
        key: format!("sinks.webhook.{}.{key}", config.name),
        value: value.clone(),
        reason,
    };
    let text = read.map_err(&unreadable)?;
    let text = text.trim();
    let is_legal = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    if text.is_empty() || !text.bytes().all(is_legal) {
        return Err(unreadable("it must hold one line of printable ASCII, such as `Bearer …`".to_owned()));
    }
    Ok(Some(text.to_owned()))
}

fn read_certificates(config: &WebhookSink, path: &std::path::Path) -> Result<RootCerts, SinkError> {
    let unreadable = |reason: String| SinkError::Unreadable {
        key: format!("sinks.webhook.{}.ca-file", config.name),
        value: path.display().to_string(),
        reason,
    };
    let text = std::fs::read(path).map_err(|error| unreadable(error.to_string()))?;
    let mut certificates = Vec::new();
    for item in parse_pem(&text) {
        if let PemItem::Certificate(certificate) = item.map_err(|error| unreadable(error.to_string()))? {
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() {
        return Err(unreadable("there is no certificate in it (PEM)".to_owned()));
    }
    Ok(RootCerts::new_with_certs(&certificates))
}
