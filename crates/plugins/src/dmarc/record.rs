//! A DMARC record (RFC 7489 §6.3, with the tags of its successor: np, psd, t).

use posthouse_hook::proofs::DmarcPolicy;

/// How near an identifier must be to the author's domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alignment {
    /// Of the same organization.
    Relaxed,
    /// The same.
    Strict,
}

/// What `psd=` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Suffix {
    /// A public suffix: organizations are one label below.
    Public,
    /// An organization.
    Organization,
    /// Nothing.
    Unsaid,
}

/// What a domain says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record {
    /// `p=`
    pub(super) own: DmarcPolicy,
    /// `sp=`: of names below.
    below: Option<DmarcPolicy>,
    /// `np=`: of names below that do not exist.
    pub(super) absent: Option<DmarcPolicy>,
    /// `adkim=`
    pub(super) dkim: Alignment,
    /// `aspf=`
    pub(super) spf: Alignment,
    /// `pct=`: to how many in a hundred messages the policy applies.
    percent: u8,
    /// `psd=`
    pub(super) suffix: Suffix,
}

/// Whose mail a policy is about, seen from the domain that has the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    Itself,
    Below,
    Absent,
}

impl Record {
    /// Reads a TXT record; none if it is no DMARC record. What is wrong behind the version counts as
    /// not said (RFC 7489 §6.3).
    pub(super) fn parse(txt: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(txt);
        let mut specs = text.split(';').map(|spec| {
            let (name, value) = spec.split_once('=').unwrap_or((spec, ""));
            (name.trim(), value.trim())
        });
        if specs.next()? != ("v", "DMARC1") {
            return None;
        }
        let tags: Vec<_> = specs.collect();
        let get = |name: &str| {
            let found = tags
                .iter()
                .find(|(known, _)| known.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.to_ascii_lowercase())
        };
        let percent = get("pct")
            .and_then(|n| n.parse().ok())
            .filter(|n| *n <= 100);
        let testing = get("t").as_deref() == Some("y");
        Some(Self {
            own: get("p")
                .and_then(|p| policy(&p))
                .unwrap_or(DmarcPolicy::None),
            below: get("sp").and_then(|p| policy(&p)),
            absent: get("np").and_then(|p| policy(&p)),
            dkim: alignment(get("adkim")),
            spf: alignment(get("aspf")),
            percent: if testing { 0 } else { percent.unwrap_or(100) },
            suffix: match get("psd").as_deref() {
                Some("y") => Suffix::Public,
                Some("n") => Suffix::Organization,
                _ => Suffix::Unsaid,
            },
        })
    }

    /// What is asked for. `draw` is from 0 to 99: messages that `pct=` leaves out, and all while
    /// `t=y`, get the next milder policy (RFC 7489 §6.6.4).
    pub(super) fn policy(&self, of: Of, draw: u8) -> DmarcPolicy {
        let below = self.below.unwrap_or(self.own);
        let asked = match of {
            Of::Itself => self.own,
            Of::Below => below,
            Of::Absent => self.absent.unwrap_or(below),
        };
        match (asked, draw < self.percent) {
            (asked, true) => asked,
            (DmarcPolicy::Reject, false) => DmarcPolicy::Quarantine,
            (DmarcPolicy::Quarantine | DmarcPolicy::None, false) => DmarcPolicy::None,
        }
    }
}

fn policy(text: &str) -> Option<DmarcPolicy> {
    match text {
        "none" => Some(DmarcPolicy::None),
        "quarantine" => Some(DmarcPolicy::Quarantine),
        "reject" => Some(DmarcPolicy::Reject),
        _ => None,
    }
}

fn alignment(text: Option<String>) -> Alignment {
    match text.as_deref() {
        Some("s") => Alignment::Strict,
        _ => Alignment::Relaxed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use DmarcPolicy::{None as Nothing, Quarantine, Reject};

    fn policy_of(record: &str, of: Of, draw: u8) -> DmarcPolicy {
        Record::parse(record.as_bytes())
            .expect("a record")
            .policy(of, draw)
    }

    #[test]
    fn policies_go_from_the_nearest_to_the_next() {
        for (record, want) in [
            ("v=DMARC1", [Nothing, Nothing, Nothing]),
            ("v=DMARC1; p=reject;", [Reject, Reject, Reject]),
            ("v=DMARC1;p=Reject;sp=none", [Reject, Nothing, Nothing]),
            (
                "v=DMARC1; p=none; sp=quarantine; np=reject",
                [Nothing, Quarantine, Reject],
            ),
            (
                "v=DMARC1; p=what; ; ruf; np=reject",
                [Nothing, Nothing, Reject],
            ),
        ] {
            let of = [Of::Itself, Of::Below, Of::Absent];
            assert_eq!(of.map(|of| policy_of(record, of, 0)), want, "{record}");
        }
    }

    #[test]
    fn a_part_of_the_messages_gets_a_milder_policy() {
        for (record, draw, want) in [
            ("v=DMARC1; p=reject; pct=30", 29, Reject),
            ("v=DMARC1; p=reject; pct=30", 30, Quarantine),
            ("v=DMARC1; p=quarantine; pct=0", 0, Nothing),
            ("v=DMARC1; p=reject; pct=101", 99, Reject),
            ("v=DMARC1; p=reject; t=y", 0, Quarantine),
            ("v=DMARC1; p=reject", 99, Reject),
        ] {
            assert_eq!(policy_of(record, Of::Itself, draw), want, "{record}");
        }
    }

    #[test]
    fn only_dmarc_records_are() {
        for bad in [
            "",
            "v=DMARC",
            "v=dmarc1; p=reject",
            "p=reject; v=DMARC1",
            "v=DMARC12",
        ] {
            assert!(Record::parse(bad.as_bytes()).is_none(), "{bad}");
        }
        let strict = Record::parse(b"v = DMARC1 ; adkim=s; aspf=S; psd=n").expect("a record");
        assert_eq!(
            (strict.dkim, strict.spf),
            (Alignment::Strict, Alignment::Strict)
        );
        assert_eq!(strict.suffix, Suffix::Organization);
    }
}
