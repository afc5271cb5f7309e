//! A source behind UDP: one datagram with the user's name, one back with the answer.
//!
//! Each question has a socket, and so a port, of its own, connected to the server: the kernel drops
//! what comes from any other address. What names another user is not listened to.

use std::time::Duration;

use tokio::net::UdpSocket;

use super::answer::{Answer, Told};
use super::names::Template;
use super::source::{Question, authority};

/// Longest answer that is read, in octets.
const MAX_ANSWER: usize = 2_048;

pub(super) struct Udp {
    /// `host:port`.
    server: String,
    datagram: Template,
}

impl Udp {
    /// Reads `//host:port`, perhaps with `/` and what to send instead of `{user}`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (server, datagram) = authority(text)?;
        let port = server
            .rsplit_once(':')
            .and_then(|(_, p)| p.parse::<u16>().ok());
        if port.is_none_or(|port| port == 0) {
            return Err(format!("`{server}` is no host with a port"));
        }
        let datagram = match datagram.strip_prefix('/').unwrap_or_default() {
            "" => "{user}",
            text => text,
        };
        let datagram = Template::parse(datagram)?;
        match datagram.names_somebody() {
            true => Ok(Self {
                server: server.to_owned(),
                datagram,
            }),
            false => {
                Err("the same datagram for everybody; it needs {user} or {address}".to_owned())
            }
        }
    }

    pub(super) fn tells_size(&self) -> bool {
        self.datagram.has_size()
    }

    /// Asks, and once more when half of `limit` has passed. The caller ends it.
    pub(super) async fn ask(&self, question: &Question, limit: Duration) -> Result<Told, String> {
        let Question { names, size } = question;
        let datagram = self.datagram.fill(names, *size, str::to_owned);
        let datagram = datagram.ok_or("a name without a domain")?;
        let socket = self.connect().await?;
        let fault = |error: std::io::Error| format!("{}: {error}", self.server);
        socket.send(datagram.as_bytes()).await.map_err(fault)?;
        let names = [names.user().to_owned(), names.address()];
        let first = tokio::time::timeout(limit / 2, hear(&socket, &names)).await;
        if let Ok(heard) = first {
            return heard.map_err(fault);
        }
        socket.send(datagram.as_bytes()).await.map_err(fault)?;
        hear(&socket, &names).await.map_err(fault)
    }

    async fn connect(&self) -> Result<UdpSocket, String> {
        let fault = |error: std::io::Error| format!("no way to {}: {error}", self.server);
        let mut addresses = tokio::net::lookup_host(&self.server).await.map_err(fault)?;
        let server = addresses.next().ok_or("a server without an address")?;
        let any = match server.is_ipv4() {
            true => "0.0.0.0:0",
            false => "[::]:0",
        };
        let socket = UdpSocket::bind(any).await.map_err(fault)?;
        socket.connect(server).await.map_err(fault)?;
        Ok(socket)
    }
}

/// The first datagram that is about one of these names.
async fn hear(socket: &UdpSocket, names: &[String]) -> std::io::Result<Told> {
    let mut buffer = [0; MAX_ANSWER];
    loop {
        let len = socket.recv(&mut buffer).await?;
        let line = String::from_utf8_lossy(&buffer[..len]);
        let read = names
            .iter()
            .find_map(|name| Answer::parse(&line, name).ok());
        if let Some(told) = read {
            return Ok(told);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_a_host_and_a_port() {
        for good in ["//127.0.0.1:99", "//[::1]:99/{address}", "//backend:99/"] {
            assert!(Udp::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "127.0.0.1:99",
            "//backend",
            "//backend:0",
            "//:/",
            "//backend:99/hello",
            "//backend:99/{x}",
        ] {
            assert!(Udp::parse(bad).is_err(), "{bad}");
        }
    }
}
