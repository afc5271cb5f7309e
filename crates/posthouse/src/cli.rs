//! The command line: what can be asked for, and which command answers. Exit codes: 0, 1 (it
//! failed), 2 (wrong use).

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use posthouse_hook::{ForwardPath, Id, Language, Span};
use posthouse_store::{RecipientChoice, SenderChoice};

use crate::commands::quota_service::QuotaServiceArgs;
use crate::commands::{self, Failure};
use crate::control::{Setting, Switch};

/// An outbound, spam-filtering smarthost and front-end MTA.
#[derive(Parser)]
#[command(name = "posthouse", version, about, propagate_version = true)]
struct Cli {
    /// The configuration [default: posthouse.toml, then /etc/posthouse/posthouse.toml]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve: listen, relay, show the pages
    Serve,
    /// Check everything that a start would
    Check,
    /// Print each listener's chain as it will run
    Chain(ChainArgs),
    /// Run a message through the chain without queueing it, and tell what each plugin said
    Explain(ExplainArgs),
    /// Tell which senders of a message are forged, and what would be done about them
    Forged(ForgedArgs),
    /// How much waits, how much is held, and what to look at
    Status(StatusArgs),
    /// The queue: what waits for the next hop
    #[command(subcommand)]
    Queue(QueueCommand),
    /// The quarantine: what is held
    #[command(subcommand)]
    Held(HeldCommand),
    /// Letters: how it stands with them, and an operator's hand on them
    #[command(subcommand)]
    Letters(LettersCommand),
    /// Senders' standing choices
    #[command(subcommand)]
    Sender(SenderCommand),
    /// Recipients' standing choices
    #[command(subcommand)]
    Recipient(RecipientCommand),
    /// Lists in DNS that chains ask
    #[command(subcommand)]
    Dnsbl(DnsblCommand),
    /// What chains with mode = "observe" would have done
    #[command(subcommand)]
    Observe(ObserveCommand),
    /// The templates: pages, mail and words
    #[command(subcommand)]
    Templates(TemplatesCommand),
    /// Judge what was accepted or held by this configuration, and show what would differ
    Replay(ReplayArgs),
    /// Answer, beside the mailboxes, how full they are: for the plugin `quota` of another host
    QuotaService(QuotaServiceArgs),
    /// Show the whole job on this machine, with a next hop of its own
    Demo(DemoArgs),
}

