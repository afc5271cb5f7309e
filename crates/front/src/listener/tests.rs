//! The listener on real sockets of loopback: who is let in, and how it stops.

use std::net::Ipv4Addr;

use posthouse_hook::SystemClock;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::task::JoinHandle;

use super::*;
use crate::testing::{Kept, chain};

/// A listener that runs.
struct Running {
    at: SocketAddr,
    chain: Live<Chain>,
    stop: watch::Sender<bool>,
    done: JoinHandle<io::Result<()>>,
    _spool: tempfile::TempDir,
}

fn config(addresses: Vec<SocketAddr>, limits: Limits, spool_dir: PathBuf) -> FrontConfig {
    FrontConfig {
        hostname: Domain::parse("front.example").expect("valid"),
        addresses,
        limits,
        spool_dir,
    }
}

fn run(address: &str, limits: Limits) -> Running {
    let spool = tempfile::tempdir().expect("a directory");
    let address = address.parse().expect("valid");
    let config = config(vec![address], limits, spool.path().to_owned());
    let front = Front::bind(config).expect("bound");
    let port = front.local_addrs().expect("bound")[0].port();
    let (stop, stopped) = watch::channel(false);
    let chain = Live::new(chain());
    let (commit, ids) = (Arc::new(Kept::default()), Arc::new(IdMaker::new(1)));
    let serve = front.run(chain.clone(), commit, Arc::new(SystemClock), ids, stopped);
    Running {
        at: (Ipv4Addr::LOCALHOST, port).into(),
        chain,
        stop,
        done: tokio::spawn(serve),
        _spool: spool,
    }
}

impl Running {
    async fn connect(&self) -> BufReader<TcpStream> {
        BufReader::new(TcpStream::connect(self.at).await.expect("connected"))
    }
}

async fn line(client: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    client.read_line(&mut line).await.expect("read");
    line
}

async fn rest(mut client: BufReader<TcpStream>) -> String {
    let mut rest = String::new();
    client.read_to_string(&mut rest).await.expect("read");
    rest
}

#[tokio::test]
async fn one_session_too_many_is_told_so() {
    let limits = Limits {
        sessions_per_client: 1,
        ..Limits::default()
    };
    let running = run("127.0.0.1:0", limits);
    let mut first = running.connect().await;
    assert!(line(&mut first).await.starts_with("220 "));
    let told = rest(running.connect().await).await;
    assert_eq!(told, "421 4.7.0 Too many connections, try again later\r\n");
    first.write_all(b"QUIT\r\n").await.expect("sent");
    assert!(rest(first).await.starts_with("221 "));
    while !line(&mut running.connect().await).await.starts_with("220 ") {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_stop_dismisses_the_idle_and_closes_the_door() {
    let running = run("127.0.0.1:0", Limits::default());
    let mut idle = running.connect().await;
    line(&mut idle).await;
    running.stop.send_replace(true);
    assert!(line(&mut idle).await.starts_with("421 4.3.2"));
    drop(idle);
    running.done.await.expect("no panic").expect("it ran");
    TcpStream::connect(running.at)
        .await
        .expect_err("nobody listens");
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_a_transaction_no_longer_than_the_grace() {
    let running = run("127.0.0.1:0", Limits::default());
    let mut busy = running.connect().await;
    let envelope = b"HELO c.example\r\nMAIL FROM:<a@b.example>\r\n";
    busy.write_all(envelope).await.expect("sent");
    while !line(&mut busy).await.contains("Sender OK") {}
    let begun = tokio::time::Instant::now();
    running.stop.send_replace(true);
    assert!(rest(busy).await.starts_with("421 4.3.2"));
    assert_eq!(begun.elapsed().as_secs(), 30);
}

#[tokio::test]
async fn a_swapped_chain_serves_the_sessions_that_begin_later() {
    let running = run("127.0.0.1:0", Limits::default());
    let mut before = running.connect().await;
    line(&mut before).await;
    running.chain.swap(Chain::new("empty", Vec::new()));
    let mut after = running.connect().await;
    let script = "HELO c.example\r\nMAIL FROM:<>\r\nRCPT TO:<c@d.example>\r\nQUIT\r\n";
    for (client, want) in [(&mut before, "250 2.1.5"), (&mut after, "550 5.7.1")] {
        client.write_all(script.as_bytes()).await.expect("sent");
        let mut told = String::new();
        client.read_to_string(&mut told).await.expect("read");
        assert!(told.contains(want), "{told}");
    }
}

#[tokio::test]
async fn the_unspecified_address_of_six_takes_four_too() {
    let running = run("[::]:0", Limits::default());
    let mut client = running.connect().await;
    assert!(line(&mut client).await.starts_with("220 "));
}

#[test]
fn both_unspecified_addresses_stand_side_by_side() {
    let [four, six] = ["0.0.0.0:0", "[::]:0"].map(|at| at.parse().expect("valid"));
    match bind(six, &[four, six]) {
        Ok(socket) => assert!(SockRef::from(&socket).only_v6().expect("asked")),
        Err(error) => assert!(lacks_ipv6(&error), "{error}"),
    }
}

#[test]
fn an_error_names_the_address() {
    let spool = tempfile::tempdir().expect("a directory");
    let taken = StdListener::bind("127.0.0.1:0").expect("bound");
    let at = taken.local_addr().expect("bound");
    let config = config(vec![at], Limits::default(), spool.path().to_owned());
    let Err(error) = Front::bind(config) else {
        panic!("the address is in use");
    };
    assert!(error.to_string().starts_with(&at.to_string()), "{error}");
}
