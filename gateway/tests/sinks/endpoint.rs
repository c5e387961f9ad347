//! A hostile HTTP endpoint: for each request the test says what happens to it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What to do with a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// A status, and further header lines.
    Status(u16, &'static str),
    /// Never answer; hold the connection open.
    Hang,
    /// Close at once.
    Cut,
    /// Take it, and close without an answer: the sender cannot know.
    TakeAndCut,
    /// Answer something that is no HTTP.
    Nonsense,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// Whether the endpoint took it.
    pub is_taken: bool,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// The endpoint. It ends with the test's process.
pub struct Endpoint {
    pub port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Endpoint {
    /// `reply` is asked for each request, with the number of those before it.
    pub fn start(reply: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_with(Box::new, reply)
    }

    /// The same behind TLS.
    pub fn start_encrypted(
        config: Arc<ServerConfig>,
        reply: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let wrap = move |stream| -> Box<dyn Duplex> {
            let session = ServerConnection::new(Arc::clone(&config)).unwrap();
            Box::new(StreamOwned::new(session, stream))
        };
        Self::start_with(wrap, reply)
    }

    fn start_with<S: Duplex + ?Sized + 'static>(
        wrap: impl Fn(TcpStream) -> Box<S> + Send + Sync + 'static,
        reply: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let (shared, reply, wrap) = (Arc::clone(&requests), Arc::new(reply), Arc::new(wrap));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (requests, reply, wrap) = (Arc::clone(&shared), Arc::clone(&reply), Arc::clone(&wrap));
                // A connection that ends is no failure of the endpoint.
                std::thread::spawn(move || stream.and_then(|stream| serve(wrap(stream), &requests, &*reply)));
            }
        });
        Self { port, requests }
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// The requests that were taken.
    pub fn taken(&self) -> Vec<Request> {
        self.requests().into_iter().filter(|request| request.is_taken).collect()
    }
}

/// A stream, plain or encrypted.
pub trait Duplex: Read + Write {}

impl<S: Read + Write> Duplex for S {}

fn serve<S: Duplex + ?Sized>(
    stream: Box<S>,
    requests: &Mutex<Vec<Request>>,
    reply: &dyn Fn(usize, &Request) -> Reply,
) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    while let Some(mut request) = read_request(&mut reader)? {
        let answer = {
            let mut requests = requests.lock().unwrap();
            let answer = reply(requests.len(), &request);
            request.is_taken = matches!(answer, Reply::Status(200..=299, _) | Reply::TakeAndCut);
            requests.push(request);
            answer
        };
        match answer {
            Reply::Status(status, headers) => {
                let writer = reader.get_mut();
                write!(writer, "HTTP/1.1 {status} Said\r\n{headers}Content-Length: 4\r\n\r\nsaid")?;
            }
            Reply::Nonsense => reader.get_mut().write_all(b"\x00\xffHTTP? no\r\n\r\n")?,
            Reply::Hang => {
                // Until the other side gives up.
                let _ = reader.read(&mut [0]);
                return Ok(());
            }
            // With the stream its connection ends.
            Reply::Cut | Reply::TakeAndCut => return Ok(()),
        }
    }
    Ok(())
}

fn read_request(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body = String::from_utf8(body).unwrap();
    Ok(Some(Request { headers, body, is_taken: false }))
}
