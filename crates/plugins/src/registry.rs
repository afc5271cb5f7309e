//! The table of plugins: which names a configuration may use, and who builds them.
//!
//! A new plugin is one module and one line here; a test holds docs/plugins to the table.

use std::sync::Arc;

use posthouse_hook::Plugin;

use crate::options::{BadValue, BuildError, Options};
use crate::surroundings::Surroundings;
use crate::{
    access, arc, attachments, authentication_results, clamav, dkim, dmarc, dnsbl, early_talker,
    forged_sender, greylist, gtube, helo, quarantine, quota, rate_limit, relay_clients,
    relay_domains, resolvable_sender, reverse_dns, rspamd, spamassassin, spf, verify,
};

/// Builds one plugin from its options. The first argument is its name in the configuration, under
/// which trails, logs and scans know it.
pub type Build =
    fn(&str, Options<'_>, &mut dyn Surroundings) -> Result<Arc<dyn Plugin>, BuildError>;

/// One line of the table.
#[derive(Clone, Copy)]
pub struct Entry {
    /// What `plugin = "…"` says.
    pub name: &'static str,
    /// What it does, in a few words.
    pub summary: &'static str,
    /// Who builds it.
    pub build: Build,
}

const fn entry(name: &'static str, summary: &'static str, build: Build) -> Entry {
    Entry {
        name,
        summary,
        build,
    }
}

/// Every plugin, in the order in which a chain usually has them.
pub const PLUGINS: &[Entry] = &[
    entry(
        "access",
        "refuses listed clients, HELO names, senders and recipients",
        access::build,
    ),
    entry(
        "verify_sender",
        "refuses senders of our domains that do not exist",
        verify::build_sender,
    ),
    entry(
        "verify_recipient",
        "refuses recipients in our domains that do not exist",
        verify::build_recipient,
    ),
    entry(
        "quota",
        "refuses recipients whose mailbox is over its quota",
        quota::build,
    ),
    entry(
        "greylist",
        "puts the first try of strangers off",
        greylist::build,
    ),
    entry(
        "rate_limit",
        "bounds how much a client, a user, a sender or a forwarder may send in a time",
        rate_limit::build,
    ),
    entry(
        "relay_clients",
        "takes any recipient from listed networks and authenticated clients",
        relay_clients::build,
    ),
    entry("spf", "judges the envelope sender by SPF", spf::build),
    entry(
        "reverse_dns",
        "notes the client's confirmed name; may refuse clients without one",
        reverse_dns::build,
    ),
    entry(
        "dnsbl",
        "asks lists in DNS about clients, their names and senders' domains",
        dnsbl::build,
    ),
    entry(
        "early_talker",
        "waits before the greeting, and refuses clients that do not",
        early_talker::build,
    ),
    entry(
        "helo",
        "checks the name that a client gives itself",
        helo::build,
    ),
    entry(
        "resolvable_sender",
        "refuses senders whose domain cannot receive mail",
        resolvable_sender::build,
    ),
    entry(
        "relay_domains",
        "takes recipients in listed domains from any client",
        relay_domains::build,
    ),
    entry("dkim", "verifies DKIM signatures", dkim::build),
    entry("arc", "verifies ARC chains", arc::build),
    entry(
        "dmarc",
        "asks whether SPF or DKIM prove header From",
        dmarc::build,
    ),
    entry(
        "authentication_results",
        "writes what was found of the sender above the message",
        authentication_results::build,
    ),
    entry(
        "forged_sender",
        "refuses senders that may not appear from outside",
        forged_sender::build,
    ),
    entry(
        "attachments",
        "refuses or holds files by name, by content, and in archives",
        attachments::build,
    ),
    entry(
        "clamav",
        "asks ClamAV's clamd for viruses, and refuses or holds them",
        clamav::build,
    ),
    entry(
        "quarantine",
        "holds spam by the decision matrix",
        quarantine::build,
    ),
    entry("gtube", "finds the GTUBE test string", gtube::build),
    entry(
        "spamassassin",
        "asks SpamAssassin's spamd for a score",
        spamassassin::build,
    ),
    entry("rspamd", "asks rspamd for a score", rspamd::build),
];

/// Builds the plugin that the configuration calls `kind`, under the name `name`.
///
/// The options are the plugin's table without the keys that every plugin has (`plugin`, `name`,
/// `timeout`, `on_error`); their spans lead errors back to line and column.
pub fn build(
    kind: &str,
    name: &str,
    options: toml::Spanned<toml::de::DeTable<'_>>,
    parts: &mut dyn Surroundings,
) -> Result<Arc<dyn Plugin>, BuildError> {
    let entry = PLUGINS
        .iter()
        .find(|entry| entry.name == kind)
        .ok_or_else(|| unknown(kind))?;
    let options = Options::new(options);
    let spans = options.spans();
    (entry.build)(name, options, parts).map_err(|error| error.at(&spans))
}

/// Every plugin's name, for messages and completions.
pub fn names() -> impl Iterator<Item = &'static str> {
    PLUGINS.iter().map(|entry| entry.name)
}

fn unknown(kind: &str) -> BuildError {
    let known: Vec<_> = names().collect();
    BadValue::new(
        "plugin",
        kind,
        "no plugin of that name",
        format!("known plugins: {}", known.join(", ")),
    )
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut all: Vec<_> = names().collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), PLUGINS.len());
    }
}
