//! Free loopback ports, for servers that cannot be told to take any.
//!
//! A port below the kernel's range for outgoing connections cannot be snatched by a client between
//! the moment when it was found free and the moment when the server binds it. Two tests of one
//! process never get the same one.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The first port that is given out, and how many there are.
const FIRST: u32 = 12_000;
const COUNT: u32 = 18_000;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A port of 127.0.0.1 that is free now, over TCP and UDP.
pub fn free() -> u16 {
    for _ in 0..COUNT {
        let port = candidate();
        let here = (Ipv4Addr::LOCALHOST, port);
        if TcpListener::bind(here).is_ok() && UdpSocket::bind(here).is_ok() {
            return port;
        }
    }
    panic!(
        "no port from {FIRST} to {} is free on 127.0.0.1",
        FIRST + COUNT
    );
}

/// The address of a free port.
pub fn free_addr() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, free()).into()
}

/// Whether somebody accepts connections there.
pub fn is_open(addr: SocketAddr) -> bool {
    TcpStream::connect_timeout(&addr, Duration::from_secs(1)).is_ok()
}

/// Each process starts somewhere else, so that two at a time seldom meet.
fn candidate() -> u16 {
    let start = std::process::id().wrapping_mul(97);
    let step = NEXT.fetch_add(1, Ordering::Relaxed);
    let port = FIRST + start.wrapping_add(step) % COUNT;
    u16::try_from(port).expect("the range ends below 65536")
}