/// Which chains to print.
#[derive(Args)]
pub(crate) struct ChainArgs {
    /// Print the table of hook points instead
    #[arg(long)]
    pub(crate) hooks: bool,
    /// Print as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// How to print the state of things.
#[derive(Args)]
pub(crate) struct StatusArgs {
    /// Print as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// A message and its envelope.
#[derive(Args)]
pub(crate) struct ExplainArgs {
    /// The message; `-` is standard input
    pub(crate) file: PathBuf,
    /// The reverse-path; `<>` is the null one
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) from: String,
    /// A recipient; may be given several times
    #[arg(long, value_name = "ADDRESS", required = true)]
    pub(crate) to: Vec<String>,
    /// The client's address
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    pub(crate) client: IpAddr,
    /// The client's HELO name
    #[arg(long, value_name = "NAME", default_value = "localhost")]
    pub(crate) helo: String,
    /// The user that the client authenticated as
    #[arg(long, value_name = "USER")]
    pub(crate) auth: Option<String>,
    /// The chain [default: the first listener's]
    #[arg(long, value_name = "NAME")]
    pub(crate) chain: Option<String>,
    /// Print as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// A message, and who brings it.
#[derive(Args)]
pub(crate) struct ForgedArgs {
    /// The message, or its header section; `-` is standard input
    pub(crate) file: PathBuf,
    /// The reverse-path
    #[arg(long, value_name = "ADDRESS", default_value = "<>")]
    pub(crate) from: String,
    /// The client's address
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    pub(crate) client: IpAddr,
    /// The client's HELO name
    #[arg(long, value_name = "NAME", default_value = "localhost")]
    pub(crate) helo: String,
    /// The user that the client authenticated as
    #[arg(long, value_name = "USER")]
    pub(crate) auth: Option<String>,
    /// The chain [default: the first listener's]
    #[arg(long, value_name = "NAME", conflicts_with = "listener")]
    pub(crate) chain: Option<String>,
    /// The chain of the listener at this address
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listener: Option<SocketAddr>,
    /// Print as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// What to list.
#[derive(Args)]
pub(crate) struct ListArgs {
    /// Only copies to this address
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) recipient: Option<String>,
    /// Only messages from this envelope sender
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) sender: Option<String>,
    /// At most this many messages, the newest first
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: usize,
    /// Print as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// One message.
#[derive(Args)]
pub(crate) struct ShowArgs {
    /// The message's id
    pub(crate) id: Id,
    /// Print as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Copies of one message.
#[derive(Args)]
pub(crate) struct SelectArgs {
    /// The message's id
    pub(crate) id: Id,
    /// Only the copy to this recipient; may be given several times
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) recipient: Vec<String>,
    /// Print as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `posthouse queue`.
#[derive(Subcommand)]
pub(crate) enum QueueCommand {
    /// List messages that wait
    List(ListArgs),
    /// Show one message, its attempts and its audit
    Show(ShowArgs),
    /// Try deferred and suspended copies now
    Retry(SelectArgs),
    /// Make no attempts until `retry`
    Suspend(SelectArgs),
    /// Drop copies that wait; nobody is told
    Discard(SelectArgs),
}

/// `posthouse held`.
#[derive(Subcommand)]
pub(crate) enum HeldCommand {
    /// List messages that are held
    List(ListArgs),
    /// Show one message, why it is held, its trail and its audit
    Show(ShowArgs),
    /// List what senders ask of the operator; `release` or `discard` answers it
    Requests(JsonArgs),
    /// Relay held copies, whatever the caps
    Release(SelectArgs),
    /// Drop held copies
    Discard(SelectArgs),
    /// List samples of spam that was not held, or write one out
    Samples(SamplesArgs),
    /// Make links that are out worthless: of one message, or all of an address
    Revoke(RevokeArgs),
    /// Erase all that is stored about an address, and print a receipt
    Erase(EraseArgs),
}

/// Whose links to revoke.
#[derive(Args)]
pub(crate) struct RevokeArgs {
    /// The message's id, or an address
    #[arg(value_name = "ID|ADDRESS", value_parser = revocable)]
    pub(crate) what: Revocable,
    /// Print as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// See [`RevokeArgs`].
#[derive(Debug, Clone)]
pub(crate) enum Revocable {
    /// The sender's link to one message.
    Item(Id),
    /// Every link of an address.
    Address(ForwardPath),
}

fn revocable(text: &str) -> Result<Revocable, String> {
    if let Ok(id) = text.parse() {
        return Ok(Revocable::Item(id));
    }
    ForwardPath::from_address(text)
        .map(Revocable::Address)
        .map_err(|_| "write a message's id or an address".to_owned())
}

/// Which samples to print.
#[derive(Args)]
pub(crate) struct SamplesArgs {
    /// Write what is kept of this sample's message to standard output
    #[arg(long, value_name = "ID", conflicts_with = "json")]
    pub(crate) export: Option<Id>,
    /// At most this many, the newest first
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: usize,
    /// Print as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Whose traces to erase.
#[derive(Args)]
pub(crate) struct EraseArgs {
    /// The address, as recipient and as sender
    #[arg(value_parser = ForwardPath::from_address)]
    pub(crate) address: ForwardPath,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
    /// Print as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// How to print a list.
#[derive(Args)]
pub(crate) struct JsonArgs {
    /// Print as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `posthouse letters`.
#[derive(Subcommand)]
pub(crate) enum LettersCommand {
    /// List addresses with held mail or without letters: who waits since when, what keeps a letter back
    List(JsonArgs),
    /// Stop letters to an address; without one, all of our own mail to people, until `start`
    Stop(MaybeAddressArgs),
    /// Let letters go out again, to an address or to all
    Start(MaybeAddressArgs),
    /// Make a letter due now, whenever the last one went
    Resend(OneAddressArgs),
}

/// One address, or all.
#[derive(Args)]
pub(crate) struct MaybeAddressArgs {
    /// The address
    #[arg(value_parser = ForwardPath::from_address)]
    pub(crate) address: Option<ForwardPath>,
    /// Print as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// One address.
#[derive(Args)]
pub(crate) struct OneAddressArgs {
    /// The address
    #[arg(value_parser = ForwardPath::from_address)]
    pub(crate) address: ForwardPath,
    /// Print as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// One address, to be shown.
#[derive(Args)]
pub(crate) struct AddressArgs {
    /// The address
    #[arg(value_parser = ForwardPath::from_address)]
    pub(crate) address: ForwardPath,
    /// Print as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `posthouse sender`.
#[derive(Subcommand)]
pub(crate) enum SenderCommand {
    /// List senders who have chosen something
    List(JsonArgs),
    /// Show one sender's choice, what it has discarded, and what waits for its confirmation
    Show(AddressArgs),
    /// Set what becomes of spam from a sender, without a confirm link
    Set(SenderSetArgs),
}

/// A sender's choice.
#[derive(Args)]
pub(crate) struct SenderSetArgs {
    /// The sender's address, unwrapped (SRS)
    #[arg(value_parser = ForwardPath::from_address)]
    pub(crate) address: ForwardPath,
    /// hold, refuse or discard
    #[arg(value_parser = sender_choice)]
    pub(crate) choice: SenderChoice,
    /// Print as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `posthouse recipient`.
#[derive(Subcommand)]
pub(crate) enum RecipientCommand {
    /// List recipients who have chosen something
    List(JsonArgs),
    /// Show one recipient's choice, what it has discarded, and what waits for confirmation
    Show(AddressArgs),
    /// Set what becomes of mail to a recipient, and of letters, without a confirm link
    Set(RecipientSetArgs),
}

/// A recipient's choice. What is not named stays as it is.
#[derive(Args)]
pub(crate) struct RecipientSetArgs {
    /// The recipient's address
    #[arg(value_parser = ForwardPath::from_address)]
    pub(crate) address: ForwardPath,
    /// hold, discard or redirect:TARGET
    #[arg(value_parser = recipient_choice)]
    pub(crate) choice: Option<RecipientChoice>,
    /// Whether letters go to it
    #[arg(long)]
    pub(crate) letters: Option<Switch>,
    /// Days between two letters, or `default`
    #[arg(long, value_name = "N", value_parser = days)]
    pub(crate) days: Option<Setting<u16>>,
    /// The language that it is written to in: en, de or `default`
    #[arg(long, value_name = "LANGUAGE", value_parser = language)]
    pub(crate) language: Option<Setting<Language>>,
    /// Print as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

fn sender_choice(text: &str) -> Result<SenderChoice, &'static str> {
    SenderChoice::parse(text).ok_or("write hold, refuse or discard")
}

fn recipient_choice(text: &str) -> Result<RecipientChoice, String> {
    match text.split_once(':') {
        Some(("redirect", target)) => ForwardPath::from_address(target)
            .map(RecipientChoice::Redirect)
            .map_err(|error| format!("`{target}`: {error}")),
        None if text == "hold" => Ok(RecipientChoice::Hold),
        None if text == "discard" => Ok(RecipientChoice::Discard),
        _ => Err("write hold, discard or redirect:TARGET".to_owned()),
    }
}

fn days(text: &str) -> Result<Setting<u16>, &'static str> {
    if text == "default" {
        return Ok(Setting::Default);
    }
    let days = text.parse().ok().filter(|days| *days > 0);
    days.map(Setting::To)
        .ok_or("write a number of days from 1 to 65535, or default")
}

fn language(text: &str) -> Result<Setting<Language>, &'static str> {
    if text == "default" {
        return Ok(Setting::Default);
    }
    let language = text.parse().ok();
    language.map(Setting::To).ok_or("write en, de or default")
}

/// `posthouse dnsbl`.
#[derive(Subcommand)]
pub(crate) enum DnsblCommand {
    /// Show which lists are believed now, which are set aside and why, and what was counted
    Status(JsonArgs),
}

/// `posthouse observe`.
#[derive(Subcommand)]
pub(crate) enum ObserveCommand {
    /// Count what would have been refused, held and discarded, and list the newest cases
    Report(SinceArgs),
}

/// How far to look back, and what to list.
#[derive(Args)]
pub(crate) struct SinceArgs {
    /// Look back so far, such as 12h or 7d
    #[arg(long, value_name = "SPAN", default_value = "7d")]
    pub(crate) since: Span,
    /// List at most this many, the newest; the counts are of all
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: usize,
    /// Print as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `posthouse templates`.
#[derive(Subcommand)]
pub(crate) enum TemplatesCommand {
    /// Write every built-in template to a directory, to be changed and named as `templates`
    Export(ExportArgs),
}

/// Where to write templates.
#[derive(Args)]
pub(crate) struct ExportArgs {
    /// The directory; it is made if it is not there
    pub(crate) dir: PathBuf,
    /// Overwrite files that are there
    #[arg(long)]
    pub(crate) force: bool,
}

/// Which ledger is judged again, and how far back. `--config` names the new configuration.
#[derive(Args)]
pub(crate) struct ReplayArgs {
    /// Read the ledger in this state directory [default: the configuration's own]
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) look: SinceArgs,
}

/// How to run the demo.
#[derive(Args)]
pub(crate) struct DemoArgs {
    /// Exit after the table: 0 only if every row is as the matrix says
    #[arg(long)]
    pub(crate) once: bool,
    /// Keep the ledger here [default: a temporary directory, removed at the end]
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
}

/// Runs the command that was asked for.
pub(crate) fn run() -> ExitCode {
    let cli = Cli::parse();
    match dispatch(&cli.command, cli.config.as_deref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => told(&failure),
    }
}

fn dispatch(command: &Command, config: Option<&Path>) -> commands::Outcome {
    match command {
        Command::Serve => commands::serve::run(config),
        Command::Check => commands::check::run(config),
        Command::Chain(args) => commands::chain::run(config, args),
        Command::Explain(args) => commands::explain::run(config, args),
        Command::Forged(args) => commands::forged::run(config, args),
        Command::Status(args) => commands::status::run(config, args),
        Command::Queue(command) => commands::queue::run(config, command),
        Command::Held(command) => commands::held::run(config, command),
        Command::Dnsbl(command) => commands::dnsbl::run(config, command),
        Command::Observe(command) => commands::observe::run(config, command),
        Command::Templates(command) => commands::templates::run(command),
        Command::Replay(args) => commands::replay::run(config, args),
        Command::Letters(command) => commands::letters::run(config, command),
        Command::Sender(command) => commands::people::sender(config, command),
        Command::Recipient(command) => commands::people::recipient(config, command),
        Command::QuotaService(args) => commands::quota_service::run(args),
        Command::Demo(args) => commands::demo::run(args),
    }
}

/// Tells of a failure, and how the process is to end.
fn told(failure: &Failure) -> ExitCode {
    match failure {
        Failure::Told => ExitCode::FAILURE,
        Failure::Because(why) => {
            eprintln!("posthouse: {why}");
            ExitCode::FAILURE
        }
        Failure::Usage(why) => {
            eprintln!("posthouse: {why}");
            ExitCode::from(2)
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        super::Cli::command().debug_assert();
    }
}
