//! Runs every dialogue of `tests/dialogs` against a listener of its own on loopback.
//!
//! A new dialogue is one new file. What a line of one may say stands in [`script`]; what the chain
//! and the commit behind the listener do, in [`house`].

mod house;
mod script;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use house::House;
use script::{Script, Step};

/// How long the server may take to answer; only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(10);

/// A client that follows a script.
struct Client {
    stream: TcpStream,
    unread: Vec<u8>,
    transcript: String,
}

#[tokio::test]
async fn dialogues() {
    let mut failures = Vec::new();
    let files = files();
    assert!(
        files.len() >= 40,
        "only {} dialogues were found",
        files.len()
    );
    for file in files {
        let name = file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if let Err(failure) = follow(&file).await {
            failures.push(format!("{name}: {failure}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

fn files() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("dialogs");
    let entries = fs::read_dir(dir).expect("the dialogues");
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "txt"));
    files.sort();
    files
}

/// Plays one file; the error names its line and shows what was said before.
async fn follow(file: &Path) -> Result<(), String> {
    let script = Script::parse(&fs::read_to_string(file).map_err(|e| e.to_string())?)?;
    let house = House::open(&script.limits).await?;
    let mut client = Client::connect(&script, &house).await?;
    for (line, step) in &script.steps {
        let done = client.take(step, &house).await;
        done.map_err(|error| format!("line {line}: {error}\n{}", client.transcript))?;
    }
    client.farewell(&script).await?;
    drop(client);
    house.close().await;
    Ok(())
}

impl Client {
    async fn connect(script: &Script, house: &House) -> Result<Self, String> {
        let socket = TcpSocket::new_v4().map_err(|e| e.to_string())?;
        socket
            .bind((script.client, 0).into())
            .map_err(|e| e.to_string())?;
        let stream = socket
            .connect(house.address)
            .await
            .map_err(|e| e.to_string())?;
        Ok(Self {
            stream,
            unread: Vec::new(),
            transcript: String::new(),
        })
    }

    async fn take(&mut self, step: &Step, house: &House) -> Result<(), String> {
        match step {
            Step::Send(octets) => self.send(octets).await,
            Step::Hear(want) => self.hear(want).await,
            Step::End => self.end().await,
            Step::Kept(count) => same(&house.kept().len(), count),
            Step::KeptMessage(message) => {
                let last = house.kept().pop().ok_or("nothing was kept")?;
                same(
                    &last.message.escape_ascii().to_string(),
                    &message.escape_ascii().to_string(),
                )
            }
            Step::KeptEnvelope(envelope) => same(
                &house.kept().pop().ok_or("nothing was kept")?.envelope,
                envelope,
            ),
            Step::KeptReceived(start) => {
                let last = house.kept().pop().ok_or("nothing was kept")?;
                same(
                    &last.received.get(..start.len()).unwrap_or_default(),
                    &start.as_str(),
                )
            }
        }
    }

    async fn send(&mut self, octets: &[u8]) -> Result<(), String> {
        self.transcript += &format!("> {}\n", octets.escape_ascii());
        self.stream
            .write_all(octets)
            .await
            .map_err(|e| format!("cannot send: {e}"))
    }

    /// The next line of the server starts with `want`.
    async fn hear(&mut self, want: &str) -> Result<(), String> {
        let line = self.line().await?.ok_or("the server closed")?;
        self.transcript += &format!("< {line}\n");
        if line.starts_with(want) {
            Ok(())
        } else {
            Err(format!("`{want}` was expected"))
        }
    }

    async fn end(&mut self) -> Result<(), String> {
        match self.line().await? {
            None => Ok(()),
            Some(line) => Err(format!("the end was expected, not `{line}`")),
        }
    }

    /// A line without its CRLF, or nothing at the end.
    async fn line(&mut self) -> Result<Option<String>, String> {
        loop {
            if let Some(end) = self.unread.windows(2).position(|two| two == b"\r\n") {
                let line: Vec<u8> = self.unread.drain(..end + 2).collect();
                return Ok(Some(line[..end].escape_ascii().to_string()));
            }
            let read = timeout(PATIENCE, self.stream.read_buf(&mut self.unread)).await;
            match read
                .map_err(|_| "the server does not answer")?
                .map_err(|e| e.to_string())?
            {
                0 if self.unread.is_empty() => return Ok(None),
                0 => return Err("the server closed in the middle of a line".to_owned()),
                _ => {}
            }
        }
    }

    /// A script that does not end the session ends with QUIT, so that a reply too many shows.
    async fn farewell(&mut self, script: &Script) -> Result<(), String> {
        if script.ends_itself() {
            return Ok(());
        }
        let parting = async {
            self.send(b"QUIT\r\n").await?;
            self.hear("221 2.0.0").await?;
            self.end().await
        };
        let parted = parting.await;
        parted.map_err(|error| format!("at the end: {error}\n{}", self.transcript))
    }
}

fn same<T: PartialEq + std::fmt::Debug>(got: &T, want: &T) -> Result<(), String> {
    if got == want {
        Ok(())
    } else {
        Err(format!("kept: {got:?}\nwant: {want:?}"))
    }
}
