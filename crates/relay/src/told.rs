//! What a next hop said in one transaction, and what that means for each recipient. Pure: the
//! tables of RFC 5321 §4.3.2, without a connection.

use std::time::Duration;

use posthouse_hook::Enhanced;

use crate::answer::{Answer, Class, Fate, Heard};
use crate::body::BodyError;
use crate::config::Timeouts;
use crate::connect::Standing;

/// The steps, each with its own deadline (RFC 5321 §4.5.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Reset,
    Mail,
    Rcpt,
    Data,
    Dot,
}

/// What the next hop said, as far as it came.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) mail: Option<Heard>,
    pub(crate) rcpt: Vec<Heard>,
    pub(crate) data: Option<Heard>,
    pub(crate) dot: Option<Heard>,
}

/// The transaction ended without a reply.
#[derive(Debug)]
pub(crate) struct Broken {
    fate: Fate,
    status: Enhanced,
    why: String,
}

/// Whether the next hop heard of the message at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hearing {
    /// It answered MAIL.
    Heard,
    /// It answered MAIL by closing (421).
    Closed,
    /// It gave no reply to MAIL.
    Deaf,
}

impl Step {
    pub(crate) fn limit(self, timeouts: &Timeouts) -> Duration {
        match self {
            Self::Reset | Self::Mail => timeouts.mail.0,
            Self::Rcpt => timeouts.rcpt.0,
            Self::Data => timeouts.data.0,
            Self::Dot => timeouts.dot.0,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Reset => "RSET",
            Self::Mail => "MAIL",
            Self::Rcpt => "RCPT",
            Self::Data => "DATA",
            Self::Dot => "the end of the message",
        }
    }
}

impl Told {
    /// Recipients that the next hop took.
    pub(crate) fn takers(&self) -> usize {
        let mail = self.mail.as_ref().is_some_and(|m| m.class() == Class::Yes);
        let taken = self.rcpt.iter().filter(|r| r.class() == Class::Yes);
        if mail { taken.count() } else { 0 }
    }

    /// Whether DATA was taken, so that a message, or a dot alone, must follow.
    pub(crate) fn wants_message(&self) -> bool {
        self.data.as_ref().is_some_and(|d| d.class() == Class::GoOn)
    }

    fn all(&self) -> impl Iterator<Item = &Heard> {
        let [mail, data, dot] = [&self.mail, &self.data, &self.dot].map(Option::as_ref);
        mail.into_iter().chain(&self.rcpt).chain(data).chain(dot)
    }

    /// What the connection is good for after this.
    pub(crate) fn standing(&self, broken: bool) -> Standing {
        let begun = self.mail.as_ref().is_some_and(|m| m.class() == Class::Yes);
        if broken || self.all().any(Heard::closes) {
            Standing::Broken
        } else if begun && !self.wants_message() {
            Standing::Open
        } else {
            Standing::Clean
        }
    }

    /// See [`Hearing`].
    pub(crate) fn hearing(&self) -> Hearing {
        match &self.mail {
            Some(mail) if mail.closes() => Hearing::Closed,
            Some(_) => Hearing::Heard,
            None => Hearing::Deaf,
        }
    }

    /// The first refusal on this recipient's way decides, else the reply to the dot.
    pub(crate) fn answer(&self, at: usize, broken: Option<&Broken>, peer: &str) -> Answer {
        let refuses = |heard: &&Heard| matches!(heard.class(), Class::NotNow | Class::No);
        if let Some(mail) = self.mail.as_ref().filter(refuses) {
            return Answer::heard(mail, peer);
        }
        if let Some(rcpt) = self.rcpt.get(at).filter(refuses) {
            return refused_recipient(rcpt, peer);
        }
        let last = self.data.as_ref().filter(refuses).or(self.dot.as_ref());
        match (last, broken) {
            (Some(heard), _) => Answer::heard(heard, peer),
            (None, Some(broken)) => broken.answer(peer),
            (None, None) => Broken::at(Step::Dot, "said nothing").answer(peer),
        }
    }
}

