//! `posthouse quota-service`: answers, beside the mailboxes, the questions of the plugin `quota`.
//!
//! It only reads. It knows neither configuration nor state, and nothing of SMTP.

mod args;
mod http;
mod udp;

use std::net::IpAddr;
use std::sync::Arc;

use posthouse_hook::trail::visible;
use posthouse_hook::{NetworkList, SystemClock};
use posthouse_plugins::quota::{Desk, Form, Mailboxes, Names, Told, cannot_tell};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::serve::{Signals, Told as Signal};
use super::{Failure, Outcome, block_on};
use crate::config::Log;
use crate::log;
pub(crate) use args::QuotaServiceArgs;

/// Answers until SIGTERM or SIGINT.
pub(crate) fn run(args: &QuotaServiceArgs) -> Outcome {
    log::start(&Log::default());
    let service = Service::new(args)?;
    block_on(async {
        let mut signals = Signals::new()?;
        let (stop, stopped) = watch::channel(false);
        let mut rooms = open(args, &service, &stopped).await?;
        tracing::info!("ready");
        tokio::select! {
            () = told_to_stop(&mut signals) => {}
            _ = rooms.join_next() => return Err(Failure::Because("a socket failed".to_owned())),
        }
        stop.send_replace(true);
        while rooms.join_next().await.is_some() {}
        Ok(())
    })
}

/// SIGHUP has nothing to read again: the file of quotas is looked at all the time.
async fn told_to_stop(signals: &mut Signals) {
    while matches!(signals.next().await, Signal::Reload) {}
}

/// Binds what was asked for.
async fn open(
    args: &QuotaServiceArgs,
    service: &Service,
    stop: &watch::Receiver<bool>,
) -> Result<JoinSet<()>, Failure> {
    let mut rooms = JoinSet::new();
    let fault = |address, error| Failure::Because(format!("cannot listen at {address}: {error}"));
    if let Some(address) = args.http {
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|error| fault(address, error))?;
        rooms.spawn(http::run(listener, service.clone(), stop.clone()));
    }
    if let Some(address) = args.udp {
        let socket = UdpSocket::bind(address).await;
        let socket = socket.map_err(|error| fault(address, error))?;
        rooms.spawn(udp::run(socket, service.clone(), stop.clone()));
    }
    Ok(rooms)
}

/// What both protocols answer from.
#[derive(Clone)]
struct Service {
    desk: Desk,
    /// None: everybody.
    allowed: Option<Arc<NetworkList>>,
}

/// A line about a mailbox, or why there is none.
enum Line {
    /// How the mailbox stands.
    Known(String),
    /// There is no such mailbox.
    Unknown(String),
    /// It could not be read.
    CannotTell(String),
}

impl Service {
    fn new(args: &QuotaServiceArgs) -> Result<Self, Failure> {
        let (form, path) = match (&args.maildir, &args.mbox) {
            (Some(path), _) => (Form::Maildir, path),
            (None, Some(path)) => (Form::Mbox, path),
            (None, None) => return Err(Failure::Usage("give --maildir or --mbox".to_owned())),
        };
        let mailboxes = Mailboxes::new(form, path, args.quota, args.quotas.as_deref());
        let mailboxes = mailboxes.map_err(Failure::Usage)?;
        let clock = Arc::new(SystemClock);
        let desk = Desk::new(mailboxes, args.keep.0, args.read_timeout.0, clock);
        let allowed = allowed(&args.allow).map_err(Failure::Usage)?;
        Ok(Self { desk, allowed })
    }

    fn allows(&self, client: IpAddr) -> bool {
        let listed = |list: &Arc<NetworkList>| list.contains(client);
        self.allowed.as_ref().is_none_or(listed)
    }

    /// The line about a mailbox, for a message of that size; none if `user` cannot be a user.
    async fn line(&self, user: &str, size: Option<u64>) -> Option<Line> {
        let names = Names::asked(user)?;
        Some(line(user, size, self.desk.answer(names).await))
    }
}

fn line(user: &str, size: Option<u64>, told: Told) -> Line {
    match told {
        Ok(answer) if answer.is_unknown() => Line::Unknown(answer.line(user, size)),
        Ok(answer) => Line::Known(answer.line(user, size)),
        Err(why) => {
            tracing::warn!(user, why = visible(&why), "a mailbox cannot be read");
            Line::CannotTell(cannot_tell(user))
        }
    }
}

fn allowed(networks: &[String]) -> Result<Option<Arc<NetworkList>>, String> {
    if networks.is_empty() {
        return Ok(None);
    }
    let mut list = NetworkList::default();
    networks.iter().try_for_each(|network| list.add(network))?;
    Ok(Some(Arc::new(list)))
}
