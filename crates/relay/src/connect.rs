//! From an address to a connection that can take a message: TCP, greeting, EHLO, STARTTLS.
//!
//! All of that is done on our own stream, and lettre gets it only then, so that nothing said in
//! plain text can outlive the TLS handshake. No message is touched here.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use std::{fmt, io};

use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Response;
use posthouse_hook::{Domain, Host};
use rustls::pki_types::ServerName;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::answer::{Class, Heard};
use crate::config::Timeouts;
use crate::mx::Candidate;
use crate::route::{Target, Tls};
use crate::source::{Local, Source};
use crate::stream::Wire;
use crate::tls::Connectors;
use crate::transport::Transport;

/// How long a next hop may take to answer QUIT.
const PARTING: Duration = Duration::from_secs(5);
/// What lettre hears in place of the greeting and of the answer to EHLO, both of which were heard
/// before it got the stream. It keeps a list of offers that we do not use: ours knows more of them.
const GREETING: &str = "220 ready\r\n";
const ANSWER: &str = "250 ready\r\n";

/// A connection that can take a message.
pub(crate) struct Connection {
    pub(crate) smtp: AsyncSmtpConnection,
    pub(crate) wire: Wire,
    pub(crate) offers: Offers,
    /// `host[ip]:port`.
    pub(crate) peer: String,
    pub(crate) standing: Standing,
    /// Transactions so far.
    pub(crate) served: u32,
}

/// Whether a connection can take the next message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It can.
    Clean,
    /// After RSET: a transaction was begun and left.
    Open,
    /// It cannot.
    Broken,
}

/// The extensions that the next hop offers and we use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Offers {
    /// RFC 2920.
    pub(crate) pipelining: bool,
    /// RFC 6152.
    pub(crate) eight_bit: bool,
    /// RFC 3207.
    pub(crate) starttls: bool,
    /// RFC 1870: offered, and the limit in octets, 0 if there is none.
    pub(crate) size: Option<u64>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// The greeting carries our own name.
    #[error("greets with our own name: mail for it loops back to us")]
    Ourselves,
    /// TLS began and failed.
    #[error("TLS failed: {0}")]
    Handshake(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// One address, and how we speak to it.
#[derive(Clone, Copy)]
struct Call<'a> {
    to: &'a Candidate,
    source: Source,
    helo: &'a str,
    tls: Tls,
}

/// Opens connections.
pub(crate) struct Opener {
    /// Our name in EHLO, unless the route has its own.
    pub(crate) helo: String,
    /// Our own host name, to see loops.
    pub(crate) ours: Domain,
    pub(crate) timeouts: Timeouts,
    pub(crate) tls: Connectors,
}

impl Opener {
    /// Opens a connection to one address. Where TLS is opportunistic and its handshake fails, the
    /// address is tried once more in plain text.
    pub(crate) async fn open(
        &self,
        to: &Candidate,
        target: &Target,
    ) -> Result<Connection, ConnectError> {
        let call = Call {
            to,
            source: target.source,
            helo: target.helo.as_ref().map_or(&self.helo, Domain::as_str),
            tls: target.tls,
        };
        match self.open_once(call).await {
            Err(ConnectError::Handshake(why)) if target.tls == Tls::Opportunistic => {
                tracing::debug!(next_hop = %to, why, "TLS failed, going on in plain text");
                let tls = Tls::Off;
                self.open_once(Call { tls, ..call }).await
            }
            result => result,
        }
    }

    async fn open_once(&self, call: Call<'_>) -> Result<Connection, ConnectError> {
        let wire = self.dial(call).await?;
        self.greeting(&wire, call.to).await?;
        let offers = self.hello(&wire, call.helo).await?;
        match call.tls {
            Tls::Off => {}
            Tls::Opportunistic if !offers.starttls => {}
            Tls::Require if !offers.starttls => {
                return Err(other("does not offer STARTTLS, which the route requires"));
            }
            Tls::Opportunistic | Tls::Require => {
                if let Some(wire) = self.start_tls(&wire, call.to, call.tls).await? {
                    let offers = self.hello(&wire, call.helo).await?;
                    return self.hand_over(wire, offers, call).await;
                }
            }
        }
        self.hand_over(wire, offers, call).await
    }