/// RFC 5321 §4.5.3.1.10: 552 to RCPT means too many recipients and is taken for 452.
fn refused_recipient(rcpt: &Heard, peer: &str) -> Answer {
    let mut answer = Answer::heard(rcpt, peer);
    if rcpt.code == 552 {
        answer.fate = Fate::Later;
    }
    answer
}

impl Broken {
    /// The connection failed at a step (RFC 3463 X.4.2).
    pub(crate) fn at(step: Step, why: &str) -> Self {
        Self {
            fate: Fate::Later,
            status: Enhanced(4, 4, 2),
            why: format!("{why}, at {}", step.name()),
        }
    }

    pub(crate) fn answer(&self, peer: &str) -> Answer {
        Answer::own(self.fate, self.status, &self.why, peer)
    }
}

impl From<BodyError> for Broken {
    fn from(error: BodyError) -> Self {
        let (fate, status) = match error {
            BodyError::Bare(_) => (Fate::Never, Enhanced(5, 6, 0)),
            BodyError::Spool(_) => (Fate::Later, Enhanced(4, 3, 0)),
            BodyError::Wire(_) | BodyError::Slow(_) => (Fate::Later, Enhanced(4, 4, 2)),
        };
        Self {
            fate,
            status,
            why: error.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Codes for MAIL, two RCPT, DATA and the dot; 0: no reply came any more.
    fn told(codes: [u16; 5]) -> Told {
        let mut heard = codes
            .map(|code| (code != 0).then(|| Heard::new(code, "")))
            .into_iter();
        let mut next = || heard.next().flatten();
        Told {
            mail: next(),
            rcpt: [next(), next()].into_iter().flatten().collect(),
            data: next(),
            dot: next(),
        }
    }

    #[test]
    fn the_first_refusal_on_a_recipient_s_way_decides() {
        use Fate::{Delivered, Later, Never};
        for (codes, fates) in [
            ([250, 250, 250, 354, 250], [Delivered, Delivered]),
            ([250, 550, 251, 354, 250], [Never, Delivered]),
            ([250, 450, 250, 354, 550], [Later, Never]),
            ([250, 552, 250, 354, 452], [Later, Later]),
            ([550, 250, 250, 354, 250], [Never, Never]),
            ([451, 503, 503, 503, 0], [Later, Later]),
            ([250, 550, 450, 354, 250], [Never, Later]),
            ([250, 550, 250, 554, 0], [Never, Never]),
            ([250, 550, 250, 354, 0], [Never, Later]),
            ([250, 550, 0, 0, 0], [Never, Later]),
            ([0, 0, 0, 0, 0], [Later, Later]),
        ] {
            let told = told(codes);
            let broken = Broken::at(Step::Dot, "closed");
            let fate = |at| told.answer(at, Some(&broken), "peer").fate;
            assert_eq!([fate(0), fate(1)], fates, "{codes:?}");
        }
    }

    #[test]
    fn what_a_connection_is_good_for() {
        for (codes, broken, standing, hearing) in [
            (
                [250, 250, 250, 354, 250],
                false,
                Standing::Clean,
                Hearing::Heard,
            ),
            (
                [250, 550, 550, 503, 0],
                false,
                Standing::Open,
                Hearing::Heard,
            ),
            (
                [550, 503, 503, 503, 0],
                false,
                Standing::Clean,
                Hearing::Heard,
            ),
            (
                [250, 250, 250, 354, 421],
                false,
                Standing::Broken,
                Hearing::Heard,
            ),
            ([421, 0, 0, 0, 0], true, Standing::Broken, Hearing::Closed),
            ([0, 0, 0, 0, 0], true, Standing::Broken, Hearing::Deaf),
        ] {
            let told = told(codes);
            assert_eq!(told.standing(broken), standing, "{codes:?}");
            assert_eq!(told.hearing(), hearing, "{codes:?}");
        }
    }
}
