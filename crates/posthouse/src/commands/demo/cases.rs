//! The demo's messages: one for each cell of the matrix and a clean one, and what must become of
//! each.

/// The Generic Test for Unsolicited Bulk Email, as published by the SpamAssassin project. In two
/// pieces, so that this file is not found to be spam itself.
const GTUBE: [&str; 2] = [
    "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-",
    "ANTI-UBE-TEST-EMAIL*C.34X",
];

/// One message and what must become of it.
pub(super) struct Case {
    pub(super) from: &'static str,
    pub(super) to: &'static str,
    pub(super) cell: &'static str,
    spam: bool,
    code: &'static str,
    held: bool,
    reached: bool,
    letter: bool,
}

/// What became of a message.
pub(super) struct Seen {
    /// The whole reply to the end of DATA.
    pub(super) told: String,
    /// Copies in the quarantine.
    pub(super) held: usize,
    /// Times that it reached the next hop.
    pub(super) reached: usize,
    /// Letters to its recipient.
    pub(super) letters: usize,
    pub(super) letter_link: Option<String>,
}

/// The four cells, and a message that is not spam.
pub(super) const CASES: &[Case] = &[
    Case {
        from: "ann@isp.example",
        to: "bob@filtered.example",
        cell: "filtered, vouched",
        spam: true,
        code: "552",
        held: true,
        reached: false,
        letter: true,
    },
    Case {
        from: "stranger@elsewhere.example",
        to: "carol@filtered.example",
        cell: "filtered, not vouched",
        spam: true,
        code: "250",
        held: true,
        reached: false,
        letter: true,
    },
    Case {
        from: "ann@isp.example",
        to: "dave@other.example",
        cell: "other, vouched",
        spam: true,
        code: "552",
        held: true,
        reached: false,
        letter: false,
    },
    Case {
        from: "stranger@elsewhere.example",
        to: "erin@other.example",
        cell: "other, not vouched",
        spam: true,
        code: "250",
        held: false,
        reached: true,
        letter: false,
    },
    Case {
        from: "ann@isp.example",
        to: "frank@filtered.example",
        cell: "not spam",
        spam: false,
        code: "250",
        held: false,
        reached: true,
        letter: false,
    },
];

impl Case {
    /// The message, with CRLF line ends.
    pub(super) fn message(&self) -> String {
        let body = if self.spam {
            GTUBE.concat()
        } else {
            "See you at noon.".to_owned()
        };
        format!(
            "From: <{}>\r\nTo: <{}>\r\nSubject: {}\r\nDate: Fri, 20 Nov 2026 09:00:00 +0000\r\n\r\n{body}\r\n",
            self.from, self.to, self.cell
        )
    }

    /// How many messages it makes the next hop receive.
    pub(super) fn arrivals(&self) -> usize {
        usize::from(self.reached) + usize::from(self.letter)
    }

    /// Whether it came as the matrix says.
    pub(super) fn is_met(&self, seen: &Seen) -> bool {
        let once = |wanted: bool, count: usize| count == usize::from(wanted);
        seen.told.starts_with(self.code)
            && seen.release_link().is_some() == (self.code == "552")
            && once(self.held, seen.held)
            && once(self.reached, seen.reached)
            && once(self.letter, seen.letters)
            && seen.letter_link.is_some() == self.letter
    }
}

impl Seen {
    /// Code, enhanced code and the first words of the reply.
    pub(super) fn first_words(&self) -> String {
        let line = self.told.lines().next().unwrap_or_default();
        line.chars().take(44).collect()
    }

    /// The link in the reply.
    pub(super) fn release_link(&self) -> Option<&str> {
        self.told
            .split_whitespace()
            .find(|word| word.starts_with("http"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn as_wanted(case: &Case) -> Seen {
        let link = if case.code == "552" {
            " http://localhost/i/x"
        } else {
            ""
        };
        Seen {
            told: format!("{} 5.7.1 words{link}", case.code),
            held: case.held.into(),
            reached: case.reached.into(),
            letters: case.letter.into(),
            letter_link: case.letter.then(|| "http://localhost/a/x".to_owned()),
        }
    }

    #[test]
    fn every_difference_is_seen() {
        for case in CASES {
            assert!(case.is_met(&as_wanted(case)), "{}", case.cell);
            let spoil: [fn(&mut Seen); 6] = [
                |seen| seen.told = "451 4.3.0 Local error".to_owned(),
                |seen| seen.told.push_str(" http://localhost/i/another"),
                |seen| seen.held ^= 1,
                |seen| seen.reached = 2,
                |seen| seen.letters ^= 1,
                |seen| seen.letter_link = seen.letter_link.is_none().then(String::new),
            ];
            for (n, spoil) in spoil.into_iter().enumerate() {
                let mut seen = as_wanted(case);
                spoil(&mut seen);
                // A second link in a 552 is no difference.
                let same = n == 1 && case.code == "552";
                assert_eq!(case.is_met(&seen), same, "{} {n}", case.cell);
            }
        }
    }
}