    async fn dial(&self, call: Call<'_>) -> Result<Wire, ConnectError> {
        let address = call.to.address;
        let socket = socket_from(call.source, address)?;
        let limit = self.timeouts.connect.0;
        let stream = timeout(limit, socket.connect(address))
            .await
            .map_err(|_| other(format!("no connection within {limit:?}")))?
            .map_err(|error| other(format!("no connection: {error}")))?;
        stream.set_nodelay(true).map_err(other)?;
        Ok(Wire::new(Transport::Plain(stream), address, 1))
    }

    async fn greeting(&self, wire: &Wire, to: &Candidate) -> Result<(), ConnectError> {
        let greeting = hear(wire, self.timeouts.greeting.0, "as its greeting").await?;
        let heard = Heard::from_response(&greeting);
        if heard.class() != Class::Yes {
            return Err(other(format!("greeted with {heard}")));
        }
        let name = greeting.first_word().unwrap_or("");
        if to.by_mx && name.eq_ignore_ascii_case(self.ours.as_str()) {
            return Err(ConnectError::Ourselves);
        }
        Ok(())
    }

    /// EHLO, or HELO for who does not know it (RFC 5321 §3.2).
    async fn hello(&self, wire: &Wire, name: &str) -> Result<Offers, ConnectError> {
        wire.say(&format!("EHLO {name}\r\n"));
        let answer = hear(wire, self.timeouts.helo.0, "to EHLO").await?;
        let heard = Heard::from_response(&answer);
        match heard.class() {
            Class::Yes => return Ok(Offers::of(&answer)),
            Class::No => {}
            Class::GoOn | Class::NotNow => return Err(other(format!("said {heard} to EHLO"))),
        }
        wire.say(&format!("HELO {name}\r\n"));
        let heard = Heard::from_response(&hear(wire, self.timeouts.helo.0, "to HELO").await?);
        match heard.class() {
            Class::Yes => Ok(Offers::default()),
            _ => Err(other(format!("said {heard} to HELO"))),
        }
    }

    /// STARTTLS and the handshake; `None` if the next hop would rather not and the route lets it.
    async fn start_tls(
        &self,
        wire: &Wire,
        to: &Candidate,
        tls: Tls,
    ) -> Result<Option<Wire>, ConnectError> {
        wire.say("STARTTLS\r\n");
        let answer = hear(wire, self.timeouts.helo.0, "to STARTTLS").await?;
        let heard = Heard::from_response(&answer);
        match (heard.class(), tls) {
            (Class::Yes, _) => {}
            (_, Tls::Require) => return Err(other(format!("said {heard} to STARTTLS"))),
            _ => return Ok(None),
        }
        let socket = wire
            .take_plain()
            .ok_or_else(|| ConnectError::Handshake("plain text behind STARTTLS".to_owned()))?;
        let wire = self.handshake(socket, to, tls).await?;
        Ok(Some(wire))
    }

    async fn handshake(
        &self,
        socket: TcpStream,
        to: &Candidate,
        tls: Tls,
    ) -> Result<Wire, ConnectError> {
        let connector = match tls {
            Tls::Require => &self.tls.verified,
            Tls::Opportunistic | Tls::Off => &self.tls.unverified,
        };
        let limit = self.timeouts.helo.0;
        let handshake = connector.connect(server_name(to), socket);
        let stream = timeout(limit, handshake)
            .await
            .map_err(|_| ConnectError::Handshake(format!("no handshake within {limit:?}")))?
            .map_err(|error| ConnectError::Handshake(error.to_string()))?;
        Ok(Wire::new(Transport::Tls(Box::new(stream)), to.address, 0))
    }

