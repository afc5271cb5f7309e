//! The matrix's column: whether somebody vouches for the sender. Pure.

use posthouse_hook::{Column, ReversePath, Spf, Vouched};

/// What the column is decided by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Evidence {
    /// SPF of the unwrapped sender at the origin.
    pub(super) spf: Spf,
    /// Whose the sender's domain is.
    pub(super) domain: Whose,
    /// Whether the client authenticated.
    pub(super) client: Client,
    /// Where the origin is.
    pub(super) origin: Place,
}

/// Whose the sender's domain is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    Ours,
    Foreign,
}

/// Whether the client authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Client {
    Authenticated,
    Anonymous,
}

/// Where the origin is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    OurNetworks,
    Elsewhere,
}

/// The column. A forged "ours" must not bounce into a victim's box, so that ours alone is not
/// enough where SPF says fail; a null reverse-path is never vouched for.
pub(super) fn column(sender: &ReversePath, evidence: Evidence) -> Column {
    use Vouched::{OursAuthenticated, OursNetwork, OursSpfNotFail};
    if *sender == ReversePath::Null {
        return Column::NotVouched;
    }
    match evidence {
        Evidence { spf: Spf::Pass, .. } => Column::Vouched(Vouched::Spf),
        Evidence {
            domain: Whose::Foreign,
            ..
        } => Column::NotVouched,
        Evidence {
            client: Client::Authenticated,
            ..
        } => Column::Vouched(OursAuthenticated),
        Evidence {
            origin: Place::OurNetworks,
            ..
        } => Column::Vouched(OursNetwork),
        Evidence { spf: Spf::Fail, .. } => Column::NotVouched,
        Evidence { .. } => Column::Vouched(OursSpfNotFail),
    }
}

/// What the column rests on, for the trail.
pub(super) fn why(sender: &ReversePath, column: Column, spf: Spf) -> String {
    match column {
        Column::Vouched(Vouched::Spf) => "vouched for: SPF passes at the origin".to_owned(),
        Column::Vouched(Vouched::OursAuthenticated) => {
            "vouched for: our domain, and the client authenticated".to_owned()
        }
        Column::Vouched(Vouched::OursNetwork) => {
            "vouched for: our domain, and the origin is in our_networks".to_owned()
        }
        Column::Vouched(Vouched::OursSpfNotFail) => {
            format!("vouched for: our domain, and SPF at the origin is {spf}, not a fail")
        }
        Column::NotVouched if *sender == ReversePath::Null => {
            "not vouched for: the null reverse-path".to_owned()
        }
        Column::NotVouched => format!("not vouched for: SPF at the origin is {spf}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPFS: [Spf; 7] = [
        Spf::None,
        Spf::Neutral,
        Spf::Pass,
        Spf::Fail,
        Spf::SoftFail,
        Spf::TempError,
        Spf::PermError,
    ];

    fn evidence() -> impl Iterator<Item = Evidence> {
        SPFS.into_iter().flat_map(|spf| {
            (0..8_u8).map(move |bits| Evidence {
                spf,
                domain: if bits & 1 == 0 {
                    Whose::Ours
                } else {
                    Whose::Foreign
                },
                client: if bits & 2 == 0 {
                    Client::Authenticated
                } else {
                    Client::Anonymous
                },
                origin: if bits & 4 == 0 {
                    Place::OurNetworks
                } else {
                    Place::Elsewhere
                },
            })
        })
    }

    /// The sentence of the design, word by word, against the table.
    #[test]
    fn every_combination() {
        let sender = ReversePath::parse("<a@b.example>").expect("a path");
        for e in evidence() {
            let vouched = e.spf == Spf::Pass
                || (e.domain == Whose::Ours
                    && (e.client == Client::Authenticated
                        || e.origin == Place::OurNetworks
                        || e.spf != Spf::Fail));
            let got = column(&sender, e);
            assert_eq!(got != Column::NotVouched, vouched, "{e:?}");
            assert!(why(&sender, got, e.spf).contains(if vouched { "vouched" } else { "not " }));
        }
    }

    #[test]
    fn the_null_reverse_path_is_never_vouched_for() {
        for e in evidence() {
            assert_eq!(column(&ReversePath::Null, e), Column::NotVouched, "{e:?}");
        }
    }
}
