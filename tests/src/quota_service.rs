//! `posthouse quota-service` as a process of its own, and plain questions to it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::posthouse::binary;
use crate::proc::Proc;
use crate::{dir, ports};

/// How long the service may take to listen, and to answer.
const LIMIT: Duration = Duration::from_secs(30);

/// A running service; it ends when dropped.
pub struct QuotaService {
    /// The process.
    pub proc: Proc,
    /// Where it answers, over HTTP and UDP.
    pub addr: SocketAddr,
    _dir: TempDir,
}

impl QuotaService {
    /// On a free port, with these further arguments.
    pub fn start(args: &[&str]) -> Self {
        Self::at(ports::free_addr(), args)
    }

    /// At an address.
    pub fn at(addr: SocketAddr, args: &[&str]) -> Self {
        let dir = dir::scratch("quota-service");
        let here = addr.to_string();
        let mut command = Command::new(binary());
        command.args(["quota-service", "--http", &here, "--udp", &here]);
        command.args(args);
        let log = dir.path().join("log");
        let proc = Proc::spawn("quota-service", &mut command, &log);
        proc.wait_until("listening", LIMIT, || ports::is_open(addr));
        Self {
            proc,
            addr,
            _dir: dir,
        }
    }

    /// The status and the body of one GET.
    pub fn get(&self, target: &str) -> (u16, String) {
        let request = format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let said = self.say(request.as_bytes());
        let status = said.split(' ').nth(1).and_then(|code| code.parse().ok());
        let body = said.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        (status.unwrap_or(0), body.trim_end().to_owned())
    }

    /// Says octets over TCP and takes all until the end.
    pub fn say(&self, octets: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.addr).expect("it listens");
        stream.set_read_timeout(Some(LIMIT)).expect("a socket");
        // It may close before it has read all.
        let _ = stream.write_all(octets);
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said);
        String::from_utf8_lossy(&said).into_owned()
    }

    /// Sends a datagram to it from a new socket.
    pub fn datagram(&self, octets: &[u8]) -> UdpSocket {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.set_read_timeout(Some(LIMIT)).expect("a socket");
        socket.connect(self.addr).expect("an address");
        socket.send(octets).expect("sent");
        socket
    }

    /// What it answers to a datagram.
    pub fn ask(&self, user: &str) -> String {
        hear(&self.datagram(user.as_bytes()))
    }
}

/// One datagram.
fn hear(socket: &UdpSocket) -> String {
    let mut buffer = [0; 2_048];
    let len = socket.recv(&mut buffer).expect("an answer");
    String::from_utf8_lossy(&buffer[..len]).into_owned()
}