    async fn hand_over(
        &self,
        wire: Wire,
        offers: Offers,
        call: Call<'_>,
    ) -> Result<Connection, ConnectError> {
        wire.rehearse(GREETING, ANSWER);
        let name = ClientId::Domain(call.helo.to_owned());
        let smtp = AsyncSmtpConnection::connect_with_transport(Box::new(wire.clone()), &name)
            .await
            .map_err(other)?;
        Ok(Connection {
            smtp,
            wire,
            offers,
            peer: call.to.to_string(),
            standing: Standing::Clean,
            served: 0,
        })
    }
}

/// A socket that connects from the route's source. Candidates that it cannot reach were left out.
fn socket_from(source: Source, to: SocketAddr) -> Result<TcpSocket, ConnectError> {
    let socket = match to {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }
    .map_err(|error| other(format!("no socket: {error}")))?;
    let from = match source.towards(to.ip()) {
        Local::Any => return Ok(socket),
        Local::Address(from) => from,
        Local::Nowhere => return Err(other("the route's source has no address of this family")),
    };
    match socket.bind((from, 0).into()) {
        Ok(()) => Ok(socket),
        Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => Err(other(format!(
            "this machine does not have {from}, the route's source"
        ))),
        Err(error) => Err(other(format!("source {from}: {error}"))),
    }
}

impl Connection {
    /// Whether the next message may go over it.
    pub(crate) fn is_usable(&self, most: u32) -> bool {
        self.standing != Standing::Broken && self.served < most && self.wire.is_silent()
    }

    /// Says QUIT, unless there is nobody to hear it.
    pub(crate) async fn quit(mut self) {
        if self.standing != Standing::Broken {
            // Whatever it says, the connection ends here.
            let _ = timeout(PARTING, self.smtp.quit()).await;
        }
    }
}

impl Offers {
    /// Reads the answer to EHLO; keywords in any case (RFC 5321 §4.1.1.1).
    fn of(answer: &Response) -> Self {
        let mut offers = Self::default();
        for line in answer.message().skip(1) {
            let mut words = line.split_ascii_whitespace();
            match words.next().unwrap_or("").to_ascii_uppercase().as_str() {
                "PIPELINING" => offers.pipelining = true,
                "8BITMIME" => offers.eight_bit = true,
                "STARTTLS" => offers.starttls = true,
                "SIZE" => {
                    let limit = words.next().and_then(|word| word.parse().ok());
                    offers.size = Some(limit.unwrap_or(0));
                }
                _ => {}
            }
        }
        offers
    }
}

/// One reply, read without lettre but parsed by it.
async fn hear(wire: &Wire, limit: Duration, to: &str) -> Result<Response, ConnectError> {
    let text = timeout(limit, wire.hear())
        .await
        .map_err(|_| other(format!("said nothing {to} within {limit:?}")))?
        .map_err(other)?;
    text.parse()
        .map_err(|_| other(format!("gave no reply {to}")))
}

fn server_name(to: &Candidate) -> ServerName<'static> {
    let by_name = match &to.host {
        Host::Domain(name) => ServerName::try_from(name.to_string()).ok(),
        Host::Literal(_) => None,
    };
    by_name.unwrap_or_else(|| IpAddr::into(to.address.ip()))
}

fn other(why: impl fmt::Display) -> ConnectError {
    ConnectError::Other(why.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_are_read_in_any_case() {
        let text =
            "250-mx.example SIZE 1\r\n250-size 1000\r\n250-8bitmime\r\n250-X\r\n250 PipeLining\r\n";
        let offers = Offers::of(&text.parse().expect("a reply"));
        let want = Offers {
            pipelining: true,
            eight_bit: true,
            starttls: false,
            size: Some(1000),
        };
        assert_eq!(offers, want);
        let text = "250-mx.example\r\n250 SIZE\r\n";
        assert_eq!(Offers::of(&text.parse().expect("a reply")).size, Some(0));
    }
}
