//! What the manage page shows: what is held of one sender, and what became of the newest of the
//! others.

use posthouse_hook::{Id, Timestamp};
use posthouse_store::{Item, Objection, Pending, Sender, State as CopyState};
use serde::Serialize;

use crate::rules::Rules;
use crate::sender::{Choice, Own, Word};
use crate::show::{self, Moment};

/// Messages on one page.
pub(crate) const PAGE: usize = 25;
/// Messages that are shown although nothing of them is held any more.
pub(crate) const SETTLED: usize = 5;
/// Longest name or subject in characters.
const MAX_TEXT: usize = 200;
/// Recipients of one message that are named.
const MAX_NAMED: usize = 3;

/// What the page shows.
#[derive(Debug, Serialize)]
pub(crate) struct View {
    own: Own,
    rows: Vec<Row>,
    settled: Vec<Row>,
    /// Whether one of the rows can be released.
    can_release: bool,
    /// The next page's path.
    more: Option<String>,
    /// Whether this is not the first page.
    later: bool,
    /// What was searched for.
    text: String,
    path: String,
    form: String,
    word: Option<Word>,
    objection: Option<Objection>,
    #[serde(skip)]
    last: Option<Id>,
}

impl View {
    /// The list of a sender; one item more than a page says that there is a next page.
    pub(crate) fn of(sender: &Sender, items: &[Item], rules: &Rules, now: Timestamp) -> Self {
        let shown = &items[..items.len().min(PAGE)];
        let row = |item: &Item| Row::of(item, Choice::of(item, rules), now);
        let rows: Vec<_> = shown.iter().map(row).collect();
        Self {
            own: Own::of(sender, now).at_once(),
            can_release: rows.iter().any(|row| row.choice == Choice::Release),
            rows,
            settled: Vec::new(),
            more: None,
            later: false,
            text: String::new(),
            path: String::new(),
            form: String::new(),
            word: None,
            objection: None,
            last: shown.last().map(|i| i.id).filter(|_| items.len() > PAGE),
        }
    }

    /// The same with a choice that waits for its confirm link.
    pub(crate) fn with_waiting(mut self, pending: Option<&Pending>, now: Timestamp) -> Self {
        if let Some(pending) = pending {
            self.own = self.own.waiting(pending, now);
        }
        self
    }

    /// The same with messages of which nothing is held any more.
    pub(crate) fn with_settled(mut self, items: &[Item], now: Timestamp) -> Self {
        let row = |item| Row::of(item, Choice::Nothing, now);
        self.settled = items.iter().map(row).collect();
        self
    }

    /// The same as a part of the list behind a path.
    pub(crate) fn with_place(mut self, path: &str, text: Option<&str>, before: Option<Id>) -> Self {
        let search = text.map(|text| format!("&text={}", percent(text)));
        let search = search.unwrap_or_default();
        self.more = self.last.map(|id| format!("{path}?before={id}{search}"));
        self.later = before.is_some();
        self.text = show::line(text.unwrap_or_default(), MAX_TEXT);
        path.clone_into(&mut self.path);
        self
    }

    /// The same with what came of the form before.
    pub(crate) fn with_said(mut self, word: Option<Word>, objection: Option<Objection>) -> Self {
        self.word = word;
        self.objection = objection;
        self
    }

    /// The same with the token that its forms need.
    pub(crate) fn with_form(mut self, form: String) -> Self {
        self.form = form;
        self
    }
}

/// One message.
#[derive(Debug, Serialize)]
struct Row {
    id: Id,
    choice: Choice,
    to: Vec<String>,
    /// Recipients beyond those.
    others: usize,
    subject: String,
    received: Moment,
    /// In octets.
    size: u64,
    /// Where its copies stand, each state once.
    states: Vec<CopyState>,
}

impl Row {
    fn of(item: &Item, choice: Choice, now: Timestamp) -> Self {
        let mut states: Vec<CopyState> = Vec::new();
        for copy in &item.recipients {
            if !states.contains(&copy.state) {
                states.push(copy.state);
            }
        }
        let named = item.recipients.iter().take(MAX_NAMED);
        Self {
            id: item.id,
            choice,
            to: named
                .map(|copy| show::line(&copy.address.address(), MAX_TEXT))
                .collect(),
            others: item.recipients.len().saturating_sub(MAX_NAMED),
            subject: show::line(&item.subject, MAX_TEXT),
            received: show::moment(item.received_at, now),
            size: item.size,
            states,
        }
    }
}

/// A text for a query (RFC 3986 §2.1): all but letters and digits as octets.
fn percent(text: &str) -> String {
    let mut out = String::new();
    for octet in text.bytes() {
        if octet.is_ascii_alphanumeric() {
            out.push(char::from(octet));
        } else {
            out.push_str(&format!("%{octet:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn one_more_than_a_page_makes_a_next_page_of_the_same_search() {
        let sender = samples::sender("ann@x.example");
        let items = vec![samples::item(&[CopyState::Held]); PAGE + 1];
        let view = |items| View::of(&sender, items, &samples::rules(), Timestamp(0));
        let full = view(&items[..PAGE]).with_place("/m/x", None, None);
        assert_eq!((full.rows.len(), full.more), (PAGE, None));
        let more = view(&items).with_place("/m/x", Some("a&b ü"), Some(Id(99)));
        assert_eq!(
            more.more.as_deref(),
            Some("/m/x?before=17&text=a%26b%20%C3%BC")
        );
        assert!(more.later);
    }

    #[test]
    fn many_recipients_are_counted() {
        let mut item = samples::item(&[CopyState::Held, CopyState::Failed, CopyState::Held]);
        item.recipients.push(item.recipients[0].clone());
        let row = Row::of(&item, Choice::Release, Timestamp(0));
        assert_eq!((row.to.len(), row.others), (3, 1));
        assert_eq!(row.states, [CopyState::Held, CopyState::Failed]);
    }
}
