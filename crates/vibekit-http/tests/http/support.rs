use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use vibekit_http::{Limits, Lookup, Method, Request, Settings};

/// Nothing here takes longer, however busy the machine.
pub(crate) async fn within<F: Future>(work: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(60), work).await.expect("it hangs")
}

/// A server that reads the head of each request, and then does as it is told with the connection.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
    task: AbortHandle,
}

impl Server {
    pub(crate) async fn start<F>(serve: impl Fn(TcpStream, String) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (heads, connections) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<AtomicUsize>::default());
        let (kept, counted, serve) = (Arc::clone(&heads), Arc::clone(&connections), Arc::new(serve));
        let task = tokio::spawn(async move {
            let mut tasks = JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let (kept, serve) = (Arc::clone(&kept), Arc::clone(&serve));
                tasks.spawn(async move {
                    let Some(head) = head(&mut stream).await else { return };
                    kept.lock().unwrap().push(head.clone());
                    serve(stream, head).await;
                });
            }
        });
        Self { addr, heads, connections, task: task.abort_handle() }
    }

    /// Always answers with these bytes, and closes.
    pub(crate) async fn saying(answer: &'static str) -> Self {
        Self::start(move |mut stream, _| async move {
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        })
        .await
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Everything up to the empty line.
pub(crate) async fn head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}

pub(crate) const HELLO: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

pub(crate) fn get(url: impl Into<String>) -> Request {
    Request::new(Method::GET, url)
}

/// Limits that no test waits for, so that each can set the one it is about.
pub(crate) fn patient() -> Limits {
    let minute = Duration::from_secs(60);
    Limits { first_byte: minute, idle: Some(minute), total: Some(minute), ..Limits::default() }
}

pub(crate) const SHORT: Duration = Duration::from_millis(150);

pub(crate) fn settings(variables: &[(&'static str, String)]) -> Settings {
    let variables = variables.to_vec();
    let lookup: Lookup = Arc::new(move |name| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    });
    Settings { connect: Duration::from_secs(30), ..Settings::new(lookup) }
}
