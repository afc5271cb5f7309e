//! The control socket: how commands change something in a running server.
//!
//! A Unix socket in the state directory that only its owner can reach; one request a connection,
//! one line of JSON each way, both bounded.

mod people;

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use posthouse_hook::{ForwardPath, Live};
use posthouse_store::{Actor, Done, Erased, Released, Selection, Store, StoreError, Who};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

use crate::server::{Reported, Upkeep};

const NAME: &str = "control.sock";
/// Longest request or answer in octets.
const MAX_LINE: u64 = 1 << 20;
/// How long one request may take to come, and one answer to go.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a deed may take that looks at every row.
const LONG: Duration = Duration::from_secs(3600);

pub(crate) use self::people::{Order, RecipientOrder, Setting, Switch, objected};

/// A deed that is asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    Retry(Selection),
    Suspend(Selection),
    DiscardQueued(Selection),
    Release(Selection),
    DiscardHeld(Selection),
    Erase(ForwardPath),
    People(Order),
    /// How it stands with the plugins of that kind.
    Report(String),
}

impl Request {
    /// How long whoever asks waits for the answer.
    fn patience(&self) -> Duration {
        match self {
            Self::Erase(_) => LONG,
            _ => PATIENCE,
        }
    }
}

/// What came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    Done(Done),
    Erased(Erased),
    /// Done; what to tell the operator.
    Said(String),
    Reports(Vec<Reported>),
    Failed(String),
}

/// The listening side; the socket file goes with it.
pub(crate) struct Control {
    listener: UnixListener,
    path: PathBuf,
}

impl Control {
    /// Listens in the state directory. Whoever holds the store's lock owns the name, so a file that
    /// is there already is a leftover.
    pub(crate) fn bind(state: &Path) -> io::Result<Self> {
        let path = state.join(NAME);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener, path })
    }

    /// Serves requests until told to stop.
    pub(crate) async fn run(
        self,
        store: Store,
        upkeep: Live<Upkeep>,
        mut stop: watch::Receiver<bool>,
    ) {
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                _ = stop.wait_for(|stop| *stop) => return,
            };
            let Ok((stream, _)) = accepted else {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            tokio::spawn(attend(stream, store.clone(), upkeep.clone()));
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// One request, apart from the others: a client that says nothing keeps nobody waiting.
async fn attend(stream: UnixStream, store: Store, upkeep: Live<Upkeep>) {
    if let Err(error) = serve(stream, &store, &upkeep).await {
        tracing::warn!(%error, "control request failed");
    }
}

async fn serve(mut stream: UnixStream, store: &Store, upkeep: &Live<Upkeep>) -> io::Result<()> {
    let line = tokio::time::timeout(PATIENCE, read_line(&mut stream)).await??;
    let answer = match serde_json::from_str(&line) {
        Ok(Request::Report(kind)) => Answer::Reports(upkeep.load().reports(&kind)),
        Ok(request) => answer(store, request).await,
        Err(error) => Answer::Failed(format!("not a request: {error}")),
    };
    tokio::time::timeout(PATIENCE, write_line(&mut stream, &answer)).await?
}

/// Does what is asked.
pub(crate) async fn answer(store: &Store, request: Request) -> Answer {
    let by = Actor::local(Who::Operator);
    let done = match request {
        Request::Erase(address) => return erase(store, &address, by).await,
        Request::People(order) => return people::carry_out(store, order).await,
        Request::Report(_) => return Answer::Failed("only a server can tell".to_owned()),
        request => deed(store, request, by).await,
    };
    done.map_or_else(|error| Answer::Failed(error.to_string()), Answer::Done)
}

async fn deed(store: &Store, request: Request, by: Actor) -> Result<Done, StoreError> {
    tracing::info!(?request, "operator");
    match request {
        Request::Retry(what) => store.retry(what, by).await,
        Request::Suspend(what) => store.suspend(what, by).await,
        Request::DiscardQueued(what) => store.discard_queued(what, by).await,
        Request::DiscardHeld(what) => store.discard_held(what, by).await,
        Request::Release(what) => release(store, what, by).await,
        Request::Erase(_) | Request::People(_) | Request::Report(_) => Ok(Done::default()),
    }
}

/// The log hears that something was erased, and not of whom.
async fn erase(store: &Store, address: &ForwardPath, by: Actor) -> Answer {
    match store.erase(address, by).await {
        Ok(erased) => {
            tracing::info!(receipt = %erased.receipt, "operator: an address was erased");
            Answer::Erased(erased)
        }
        Err(error) => Answer::Failed(error.to_string()),
    }
}

/// No cap binds the operator.
async fn release(store: &Store, what: Selection, by: Actor) -> Result<Done, StoreError> {
    match store.release(what, None, by).await? {
        Released::Done(done) => Ok(done),
        Released::Capped(_) => Ok(Done::default()),
    }
}

/// Asks the server of this state directory. `None` if none runs.
pub(crate) async fn ask(state: &Path, request: &Request) -> io::Result<Option<Answer>> {
    use io::ErrorKind::{ConnectionRefused, NotFound};
    let mut stream = match UnixStream::connect(state.join(NAME)).await {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), NotFound | ConnectionRefused) => return Ok(None),
        Err(error) => return Err(error),
    };
    let exchange = async {
        write_line(&mut stream, request).await?;
        let line = read_line(&mut stream).await?;
        serde_json::from_str(&line).map_err(io::Error::other)
    };
    tokio::time::timeout(request.patience(), exchange)
        .await?
        .map(Some)
}

