//! What each plugin said, in order, with its time. Shown in the log, by `explain`, on the pages.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::link::redact;
use crate::point::HookPoint;

/// Longest remark in characters: a trail is bounded whatever a peer sends.
const MAX_REMARK: usize = 500;
/// Most remarks that an entry keeps.
const MAX_REMARKS: usize = 100;
/// Most entries that a trail keeps; what comes later is counted only.
const MAX_ENTRIES: usize = 400;
/// What is kept of these for the end of a transaction: many recipients must not push out what
/// decided about the message.
const FOR_THE_END: usize = 100;

/// One plugin's word at one hook point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrailEntry {
    /// The plugin's name in the configuration.
    pub plugin: String,
    /// Where it was asked.
    pub point: HookPoint,
    /// The verdict in words, for example `pass` or `refuse 550 5.7.1`.
    pub said: String,
    /// What it remarked: facts, reasons, causes. Never shown to the client.
    pub remarks: Vec<String>,
    /// How long it took, in microseconds.
    pub micros: u64,
    /// The trail of the chain that it ran aside.
    #[serde(default, skip_serializing_if = "Trail::is_empty")]
    pub aside: Trail,
}

/// The entries so far, and the remarks of the plugin that is being asked.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Trail {
    /// In the order in which the plugins spoke.
    pub entries: Vec<TrailEntry>,
    /// How many entries were dropped for want of room.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropped: u32,
    #[serde(skip)]
    remarks: Vec<String>,
    #[serde(skip)]
    aside: Vec<TrailEntry>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl Trail {
    /// Whether no plugin has spoken.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds a remark to the entry of the plugin that is being asked now.
    ///
    /// Control characters are replaced, so a remark that quotes a peer cannot forge a log line. What
    /// is too long or too much is cut.
    pub fn remark(&mut self, text: impl fmt::Display) {
        if self.remarks.len() == MAX_REMARKS {
            return;
        }
        // Redacted before it is cut: half a link would not be known for one.
        let text = redact(&text.to_string());
        self.remarks.push(visible(cut(&text, MAX_REMARK)));
    }

    /// Hangs the trail of a chain that was run aside under the plugin that is being asked now.
    pub fn adopt(&mut self, aside: Trail) {
        self.aside.extend(aside.entries);
        self.dropped += aside.dropped;
    }

    /// Closes the entry of one plugin with what it remarked since the last one.
    pub(crate) fn close(&mut self, plugin: &str, point: HookPoint, said: String, took: Duration) {
        let remarks = std::mem::take(&mut self.remarks);
        let aside = std::mem::take(&mut self.aside);
        let room = match point {
            HookPoint::Headers | HookPoint::Data | HookPoint::Queue => MAX_ENTRIES,
            _ => MAX_ENTRIES - FOR_THE_END,
        };
        if self.entries.len() >= room {
            self.dropped += 1;
            return;
        }
        self.entries.push(TrailEntry {
            plugin: plugin.to_owned(),
            point,
            said,
            remarks,
            micros: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            aside: Trail {
                entries: aside,
                ..Trail::default()
            },
        });
    }

    /// Forgets what was said after the first `len` entries: RSET ends the transaction's part.
    pub fn truncate(&mut self, len: usize) {
        self.entries.truncate(len);
    }
}

/// The first `most` characters.
pub fn cut(text: &str, most: usize) -> &str {
    let end = text.char_indices().nth(most);
    end.map_or(text, |(at, _)| &text[..at])
}

/// Replaces control characters, and Unicode's marks for direction and without a width, which could
/// disguise a line or hide words in it.
pub fn visible(text: &str) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
    };
    text.replace(hidden, "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Id, LinkKey, LinkKind};

    #[test]
    fn a_remark_that_is_cut_gives_no_secret_away() {
        let key = LinkKey::new([7; 32], "https://out.isp.example");
        let link = key.mint(LinkKind::Item, Id(17), "a@b.example", 0);
        let mut trail = Trail::default();
        let before = MAX_REMARK - link.reveal().len() + 1;
        trail.remark(format!("{}{}", "x".repeat(before), link.reveal()));
        trail.close("p", HookPoint::Data, "pass".to_owned(), Duration::ZERO);
        let remark = &trail.entries[0].remarks[0];
        assert!(!remark.contains(&link.token()[..20]), "{remark}");
        assert!(remark.chars().count() <= MAX_REMARK);
    }

    #[test]
    fn remarks_are_one_line_each_and_bounded_in_number() {
        let mut trail = Trail::default();
        for _ in 0..10_000 {
            trail.remark("a\r\nforged\u{202e}");
        }
        trail.close("p", HookPoint::Rcpt, "pass".to_owned(), Duration::ZERO);
        let remarks = &trail.entries[0].remarks;
        assert_eq!(remarks[0], "a\u{fffd}\u{fffd}forged\u{fffd}");
        assert!(remarks.len() <= 100, "{}", remarks.len());
    }

    #[test]
    fn many_recipients_leave_room_for_the_end() {
        let mut trail = Trail::default();
        let mut say = |point, times| {
            for _ in 0..times {
                trail.close("p", point, "pass".to_owned(), Duration::ZERO);
            }
        };
        say(HookPoint::Rcpt, 1000);
        say(HookPoint::Data, 1000);
        let at_the_end = trail.entries.iter().filter(|e| e.point == HookPoint::Data);
        assert_eq!(at_the_end.count(), FOR_THE_END);
        assert_eq!(trail.entries.len(), MAX_ENTRIES);
        assert_eq!(trail.dropped, 2000 - 400);
    }

    #[test]
    fn what_was_run_aside_hangs_under_who_ran_it() {
        let mut fork = Trail::default();
        fork.close(
            "scanner",
            HookPoint::Data,
            "pass".to_owned(),
            Duration::ZERO,
        );
        let mut trail = Trail::default();
        trail.adopt(fork);
        trail.close("policy", HookPoint::Data, "pass".to_owned(), Duration::ZERO);
        trail.close("next", HookPoint::Data, "pass".to_owned(), Duration::ZERO);
        let under: Vec<_> = trail
            .entries
            .iter()
            .map(|e| e.aside.entries.len())
            .collect();
        assert_eq!(under, [1, 0]);
    }
}
