//! A session: one client connection, as plugins see it.

use std::net::{IpAddr, SocketAddr};

use crate::id::Id;
use crate::notes::Notes;
use crate::time::Timestamp;
use crate::trail::Trail;

/// One client connection. A clone is a fork: what happens to it stays in it.
#[derive(Debug, Clone)]
pub struct Session {
    /// The id under which logs and trails name this session.
    pub id: Id,
    /// The client's address; an IPv4-mapped IPv6 address has been turned into IPv4.
    pub client: SocketAddr,
    /// The address that the client connected to.
    pub local: SocketAddr,
    /// When the client connected.
    pub started: Timestamp,
    /// The HELO or EHLO name as the client gave it, once it has.
    pub helo: Option<String>,
    /// Whether the client said EHLO.
    pub esmtp: bool,
    /// The authenticated user, if there is one.
    pub auth: Option<String>,
    /// Notes that last as long as the session.
    pub notes: Notes,
    /// What the plugins said.
    pub trail: Trail,
}

impl Session {
    /// A session that has just begun.
    pub fn new(id: Id, client: SocketAddr, local: SocketAddr, started: Timestamp) -> Self {
        Self {
            id,
            client: SocketAddr::new(client.ip().to_canonical(), client.port()),
            local: SocketAddr::new(local.ip().to_canonical(), local.port()),
            started,
            helo: None,
            esmtp: false,
            auth: None,
            notes: Notes::default(),
            trail: Trail::default(),
        }
    }

    /// The client's address without its port.
    pub fn client_ip(&self) -> IpAddr {
        self.client.ip()
    }

    /// Adds a remark to the trail, in the entry of the plugin that is being asked.
    pub fn remark(&mut self, text: impl std::fmt::Display) {
        self.trail.remark(text);
    }
}
