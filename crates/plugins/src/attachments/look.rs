//! One look at one message: what it may cost, what was found, and when to stop.
//!
//! Every part of the look counts here. Whoever reaches a limit stops the whole look: what was not
//! seen is never clean.

use std::io::{self, Read};
use std::time::Instant;

use posthouse_hook::trail::{cut, visible};

use super::cause::{Action, Cause, Limit};
use super::config::Rules;
use super::mime::Walker;

/// Octets that are read at a time.
const BLOCK: usize = 32 * 1024;
/// Most findings that are kept; worse ones take the place of the last.
const MAX_FINDINGS: usize = 32;
/// Longest name that is kept, in characters.
const MAX_NAME: usize = 120;
/// Longest place that is kept, in characters.
const MAX_PLACE: usize = 200;
/// Most members of zips that may be open at once, in all zips of a message.
const MAX_OPEN: usize = 64;
/// What may be unpacked of anything, in octets, before the ratio counts.
const RATIO_FLOOR: u64 = 8 * 1024 * 1024;

/// The look is over: there is a finding that decides.
#[derive(Debug)]
pub(super) struct Stop;

/// Whether to go on.
pub(super) type Go = Result<(), Stop>;

/// Something that a rule is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// What it is.
    pub(super) cause: Cause,
    /// The attachment's name, without what could disguise it; empty if it has none.
    pub(super) name: String,
    /// Where it is: the number of the part, and the archives and messages that it is in.
    pub(super) place: String,
}

/// The costs and findings so far.
pub(super) struct Look<'r> {
    /// What is looked for.
    pub(super) rules: &'r Rules,
    deadline: Instant,
    read: u64,
    unpacked: u64,
    parts: usize,
    members: usize,
    open: usize,
    /// What was found.
    pub(super) findings: Vec<Finding>,
}

/// Looks at a whole message. Blocks; costs at most what the rules allow, until the deadline.
pub(super) fn look(
    mut reader: impl Read,
    rules: &Rules,
    deadline: Instant,
) -> io::Result<Vec<Finding>> {
    let mut look = Look::new(rules, deadline);
    let mut walker = Walker::message(0, String::new());
    let mut block = vec![0; BLOCK];
    loop {
        let read = reader.read(&mut block)?;
        let went = match read {
            0 => walker.end(&mut look),
            _ => look
                .reads(read)
                .and_then(|()| walker.feed(&block[..read], &mut look)),
        };
        if read == 0 || went.is_err() {
            return Ok(look.findings);
        }
    }
}

impl<'r> Look<'r> {
    pub(super) fn new(rules: &'r Rules, deadline: Instant) -> Self {
        Self {
            rules,
            deadline,
            read: 0,
            unpacked: 0,
            parts: 0,
            members: 0,
            open: 0,
            findings: Vec::new(),
        }
    }

    /// Octets of the message itself.
    fn reads(&mut self, octets: usize) -> Go {
        self.read += octets as u64;
        self.in_time()?;
        self.within(self.read <= self.rules.max_size, Limit::Size)
    }

    /// Octets that an archive was unpacked to.
    pub(super) fn unpacks(&mut self, octets: usize) -> Go {
        self.unpacked += octets as u64;
        self.in_time()?;
        self.within(self.unpacked <= self.rules.max_unpacked, Limit::Unpacked)?;
        let most = RATIO_FLOOR.max(self.read.saturating_mul(self.rules.max_ratio));
        self.within(self.unpacked <= most, Limit::Ratio)
    }

    /// One more part.
    pub(super) fn part(&mut self) -> Result<usize, Stop> {
        self.parts += 1;
        self.within(self.parts <= self.rules.max_parts, Limit::Parts)?;
        Ok(self.parts)
    }

    /// One more member of an archive.
    pub(super) fn member(&mut self) -> Go {
        self.members += 1;
        self.within(self.members <= self.rules.max_members, Limit::Members)
    }

    /// A member of a zip is open: more of them at once than an honest zip has are a limit.
    pub(super) fn opens(&mut self) -> Go {
        self.open += 1;
        self.within(self.open <= MAX_OPEN, Limit::Overlap)
    }

    /// It is closed again.
    pub(super) fn closes(&mut self) {
        self.open = self.open.saturating_sub(1);
    }

    /// Something is opened that lies this deep.
    pub(super) fn depth(&mut self, depth: usize) -> Go {
        self.within(depth <= self.rules.max_depth, Limit::Depth)
    }

    fn in_time(&mut self) -> Go {
        self.within(Instant::now() < self.deadline, Limit::Time)
    }

    /// Stops the look if a limit is reached.
    pub(super) fn within(&mut self, within: bool, limit: Limit) -> Go {
        match within {
            true => Ok(()),
            false => self.find(Cause::Limit(limit), "", ""),
        }
    }

    /// Checks a name; whether it may be used is the rules' word.
    pub(super) fn name(&mut self, name: &str, place: &str) -> Go {
        match super::names::forbidden(name, &self.rules.extensions) {
            Some(extension) => self.find(Cause::Name(extension), name, place),
            None => Ok(()),
        }
    }

    /// Keeps a finding that the rules are about, and stops where nothing can change the decision.
    pub(super) fn find(&mut self, cause: Cause, name: &str, place: &str) -> Go {
        let Some(action) = self.rules.action(&cause) else {
            return Ok(());
        };
        let stops = action == Action::Refuse || matches!(cause, Cause::Limit(_));
        self.keep(
            action,
            Finding {
                cause,
                name: cut(&visible(name), MAX_NAME).to_owned(),
                place: cut(&visible(place), MAX_PLACE).to_owned(),
            },
        );
        if stops { Err(Stop) } else { Ok(()) }
    }

    fn keep(&mut self, action: Action, finding: Finding) {
        if self.findings.contains(&finding) {
            return;
        }
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(finding);
        } else if self.rules.worst(&self.findings) < Some(action) {
            self.findings.pop();
            self.findings.push(finding);
        }
    }
}