async fn read_line(stream: &mut UnixStream) -> io::Result<String> {
    let mut line = String::new();
    BufReader::new(stream.take(MAX_LINE))
        .read_line(&mut line)
        .await?;
    Ok(line)
}

async fn write_line(stream: &mut UnixStream, value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    stream.write_all(&line).await
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use posthouse_hook::{Id, SystemClock};

    use super::*;
    use crate::config;

    fn store(dir: &Path) -> Store {
        let text = "hostname = \"a.example\"\nstate = \".\"\n[web]\nurl = \"http://a.example\"\n";
        let loaded = config::parse(&dir.join("p.toml"), text.to_owned()).expect("valid");
        Store::open(loaded.config.store_settings(), Arc::new(SystemClock)).expect("opens")
    }

    fn nothing() -> Selection {
        Selection {
            item: Id(1),
            addresses: vec!["b@x.example".to_owned()],
        }
    }

    #[tokio::test]
    async fn requests_are_answered_in_turn_and_junk_does_no_harm() {
        let dir = tempfile::tempdir().expect("a directory");
        let retry = Request::Retry(nothing());
        let unanswered = ask(dir.path(), &retry).await.expect("asked");
        assert!(unanswered.is_none(), "no server runs");

        let control = Control::bind(dir.path()).expect("binds");
        let (stop, stopped) = watch::channel(false);
        let serving = tokio::spawn(control.run(store(dir.path()), Live::default(), stopped));
        let mut stream = UnixStream::connect(dir.path().join(NAME))
            .await
            .expect("connects");
        stream.write_all(b"junk\n").await.expect("sent");
        let told = read_line(&mut stream).await.expect("answered");
        assert!(told.contains("not a request"), "{told}");
        for request in [
            retry,
            Request::Suspend(nothing()),
            Request::DiscardQueued(nothing()),
            Request::Release(nothing()),
            Request::DiscardHeld(nothing()),
        ] {
            let answer = ask(dir.path(), &request).await.expect("asked");
            let Some(Answer::Done(done)) = answer else {
                panic!("{request:?}: {answer:?}");
            };
            assert_eq!((done.changed, done.untouched), (0, 0));
        }

        stop.send_replace(true);
        serving.await.expect("stops");
        assert!(!dir.path().join(NAME).exists(), "the socket file is gone");
    }
}
