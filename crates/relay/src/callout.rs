//! Callouts: whether the next hop of a recipient takes it, asked without a message. Only next hops that
//! a route names are asked, never those that DNS names: nobody else's server is probed.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use posthouse_hook::time::Span;
use posthouse_hook::{Callout, Domain, ForwardPath, NextHop, Resolver, ReversePath};
use posthouse_store::Kind;
use tokio::time::timeout;

use crate::answer::{Class, Heard};
use crate::config::{RelayConfig, Timeouts};
use crate::connect::{Connection, Opener};
use crate::mx::Place;
use crate::route::{Hop, Routes, Target};
use crate::tls::{Connectors, TlsError};

/// How long a step may take. Whoever asks has a limit of its own for all of them.
const STEP: Span = Span(Duration::from_secs(30));
/// How long a connection may take, so that another address has its turn.
const CONNECT: Span = Span(Duration::from_secs(3));

/// Asks next hops, each over a connection of its own.
pub struct Callouts {
    routes: Routes,
    opener: Opener,
    resolver: Arc<dyn Resolver>,
}

impl Callouts {
    /// Asks by the routes of that configuration. Opens no connection.
    pub fn new(
        config: &RelayConfig,
        ours: Domain,
        resolver: Arc<dyn Resolver>,
    ) -> Result<Self, TlsError> {
        let helo = config.helo.as_ref().unwrap_or(&ours).to_string();
        let opener = Opener {
            helo,
            ours,
            timeouts: timeouts(),
            tls: Connectors::new(config.ca_file.as_deref())?,
        };
        Ok(Self {
            routes: config.route.clone(),
            opener,
            resolver,
        })
    }

    /// Where the recipient's mail goes, if the operator has named a host for it.
    fn target(&self, to: &ForwardPath) -> Option<Target> {
        let target = self.routes.target(to, Kind::Relayed, &self.opener.ours);
        target.filter(|target| matches!(target.hop, Hop::Fixed(..)))
    }

    async fn ask(
        &self,
        target: &Target,
        from: &ReversePath,
        to: &ForwardPath,
    ) -> Result<Callout, String> {
        let mut connection = self.connect(target).await?;
        let answer = converse(&mut connection, from, to).await;
        tokio::spawn(connection.quit());
        answer
    }

    async fn connect(&self, target: &Target) -> Result<Connection, String> {
        let place = Place {
            resolver: &*self.resolver,
            ours: &self.opener.ours,
            // Never used: a fixed next hop has a port of its own.
            mx_port: 25,
            turn: 0,
            source: target.source,
        };
        let candidates = place.candidates(&target.hop).await;
        let candidates = candidates.map_err(|nowhere| nowhere.answer(&target.hop).said)?;
        let mut why = format!("{target} has no address");
        for candidate in &candidates {
            match self.opener.open(candidate, target).await {
                Ok(connection) => return Ok(connection),
                Err(error) => why = format!("{candidate}: {error}"),
            }
        }
        Err(why)
    }
}

#[async_trait]
impl NextHop for Callouts {
    async fn callout(&self, from: &ReversePath, to: &ForwardPath) -> Callout {
        let Some(target) = self.target(to) else {
            return Callout::Elsewhere;
        };
        let answer = self.ask(&target, from, to).await;
        answer.unwrap_or_else(Callout::Unknown)
    }
}

/// MAIL and RCPT. A next hop that does not take the sender has said nothing of the recipient.
async fn converse(
    connection: &mut Connection,
    from: &ReversePath,
    to: &ForwardPath,
) -> Result<Callout, String> {
    let mail = say(connection, format!("MAIL FROM:{from}\r\n")).await?;
    let peer = &connection.peer;
    if mail.class() != Class::Yes {
        return Err(format!("{peer} said {mail} to MAIL FROM:{from}"));
    }
    let rcpt = say(connection, format!("RCPT TO:{to}\r\n")).await?;
    let peer = &connection.peer;
    match rcpt.class() {
        Class::Yes => Ok(Callout::Yes),
        Class::No => Ok(Callout::No(format!("{peer} said {rcpt}"))),
        Class::GoOn | Class::NotNow => Err(format!("{peer} said {rcpt} to RCPT TO:{to}")),
    }
}

async fn say(connection: &mut Connection, command: String) -> Result<Heard, String> {
    let heard = timeout(STEP.0, connection.smtp.command(command)).await;
    let heard = heard.map_err(|_| format!("no reply within {:?}", STEP.0))?;
    Heard::from_lettre(heard).map_err(|why| format!("{}: {why}", connection.peer))
}

fn timeouts() -> Timeouts {
    Timeouts {
        connect: CONNECT,
        greeting: STEP,
        helo: STEP,
        mail: STEP,
        rcpt: STEP,
        data: STEP,
        block: STEP,
        dot: STEP,
    }
}
