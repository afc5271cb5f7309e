//! What the recipient's page shows: what is held for one address, and nobody else's copies.

use posthouse_hook::{Id, Timestamp};
use posthouse_store::{Address, Item, ItemRecipient, State as CopyState};
use serde::Serialize;

use super::deed::Done;
use super::search::path_with;
use super::standing::Standing;
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

/// A part of the list.
#[derive(Debug, Default)]
pub(crate) struct Part {
    /// Only what is older than this.
    pub(crate) before: Option<Id>,
    /// Only what has this text in its sender or subject.
    pub(crate) sought: Option<String>,
}

/// What the page shows.
#[derive(Debug, Serialize)]
pub(crate) struct View {
    address: String,
    standing: Option<Standing>,
    rows: Vec<Row>,
    /// The id of the newest message shown.
    newest: Option<Id>,
    /// The id below which the next page begins, if there is one.
    next: Option<Id>,
    /// The next page's path.
    more: Option<String>,
    /// Whether this is not the first page.
    later: bool,
    /// What was looked for.
    sought: Option<String>,
    /// The path of the first page of what was looked for.
    first: String,
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
        let view = Self {
            address: show::line(&address.address, MAX_TEXT),
            standing: None,
            rows: own.map(|item| Row::of(item, now)).collect(),
            newest: shown.first().map(|item| item.id),
            next: last.map(|item| item.id),
            more: None,
            later: false,
            sought: None,
            first: path.to_owned(),
            path: path.to_owned(),
            form: String::new(),
            done: None,
        };
        view.at(Part::default())
    }

    /// The same as this part of the list.
    pub(crate) fn at(mut self, part: Part) -> Self {
        let sought = part.sought.as_deref();
        let next = self.next.map(|id| id.to_string());
        let path_to = |before| path_with(&self.path, &[("q", sought), ("before", before)]);
        self.more = next.as_deref().map(|id| path_to(Some(id)));
        self.first = path_to(None);
        self.later = part.before.is_some();
        self.sought = sought.map(|text| show::line(text, MAX_TEXT));
        self
    }

    /// The same with what the owner has chosen.
    pub(crate) fn with_standing(mut self, standing: Standing) -> Self {
        self.standing = Some(standing);
        self
    }

    /// The same with the token that its forms need, behind what was done.
    pub(crate) fn with_form(mut self, form: String, done: Option<Done>) -> Self {
        (self.form, self.done) = (form, done);
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
