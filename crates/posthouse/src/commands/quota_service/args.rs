//! What `posthouse quota-service` is told: it has no configuration file and no state.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use posthouse_hook::{NetworkList, Span};
use posthouse_plugins::quota::Limits;

/// Where to answer, about which mailboxes.
#[derive(Args)]
pub(crate) struct QuotaServiceArgs {
    /// Answer HTTP here: GET /ANYTHING?u=USER
    #[arg(long, value_name = "ADDRESS", required_unless_present = "udp")]
    pub(crate) http: Option<SocketAddr>,
    /// Answer UDP here: a datagram with the user
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) udp: Option<SocketAddr>,
    /// The Maildirs, such as /var/mail/{user}/Maildir; also {address} and {domain}
    #[arg(long, value_name = "PATH", required_unless_present = "mbox")]
    pub(crate) maildir: Option<String>,
    /// The mbox files, such as /var/mail/{user}
    #[arg(long, value_name = "PATH", conflicts_with = "maildir")]
    pub(crate) mbox: Option<String>,
    /// The quota where no other is known, such as 1000000S,1000C [default: none]
    #[arg(
        long,
        value_name = "QUOTA",
        default_value = "0",
        hide_default_value = true
    )]
    pub(crate) quota: Limits,
    /// A file of quotas: `user,octets` or `user,octets,messages` a line
    #[arg(long, value_name = "FILE")]
    pub(crate) quotas: Option<PathBuf>,
    /// Keep an answer so long
    #[arg(long, value_name = "SPAN", default_value = "30s")]
    pub(crate) keep: Span,
    /// Read one mailbox for so long at the most
    #[arg(long, value_name = "SPAN", default_value = "10s", value_parser = patience)]
    pub(crate) read_timeout: Span,
    /// Answer only clients in this network; may be given several times [default: everybody]
    #[arg(long, value_name = "NETWORK", value_parser = network)]
    pub(crate) allow: Vec<String>,
}

fn patience(text: &str) -> Result<Span, String> {
    let span: Span = text.parse().map_err(|error| format!("{error}"))?;
    let long = !span.0.is_zero();
    long.then_some(span).ok_or("write 1s or more".to_owned())
}

fn network(text: &str) -> Result<String, String> {
    NetworkList::default().add(text)?;
    Ok(text.to_owned())
}
