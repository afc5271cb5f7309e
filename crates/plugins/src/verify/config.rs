//! The options of both plugins: one list of them, from which either's table is made.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use posthouse_hook::time::patience;
use posthouse_hook::{ReversePath, Span};
use serde::Deserialize;

use crate::directory::{CalloutSettings, Case, LdapSettings, Scope, Settings};
use crate::exempt::Exempt;
use crate::options::ListSpec;

/// What a dead directory means for an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum OnDead {
    /// Not now: 451 4.4.3.
    #[default]
    Defer,
    /// As if it existed; logged and counted each time.
    Pass,
}

/// The options, whichever plugin's they were.
pub(super) struct Config {
    pub(super) policy: Policy,
    pub(super) directory: Settings,
}

macro_rules! tables {
    (
        policy { $($(#[$pm:meta])* $policy:ident: $policy_type:ty,)* }
        directory { $($(#[$dm:meta])* $of:ident: $of_type:ty,)* }
        ldap { $($(#[$lm:meta])* $ldap:ident: $ldap_type:ty,)* }
        callout { $($(#[$cm:meta])* $probe:ident: $probe_type:ty,)* }
    ) => {
        /// How addresses are judged.
        pub(super) struct Policy {
            $(pub(super) $policy: $policy_type,)*
        }

        /// The table of `verify_sender`.
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(super) struct SenderTable {
            $($(#[$pm])* pub(super) $policy: $policy_type,)*
            $($(#[$dm])* pub(super) $of: $of_type,)*
            $($(#[$lm])* pub(super) $ldap: $ldap_type,)*
        }

        /// The table of `verify_recipient`.
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(super) struct RecipientTable {
            $($(#[$pm])* pub(super) $policy: $policy_type,)*
            $($(#[$dm])* pub(super) $of: $of_type,)*
            $($(#[$lm])* pub(super) $ldap: $ldap_type,)*
            $($(#[$cm])* pub(super) $probe: $probe_type,)*
        }

        impl From<SenderTable> for Config {
            fn from(table: SenderTable) -> Self {
                Self {
                    policy: Policy { $($policy: table.$policy,)* },
                    directory: Settings {
                        $($of: table.$of,)*
                        ldap: LdapSettings { $($ldap: table.$ldap,)* },
                        callout: None,
                    },
                }
            }
        }

        impl From<RecipientTable> for Config {
            fn from(table: RecipientTable) -> Self {
                Self {
                    policy: Policy { $($policy: table.$policy,)* },
                    directory: Settings {
                        $($of: table.$of,)*
                        ldap: LdapSettings { $($ldap: table.$ldap,)* },
                        callout: Some(CalloutSettings { $($probe: table.$probe,)* }),
                    },
                }
            }
        }
    };
}

tables! {
    policy {
        /// Whose addresses are verified; without it, those of `our_domains`.
        domains: Option<ListSpec>,
        /// The codes of the refusal.
        refusal: Option<String>,
        /// Its text; `{address}` is the address.
        text: Option<String>,
        #[serde(default)]
        on_dead: OnDead,
        /// Whom it leaves alone.
        #[serde(default)]
        exempt: Vec<Exempt>,
        /// The characters at which an extension of the local-part begins.
        #[serde(default)]
        recipient_delimiter: String,
        /// How long one answer of the directory may take.
        #[serde(default = "five_seconds", deserialize_with = "patience")]
        ask_timeout: Span,
        /// How long it is kept that an address exists.
        #[serde(default = "ten_minutes")]
        positive_ttl: Span,
        /// How long it is kept that it does not.
        #[serde(default = "one_minute")]
        negative_ttl: Span,
        /// Most answers that are kept.
        #[serde(default = "ten_thousand")]
        cache_entries: NonZeroUsize,
        /// How long a dead directory is left alone.
        #[serde(default = "half_a_minute")]
        rest: Span,
    }
    directory {
        source: String,
        #[serde(default)]
        case: Case,
        query: Option<String>,
    }
    ldap {
        #[serde(default)]
        start_tls: bool,
        ca_file: Option<PathBuf>,
        bind_dn: Option<String>,
        password: Option<String>,
        base: Option<String>,
        scope: Option<Scope>,
        domain_filter: Option<String>,
        address_filter: Option<String>,
        connections: Option<NonZeroUsize>,
    }
    callout {
        probe_sender: Option<ReversePath>,
        catch_all_check: Option<bool>,
    }
}

fn five_seconds() -> Span {
    Span(Duration::from_secs(5))
}

fn half_a_minute() -> Span {
    Span(Duration::from_secs(30))
}

fn one_minute() -> Span {
    Span(Duration::from_secs(60))
}

fn ten_minutes() -> Span {
    Span(Duration::from_secs(600))
}

fn ten_thousand() -> NonZeroUsize {
    NonZeroUsize::MIN.saturating_add(9_999)
}
