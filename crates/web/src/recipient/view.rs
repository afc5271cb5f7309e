//! What the recipient's page shows: what is held for one address, and nobody else's copies.

use posthouse_hook::{Id, Timestamp};
use posthouse_store::{Address, Item, ItemRecipient, Letters, State as CopyState};
use serde::Serialize;

use super::deed::Done;
use crate::show::{self, Moment};

/// Messages on one page.
pub(crate) const PAGE: usize = 25;
/// Longest name or subject in characters.
const MAX_TEXT: usize = 200;

/// The copy that is held for the address; nobody else's.
pub(crate) fn own_copy<'a>(item: &'a Item, address: &Address) -> Option<&'a ItemRecipient> {
    item.recipients
        .iter()
        .find(|copy| copy.state == CopyState::Held && copy.address.key() == address.address)
}

/// What the page shows.
#[derive(Debug, Serialize)]
pub(crate) struct View {
    address: String,
    letters: Letters,
    last_letter: Option<Moment>,
    rows: Vec<Row>,
    /// The id of the newest message shown.
    newest: Option<Id>,
    /// The next page's path.
    more: Option<String>,
    /// Whether this is not the first page.
    later: bool,
    path: String,
    form: String,
    done: Option<Done>,
}

impl View {
    /// The list of an address; one item more than a page says that there is a next page.
    pub(crate) fn of(address: &Address, items: &[Item], path: &str, now: Timestamp) -> Self {
        let shown = &items[..items.len().min(PAGE)];
        let own = shown.iter().filter(|i| own_copy(i, address).is_some());
        let last = shown.last().filter(|_| items.len() > PAGE);
        Self {
            address: show::line(&address.address, MAX_TEXT),
            letters: address.letters,
            last_letter: address.last_letter.map(|at| show::moment(at, now)),
            rows: own.map(|item| Row::of(item, now)).collect(),
            newest: shown.first().map(|item| item.id),
            more: last.map(|item| format!("{path}?before={}", item.id)),
            later: false,
            path: path.to_owned(),
            form: String::new(),
            done: None,
        }
    }

    /// The same with the token that its forms need.
    pub(super) fn with_form(mut self, form: String) -> Self {
        self.form = form;
        self
    }

    /// The same as the page below `before`, behind what was done.
    pub(crate) fn after(mut self, before: Option<Id>, done: Option<Done>) -> Self {
        self.later = before.is_some();
        self.done = done;
        self
    }
}

/// One held message.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    id: Id,
    from: String,
    subject: String,
    received: Moment,
    /// In octets.
    size: u64,
}

impl Row {
    /// What an address's owner may know of a message before reading it.
    pub(crate) fn of(item: &Item, now: Timestamp) -> Self {
        let from = match item.from.trim() {
            "" => item.reverse_path.address(),
            from => from.to_owned(),
        };
        Self {
            id: item.id,
            from: show::line(&from, MAX_TEXT),
            subject: show::line(&item.subject, MAX_TEXT),
            received: show::moment(item.received_at, now),
            size: item.size,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn nobody_elses_copy_is_listed() {
        let address = samples::address("second@y.example");
        let mut item = samples::item(&[CopyState::Held, CopyState::Delivered]);
        item.recipients[1].address = samples::forward_path("Second@y.example");
        assert!(own_copy(&item, &address).is_none());
        item.recipients[1].state = CopyState::Held;
        let own = own_copy(&item, &address).expect("held");
        assert_eq!(own.id, item.recipients[1].id);
        let view = View::of(&address, &[item], "/a/x", Timestamp(0));
        let json = serde_json::to_string(&view).expect("a view");
        assert!(!json.contains("first@"), "{json}");
    }

    #[test]
    fn one_more_than_a_page_makes_a_next_page() {
        let address = samples::address("first@y.example");
        let items: Vec<_> = (0..=PAGE)
            .map(|n| {
                let mut item = samples::item(&[CopyState::Held]);
                item.id = Id(100 - i64::try_from(n).expect("small"));
                item
            })
            .collect();
        let full = View::of(&address, &items[..PAGE], "/a/x", Timestamp(0));
        assert_eq!((full.rows.len(), full.more), (PAGE, None));
        let more = View::of(&address, &items, "/a/x", Timestamp(0));
        assert_eq!(more.rows.len(), PAGE);
        assert_eq!(more.newest, Some(Id(100)));
        assert_eq!(more.more.as_deref(), Some("/a/x?before=76"));
    }
}
